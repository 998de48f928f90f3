"""Real encoders: every vector at its input's position, every failure alone."""

import asyncio
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from skimage import data

from simila.domain.errors import InvalidImage, InvalidInput, NotReady, TextTooLong, UnsupportedModality
from simila.domain.golden import read_golden_set
from simila.domain.inputs import ImageInput, TextInput, TokensInput
from simila.domain.manifest import Modality
from simila.engine.encoder import CANARIES
from simila_models.catalogue import bundled_manifests
from tolerances import BATCH_INVARIANCE_COSINE, FLOAT32_VALUES, PARITY_COSINE


def photograph(pixels):
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return ImageInput(buffer.getvalue())


COFFEE, CAT, ROCKET = (photograph(pixels) for pixels in (data.coffee(), data.chelsea(), data.rocket()))
BROKEN = ImageInput(COFFEE.data[: len(COFFEE.data) // 2])
# Of 3 to over 256 tokens, so that a mixed batch pads a lot.
TEXTS = [" ".join(["a", "red", "bicycle", str(number), *["leaning on a wall"] * (number % 64)]) for number in range(64)]


def embed(encoder, inputs, **options):
    return asyncio.run(encoder.embed(inputs, **options))


def alone(encoder, entry):
    return embed(encoder, [entry]).vectors[0]


@pytest.fixture
def joint(pool):
    return pool.get("simila-lite")


@pytest.fixture
def minilm(pool):
    return pool.get("all-minilm-l6-v2")


def test_texts_and_images_keep_their_positions(joint):
    inputs = [TextInput("a cup of coffee"), CAT, TextInput("a cat"), COFFEE, ROCKET, TextInput("a rocket launch")]
    embedded = embed(joint, inputs)
    expected = np.stack([alone(joint, entry) for entry in inputs])
    np.testing.assert_allclose(embedded.vectors, expected, atol=FLOAT32_VALUES)
    assert embedded.tokens == (6, 0, 4, 0, 0, 5)
    assert embedded.truncated == (False,) * 6
    assert embedded.failures == {}
    cosines = embedded.vectors[[3, 1, 4]] @ embedded.vectors[[0, 2, 5]].T
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2]


def test_vectors_are_of_unit_length(joint):
    vectors = embed(joint, [CAT, TextInput("a cat"), TextInput("")]).vectors
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=FLOAT32_VALUES)


def test_nothing_gives_nothing(joint):
    embedded = embed(joint, [])
    assert embedded.vectors.shape == (0, 384)
    assert (embedded.tokens, embedded.truncated, embedded.failures) == ((), (), {})


def test_bad_inputs_among_good_ones_fail_alone(joint):
    good = {1: CAT, 3: TextInput("a cat"), 6: COFFEE}
    bad = {0: BROKEN, 2: TokensInput((5, 30522)), 4: ImageInput(b""), 5: TextInput("a \udc00 cat")}
    embedded = embed(joint, [(good | bad)[position] for position in range(7)])
    assert {position: type(error) for position, error in embedded.failures.items()} == {
        0: InvalidImage,
        2: InvalidInput,
        4: InvalidImage,
        5: InvalidInput,
    }
    for position, entry in good.items():
        np.testing.assert_allclose(embedded.vectors[position], alone(joint, entry), atol=FLOAT32_VALUES)
    assert not embedded.vectors[list(bad)].any()
    assert [embedded.tokens[position] for position in bad] == [0, 0, 0, 0]


@pytest.mark.parametrize("name", ["all-minilm-l6-v2", "simila-lite"])
def test_a_text_has_the_same_vector_alone_and_in_a_batch(pool, name):
    encoder = pool.get(name)
    together = embed(encoder, [TextInput(text) for text in TEXTS])
    assert min(together.tokens) < 8
    assert max(together.tokens) == 256
    separately = np.stack([alone(encoder, TextInput(text)) for text in TEXTS])
    cosines = np.einsum("nd,nd->n", together.vectors, separately)
    assert cosines.min() >= BATCH_INVARIANCE_COSINE


def test_an_image_has_the_same_vector_alone_and_in_a_batch(pool):
    encoder = pool.get("efficientnet-lite0")
    photographs = [COFFEE, CAT, ROCKET] * 12  # more than one batch
    together = embed(encoder, photographs).vectors
    separately = np.stack([alone(encoder, photographs[position % 3]) for position in range(36)])
    assert np.einsum("nd,nd->n", together, separately).min() >= BATCH_INVARIANCE_COSINE


def test_an_image_is_decoded_once_for_all_its_views(pool, monkeypatch):
    encoder = pool.get("efficientnet-lite0")
    views = [replace(image, view=view) for view in ("plain", "flip", "top_left") for image in (COFFEE, BROKEN, CAT)]
    separately = [embed(encoder, [view]) for view in views]
    opened, really_open = [], Image.open
    monkeypatch.setattr(Image, "open", lambda file, **how: opened.append(file) or really_open(file, **how))
    together = embed(encoder, views)
    assert len(opened) == 3
    assert sorted(together.failures) == [1, 4, 7]
    expected = np.concatenate([embedded.vectors for embedded in separately])
    np.testing.assert_allclose(together.vectors, expected, atol=FLOAT32_VALUES)


def test_requests_that_run_at_once_get_their_own_vectors(minilm):
    async def together():
        return await asyncio.gather(*(minilm.embed([TextInput(text)]) for text in TEXTS[:24]))

    vectors = np.concatenate([embedded.vectors for embedded in asyncio.run(together())])
    separately = np.stack([alone(minilm, TextInput(text)) for text in TEXTS[:24]])
    assert (vectors @ separately.T).argmax(axis=1).tolist() == list(range(24))
    assert np.einsum("nd,nd->n", vectors, separately).min() >= BATCH_INVARIANCE_COSINE


def test_given_tokens_have_the_vector_of_their_text(minilm):
    bare, wrapped = TokensInput((1037, 4937)), TokensInput((101, 1037, 4937, 102))
    embedded = embed(minilm, [bare, wrapped, TextInput("a cat"), TextInput("a dog")])
    np.testing.assert_allclose(embedded.vectors[[0, 1]], embedded.vectors[[2, 2]], atol=FLOAT32_VALUES)
    assert embedded.vectors[0] @ embedded.vectors[3] < PARITY_COSINE
    assert embedded.tokens == (4, 4, 4, 4)


def test_a_long_text_is_cut_or_refused(minilm):
    texts = [TextInput("cat " * 254), TextInput("cat " * 255)]
    cut = embed(minilm, texts)
    assert (cut.tokens, cut.truncated, cut.failures) == ((256, 256), (False, True), {})
    np.testing.assert_allclose(cut.vectors[0], cut.vectors[1], atol=FLOAT32_VALUES)
    refused = embed(minilm, texts, truncate=False)
    assert isinstance(refused.failures[1], TextTooLong)
    assert refused.failures[1].message == (
        "the text has 257 tokens, more than the encoder's context length of 256; shorten it or send truncate: true"
    )
    assert list(refused.failures) == [1]
    np.testing.assert_allclose(refused.vectors[0], cut.vectors[0], atol=FLOAT32_VALUES)


@pytest.mark.parametrize(
    ("name", "wrong", "right", "message"),
    [
        ("efficientnet-lite0", TextInput("a cat"), CAT, "encoder efficientnet-lite0 embeds images, not texts"),
        ("efficientnet-lite0", TokensInput((1,)), CAT, "encoder efficientnet-lite0 embeds images, not texts"),
        ("all-minilm-l6-v2", CAT, TextInput("a cat"), "encoder all-minilm-l6-v2 embeds texts, not images"),
    ],
)
def test_the_wrong_modality_fails_alone(pool, name, wrong, right, message):
    encoder = pool.get(name)
    embedded = embed(encoder, [wrong, right])
    assert list(embedded.failures) == [0]
    assert isinstance(embedded.failures[0], UnsupportedModality)
    assert embedded.failures[0].message == message
    np.testing.assert_allclose(embedded.vectors[1], alone(encoder, right), atol=FLOAT32_VALUES)


@pytest.mark.parametrize("name", bundled_manifests())
def test_parity_holds_on_the_golden_sets(pool, exported_repository, name):
    encoder = pool.get(name)
    for modality in encoder.manifest.modalities:
        golden = read_golden_set(exported_repository.tower(name, modality).golden, modality)
        certificate = asyncio.run(encoder.check_parity(golden))
        assert set(certificate.cosines) == set(golden.names)
        assert certificate.lowest_cosine >= PARITY_COSINE
        assert certificate.holds


def test_one_golden_vector_that_differs_breaks_parity(minilm, exported_repository):
    golden = read_golden_set(exported_repository.tower("all-minilm-l6-v2", Modality.TEXT).golden, Modality.TEXT)
    vectors = golden.vectors.copy()
    vectors[4] = vectors[5]
    certificate = asyncio.run(minilm.check_parity(replace(golden, vectors=vectors)))
    assert not certificate.holds
    assert [name for name, cosine in certificate.cosines.items() if cosine < PARITY_COSINE] == [golden.names[4]]


def test_a_golden_input_that_cannot_be_embedded_breaks_parity(pool, exported_repository):
    golden = read_golden_set(exported_repository.tower("efficientnet-lite0", Modality.IMAGE).golden, Modality.IMAGE)
    spoilt = replace(golden, inputs=(b"no image", *golden.inputs[1:]))
    with pytest.raises(InvalidImage):
        asyncio.run(pool.get("efficientnet-lite0").check_parity(spoilt))


def test_the_canary_of_images_is_a_grey_pixel():
    pixel = Image.open(BytesIO(CANARIES[Modality.IMAGE].data))
    assert (pixel.size, pixel.getpixel((0, 0))) == ((1, 1), 128)


def test_an_encoder_is_alive_until_it_is_closed(load, exported_repository):
    encoder = load(exported_repository, "simila-lite").get("simila-lite")
    asyncio.run(encoder.check_alive())
    encoder.close()
    with pytest.raises(NotReady, match="the encoder is shutting down"):
        asyncio.run(encoder.check_alive())
