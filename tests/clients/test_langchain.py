"""The client's LangChain extra: the standard suites of langchain-tests, and what they do not ask."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding

from clients.conftest import TEXT_ENCODER, Addresses
from simila_client.langchain import SimilaEmbeddings, SimilaVectorStore

SUITES = Path(__file__).parent / "langchain_standard" / "suites.py"
# Its plugins change every run of pytest that finds them, so it is installed apart from the other tools.
PACKAGES = (
    "langchain-tests==1.1.9",
    "pytest-asyncio==1.5.0",
    "pytest-recording==0.14.1",
    "pytest-socket==0.8.1",
    "syrupy==5.5.3",
    "vcrpy==8.5.0",
    "wrapt==2.5.2",
)


@pytest.fixture(scope="session")
def langchain_tests(data_dir: Path) -> Path:
    folder = data_dir / "clients" / PACKAGES[0]
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--target", str(folder), *PACKAGES], check=True)
    return folder


@pytest.fixture
def store(addresses: Addresses) -> Iterator[SimilaVectorStore]:
    embedding = SimilaEmbeddings(TEXT_ENCODER, base_url=addresses.url)
    yield SimilaVectorStore.from_texts(
        ["a red dress", "a blue sky", "a green meadow"], embedding, [{"n": 1}, {"n": 2}, {"n": 3}], ids=list("abc")
    )
    embedding.client.delete_collection("langchain")
    embedding.client.close()


def test_the_standard_suites_pass_blocking_and_awaiting(addresses: Addresses, langchain_tests: Path) -> None:
    path = os.pathsep.join([str(langchain_tests), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(SUITES.parent), str(SUITES)]
    options = ["-o", "asyncio_mode=auto", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": path, "SIMILA_TEST_URL": addresses.url}
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"(\d+) passed", done.stdout)
    assert found
    assert int(found[1]) >= 30
    assert "failed" not in done.stdout


def test_a_filter_is_over_the_metadata(store: SimilaVectorStore) -> None:
    found = store.similarity_search("the sky", k=3, filter={"metadata.n": {"$gt": 2}})
    assert found == [Document(id="c", page_content="a green meadow", metadata={"n": 3})]


def test_scores_are_cosines_and_relevance_is_from_0_to_1(store: SimilaVectorStore) -> None:
    [(best, cosine)] = store.similarity_search_with_score("a blue sky", k=1)
    [(_, relevance)] = store.similarity_search_with_relevance_scores("a blue sky", k=1)
    assert (best.id, cosine, relevance) == ("b", pytest.approx(1, abs=1e-3), pytest.approx(1, abs=1e-3))


def test_a_vector_finds_what_its_text_finds(store: SimilaVectorStore) -> None:
    vector = store.embeddings.embed_query("fresh grass")
    assert [one.id for one in store.similarity_search_by_vector(vector, k=1)] == ["c"]


def test_a_retriever_asks_the_store(store: SimilaVectorStore) -> None:
    assert [one.id for one in store.as_retriever(search_kwargs={"k": 1}).invoke("clothes")] == ["a"]


def test_another_library_s_embeddings_are_refused() -> None:
    with pytest.raises(TypeError, match="give SimilaEmbeddings"):
        SimilaVectorStore.from_texts(["a"], DeterministicFakeEmbedding(size=3))
