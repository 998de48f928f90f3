import base64
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from api.wire import b64, embed, vectors
from reference_encoders import sentence_transformers_minilm
from tolerances import FLOAT32_VALUES, PARITY_COSINE

TEXTS = ["a red dress", "ein rotes Kleid", "🙂", "word " * 600]


@pytest.fixture(scope="session")
def reference(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> SentenceTransformer:
    return sentence_transformers_minilm(data_dir, tmp_path_factory.mktemp("checkpoint"))


def test_vectors_are_those_of_sentence_transformers(api: httpx.Client, reference: SentenceTransformer) -> None:
    served = vectors(embed(api, "all-minilm-l6-v2", TEXTS))
    with torch.inference_mode():
        expected = reference.encode(TEXTS, show_progress_bar=False)
    assert np.einsum("nd,nd->n", served, expected).min() >= PARITY_COSINE


def test_a_single_string_is_a_list_of_one(api: httpx.Client) -> None:
    assert embed(api, "all-minilm-l6-v2", "hello") == embed(api, "all-minilm-l6-v2", ["hello"])


def test_answers_stand_in_the_order_of_the_inputs(api: httpx.Client) -> None:
    texts = ["one", "a much longer text about something else", "three"]
    together = embed(api, "all-minilm-l6-v2", texts)
    alone = np.concatenate([vectors(embed(api, "all-minilm-l6-v2", text)) for text in texts])
    assert [entry["index"] for entry in together["data"]] == [0, 1, 2]
    np.testing.assert_allclose(vectors(together), alone, atol=FLOAT32_VALUES)


def test_text_objects_and_token_ids_give_the_vector_of_the_text(api: httpx.Client, exported_repository) -> None:
    tokenizer = Tokenizer.from_file(str(exported_repository.tower("all-minilm-l6-v2", "text").tokenizer))
    bare = tokenizer.encode("a red dress", add_special_tokens=False).ids
    wrapped = tokenizer.encode("a red dress").ids
    rows = vectors(embed(api, "all-minilm-l6-v2", ["a red dress", {"text": "a red dress"}, bare, wrapped]))
    np.testing.assert_allclose(rows, np.tile(rows[0], (4, 1)), atol=FLOAT32_VALUES)
    single = vectors(embed(api, "all-minilm-l6-v2", bare))
    np.testing.assert_allclose(single[0], rows[0], atol=FLOAT32_VALUES)


def test_usage_counts_the_tokens_that_were_read(api: httpx.Client, exported_repository) -> None:
    tokenizer = Tokenizer.from_file(str(exported_repository.tower("all-minilm-l6-v2", "text").tokenizer))
    texts = ["hello world", "antidisestablishmentarianism"]
    expected = sum(len(tokenizer.encode(text).ids) for text in texts)
    assert embed(api, "all-minilm-l6-v2", texts)["usage"] == {"prompt_tokens": expected, "total_tokens": expected}


def test_images_count_no_tokens(api: httpx.Client, photo) -> None:
    body = embed(api, "efficientnet-lite0", {"image": b64(photo("coffee.png"))})
    assert body["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


def test_a_long_text_is_cut_and_flagged(api: httpx.Client) -> None:
    body = embed(api, "all-minilm-l6-v2", ["short", "word " * 600])
    assert "truncated" not in body["data"][0]
    assert body["data"][1]["truncated"] is True
    assert body["usage"]["prompt_tokens"] == 3 + 256


def test_base64_holds_the_same_float32_values(api: httpx.Client) -> None:
    as_floats = vectors(embed(api, "all-minilm-l6-v2", "hello"))[0]
    encoded = embed(api, "all-minilm-l6-v2", "hello", encoding_format="base64")["data"][0]["embedding"]
    assert np.array_equal(np.frombuffer(base64.b64decode(encoded), dtype="<f4"), as_floats)


def test_dimensions_are_the_first_ones_at_unit_length(api: httpx.Client) -> None:
    full = vectors(embed(api, "all-minilm-l6-v2", "hello"))[0]
    short = vectors(embed(api, "all-minilm-l6-v2", "hello", dimensions=100))[0]
    np.testing.assert_allclose(short, full[:100] / np.linalg.norm(full[:100]), atol=FLOAT32_VALUES)


def test_an_image_is_the_same_as_base64_data_uri_and_string(api: httpx.Client, photo) -> None:
    encoded = b64(photo("coffee.png"))
    uri = f"data:image/png;base64,{encoded}"
    rows = vectors(embed(api, "simila-lite", [{"image": encoded}, {"image": uri}, uri]))
    assert np.array_equal(rows[0], rows[1])
    assert np.array_equal(rows[0], rows[2])


def test_texts_and_images_share_a_space(api: httpx.Client, photo) -> None:
    inputs = ["a cup of coffee", {"image": b64(photo("coffee.png"))}, {"image": b64(photo("rocket.jpg"))}]
    text, coffee, rocket = vectors(embed(api, "simila-lite", inputs))
    assert text @ coffee > 0.3 > text @ rocket


def test_every_vector_has_unit_length(api: httpx.Client, photo) -> None:
    rows = vectors(embed(api, "simila-lite", ["hello", {"image": b64(photo("page.png"))}]))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=FLOAT32_VALUES)


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
def test_the_openai_client_reads_the_answer(api: httpx.Client, server_url: str, encoding_format: str) -> None:
    expected = vectors(embed(api, "all-minilm-l6-v2", ["one", "two"]))
    with openai.OpenAI(base_url=f"{server_url}/v1", api_key="unused", max_retries=0) as client:
        answer = client.embeddings.create(
            model="all-minilm-l6-v2", input=["one", "two"], encoding_format=encoding_format, user="somebody"
        )
    rows = [entry.embedding for entry in answer.data]
    if encoding_format == "base64":
        rows = [np.frombuffer(base64.b64decode(row), dtype="<f4") for row in rows]
    np.testing.assert_allclose(np.array(rows, dtype=np.float32), expected, atol=FLOAT32_VALUES)
    assert answer.usage.prompt_tokens == 6


def test_the_openai_client_raises_its_own_errors(server_url: str) -> None:
    with openai.OpenAI(base_url=f"{server_url}/v1", api_key="unused", max_retries=0) as client:
        with pytest.raises(openai.NotFoundError, match="unknown encoder 'nope'") as caught:
            client.embeddings.create(model="nope", input="hello")
        assert caught.value.code == "model_not_found"
        with pytest.raises(openai.BadRequestError, match="must not be empty"):
            client.embeddings.create(model="all-minilm-l6-v2", input=[])


def test_base64_may_have_line_breaks_and_a_data_uri_capitals(api: httpx.Client, photo) -> None:
    encoded = b64(photo("coffee.png"))
    lines = "\n".join(encoded[start : start + 76] for start in range(0, len(encoded), 76))
    inputs = [{"image": encoded}, {"image": lines}, f"DATA:IMAGE/PNG;BASE64,{encoded}"]
    rows = vectors(embed(api, "simila-lite", inputs))
    assert np.array_equal(rows, np.tile(rows[0], (3, 1)))


def test_a_text_may_begin_like_a_data_uri(api: httpx.Client) -> None:
    assert embed(api, "simila-lite", "data: the new oil")["usage"]["prompt_tokens"] > 2
