"""LangChain's standard suites, bound to a running server. `test_langchain.py` runs them in a process of their own."""

import os
import uuid
from collections.abc import Iterator

import pytest
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import EmbeddingsIntegrationTests, VectorStoreIntegrationTests

from simila_client.langchain import SimilaEmbeddings, SimilaVectorStore

MODEL = {"model": "all-minilm-l6-v2", "base_url": os.environ["SIMILA_TEST_URL"]}


class TestEmbeddings(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[SimilaEmbeddings]:
        return SimilaEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, str]:
        return MODEL


class TestVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self) -> Iterator[VectorStore]:
        name = f"langchain-{uuid.uuid4().hex}"
        embedding = SimilaEmbeddings(**MODEL)
        yield SimilaVectorStore(name, embedding)
        embedding.client.delete_collection(name)
        embedding.client.close()
