"""`POST /v1/rerank` on real encoders, compared with cosines of the vectors that `/v1/embeddings` gives."""

import httpx
import pytest

from api.wire import b64, embed, error, vectors
from tolerances import FLOAT32_VALUES

pytestmark = pytest.mark.protocol("Jina")

QUERY = "How do plants make food?"
DOCUMENTS = [
    "The stock market fell on Monday.",
    "Photosynthesis turns light into sugar.",
    {"text": "Leaves are green because of chlorophyll."},
]


def rerank(api: httpx.Client, **body: object) -> httpx.Response:
    return api.post("/v1/rerank", json={"model": "all-minilm-l6-v2", "query": QUERY, "documents": DOCUMENTS, **body})


def test_scores_are_the_cosines_and_the_best_comes_first(api: httpx.Client) -> None:
    answer = rerank(api).json()
    asked, *given = vectors(embed(api, "all-minilm-l6-v2", [QUERY, *DOCUMENTS]))
    cosines = [float(asked @ vector) for vector in given]
    assert [result["index"] for result in answer["results"]] == sorted(range(3), key=lambda n: -cosines[n]) == [1, 2, 0]
    scores = [result["relevance_score"] for result in answer["results"]]
    assert scores == pytest.approx(sorted(cosines, reverse=True), abs=FLOAT32_VALUES)
    assert answer["usage"] == embed(api, "all-minilm-l6-v2", [QUERY, *DOCUMENTS])["usage"]
    assert "document" not in answer["results"][0]


def test_the_best_with_their_documents(api: httpx.Client) -> None:
    answer = rerank(api, top_n=2, return_documents=True).json()
    assert [result["document"]["text"][:6] for result in answer["results"]] == ["Photos", "Leaves"]


def test_images_are_ranked_by_a_text(api: httpx.Client, photo) -> None:
    documents = [{"image": b64(photo(name))} for name in ("rocket.jpg", "coffee.png")]
    answer = rerank(api, model="simila-lite", query="a cup of coffee", documents=documents).json()
    assert [result["index"] for result in answer["results"]] == [1, 0]


def test_what_is_at_fault_is_named(api: httpx.Client) -> None:
    bad = rerank(api, model="simila-lite", documents=["a", {"image": "no base64!"}])
    assert (bad.status_code, error(bad)["param"]) == (400, "documents[1].image")
    other = rerank(api, documents=["a", {"image": b64(b"GIF89a")}])
    assert (other.status_code, error(other)["param"]) == (422, "documents[1]")
    many = rerank(api, documents=["a"] * 65)
    assert (many.status_code, error(many)["param"]) == (413, "documents")
