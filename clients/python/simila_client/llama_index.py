"""LlamaIndex's embedding model and vector store on a Simila server. Needs the package `llama-index-core`."""

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from simila_client.async_client import AsyncSimila
from simila_client.client import Simila
from simila_client.errors import InvalidArgument
from simila_client.results import Hit, Item

DEFAULT_URL = "http://127.0.0.1:8000"
BATCH_ITEMS = 256
# Where LlamaIndex's own helper puts the document that a node is of.
DOCUMENT_KEY = "ref_doc_id"

_OPERATORS = {
    FilterOperator.EQ: "$eq",
    FilterOperator.NE: "$ne",
    FilterOperator.GT: "$gt",
    FilterOperator.GTE: "$gte",
    FilterOperator.LT: "$lt",
    FilterOperator.LTE: "$lte",
    FilterOperator.IN: "$in",
    FilterOperator.NIN: "$nin",
}


class SimilaEmbedding(BaseEmbedding):
    """Vectors of texts, `[d]`, unit length, by the encoder `model_name`; queries and passages have its own prefixes.

    Every method may raise a `SimilaClientError`. The awaited ones belong to the event loop that called them first.
    """

    _client: Simila = PrivateAttr()
    _async_client: AsyncSimila = PrivateAttr()

    def __init__(self, model_name: str, *, base_url: str = DEFAULT_URL, api_key: str | None = None, **options: Any):
        super().__init__(model_name=model_name, **options)
        self._client = Simila(base_url, api_key=api_key)
        self._async_client = AsyncSimila(base_url, api_key=api_key)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._embed([query], "query")[0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._embed([text], "passage")[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._embed(texts, "passage")

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return (await self._aembed([query], "query"))[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aembed([text], "passage"))[0]

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await self._aembed(texts, "passage")

    def _embed(self, texts: list[str], role: str) -> list[list[float]]:
        rows: list[list[float]]
        rows = self._client.embed(texts, model=self.model_name, task=f"retrieval.{role}").vectors.tolist()
        return rows

    async def _aembed(self, texts: list[str], role: str) -> list[list[float]]:
        found = await self._async_client.embed(texts, model=self.model_name, task=f"retrieval.{role}")
        rows: list[list[float]] = found.vectors.tolist()
        return rows


class SimilaVectorStore(BasePydanticVectorStore):
    """Nodes in a collection, with the vectors that LlamaIndex has of them; the collection is made where it is missing.

    Its encoder must be the one of the index's `SimilaEmbedding`. Every method may raise a `SimilaClientError`.
    """

    stores_text: bool = True

    _client: Simila = PrivateAttr()
    _collection: str = PrivateAttr()

    def __init__(self, collection: str, encoder: str, *, base_url: str = DEFAULT_URL, api_key: str | None = None):
        super().__init__()
        self._collection = collection
        self._client = Simila(base_url, api_key=api_key)
        self._client.create_collection(collection, encoder)

    @property
    def client(self) -> Simila:
        """The connection."""
        return self._client

    def add(self, nodes: Sequence[BaseNode], **_: Any) -> list[str]:
        """Store nodes, those of known ids in place of the old ones, and say their ids."""
        items = [Item(node.node_id, node.get_embedding(), payload=node_to_metadata_dict(node)) for node in nodes]
        for start in range(0, len(items), BATCH_ITEMS):
            self._client.upsert(self._collection, items[start : start + BATCH_ITEMS])
        return [item.id for item in items]

    def delete(self, ref_doc_id: str, **_: Any) -> None:
        """Delete the nodes of a document."""
        self._client.delete_items(self._collection, filter={DOCUMENT_KEY: ref_doc_id})

    def delete_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **_: Any) -> None:
        """Delete nodes by their ids, or those that match; of both, the nodes that are in both."""
        given = [{"$id": {"$in": node_ids}}] if node_ids else []
        given += [_mongo(filters)] if filters else []
        if given:
            self._client.delete_items(self._collection, filter={"$and": given})

    def clear(self) -> None:
        """Delete every node."""
        self._client.delete_items(self._collection, everything=True)

    def query(self, query: VectorStoreQuery, **_: Any) -> VectorStoreQueryResult:
        """The nodes most like a vector, with their cosines; of those that match, and of the ids and documents named."""
        if query.query_embedding is None:
            raise InvalidArgument("a query needs its vector: give the index a SimilaEmbedding")
        conditions = [_mongo(query.filters)] if query.filters else []
        conditions += [{"$id": {"$in": query.node_ids}}] if query.node_ids else []
        conditions += [{DOCUMENT_KEY: {"$in": query.doc_ids}}] if query.doc_ids else []
        hits = self._client.search(
            self._collection,
            query.query_embedding,
            limit=query.similarity_top_k,
            filter={"$and": conditions} if conditions else None,
        )
        return VectorStoreQueryResult(
            nodes=[_node(hit) for hit in hits],
            similarities=[hit.score for hit in hits],
            ids=[hit.id for hit in hits],
        )


def _mongo(filters: MetadataFilters) -> dict[str, Any]:
    word = "$or" if filters.condition == FilterCondition.OR else "$and"
    parts = [_mongo(one) if isinstance(one, MetadataFilters) else _condition(one) for one in filters.filters]
    return {"$not": {"$or": parts}} if filters.condition == FilterCondition.NOT else {word: parts}


def _condition(one: MetadataFilter) -> dict[str, Any]:
    if one.operator not in _OPERATORS:
        raise InvalidArgument(f"the filter operator '{one.operator.value}' has no form in a filter of the server's")
    return {one.key: {_OPERATORS[one.operator]: one.value}}


def _node(hit: Hit) -> BaseNode:
    return metadata_dict_to_node(dict(hit.payload or {}))
