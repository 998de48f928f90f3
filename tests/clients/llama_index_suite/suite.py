"""LlamaIndex on a running server. `test_llama_index.py` runs this in a process that has LlamaIndex."""

import asyncio
import os
import uuid
from collections.abc import Iterator

import numpy as np
import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from simila_client import InvalidArgument
from simila_client.llama_index import SimilaEmbedding, SimilaVectorStore

URL, MODEL = os.environ["SIMILA_TEST_URL"], "all-minilm-l6-v2"
TEXTS = {"dress": "a red dress", "sky": "a blue sky", "meadow": "a green meadow"}
EMBEDDING = SimilaEmbedding(MODEL, base_url=URL)


@pytest.fixture
def store() -> Iterator[SimilaVectorStore]:
    name = f"llama-{uuid.uuid4().hex}"
    made = SimilaVectorStore(name, MODEL, base_url=URL)
    yield made
    made.client.delete_collection(name)


@pytest.fixture
def index(store: SimilaVectorStore) -> VectorStoreIndex:
    nodes = [TextNode(id_=name, text=text, metadata={"n": n}) for n, (name, text) in enumerate(TEXTS.items())]
    for node in nodes:
        node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=f"about-{node.id_}")
    context = StorageContext.from_defaults(vector_store=store)
    return VectorStoreIndex(nodes, storage_context=context, embed_model=EMBEDDING)


def found(index: VectorStoreIndex, text: str, **options: object) -> list[str]:
    return [one.node.node_id for one in index.as_retriever(**options).retrieve(text)]


def where(key: str, operator: FilterOperator, value: object) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, operator=operator, value=value)])


def test_the_nearest_node_comes_with_its_text_and_cosine(index: VectorStoreIndex) -> None:
    [one] = index.as_retriever(similarity_top_k=1).retrieve("a blue sky")
    assert (one.node.node_id, one.node.get_content(), one.node.metadata) == ("sky", "a blue sky", {"n": 1})
    # LlamaIndex puts the metadata before the text that it embeds.
    passage = EMBEDDING.get_text_embedding("n: 1\n\na blue sky")
    assert one.score == pytest.approx(np.dot(EMBEDDING.get_query_embedding("a blue sky"), passage), abs=1e-3)


def test_awaited_as_well(index: VectorStoreIndex) -> None:
    nodes = asyncio.run(index.as_retriever(similarity_top_k=1).aretrieve("fresh grass"))
    assert [one.node.node_id for one in nodes] == ["meadow"]


def test_filters(index: VectorStoreIndex) -> None:
    assert found(index, "sky", similarity_top_k=3, filters=where("n", FilterOperator.GT, 1)) == ["meadow"]
    either = MetadataFilters(
        filters=[MetadataFilter(key="n", value=0), MetadataFilter(key="n", value=2)], condition=FilterCondition.OR
    )
    assert sorted(found(index, "sky", similarity_top_k=3, filters=either)) == ["dress", "meadow"]
    neither = either.model_copy(update={"condition": FilterCondition.NOT})
    assert found(index, "sky", similarity_top_k=3, filters=neither) == ["sky"]


def test_an_operator_that_the_server_lacks_is_refused(index: VectorStoreIndex) -> None:
    with pytest.raises(InvalidArgument, match="text_match"):
        found(index, "sky", filters=where("n", FilterOperator.TEXT_MATCH, "s"))


def test_a_document_is_deleted_with_its_nodes(index: VectorStoreIndex) -> None:
    index.delete_ref_doc("about-sky")
    assert sorted(found(index, "sky", similarity_top_k=3)) == ["dress", "meadow"]


def test_nodes_are_deleted(index: VectorStoreIndex, store: SimilaVectorStore) -> None:
    store.delete_nodes(["sky", "dress"], where("n", FilterOperator.LT, 1))
    assert sorted(found(index, "sky", similarity_top_k=3)) == ["meadow", "sky"]
    store.clear()
    assert found(index, "sky") == []
