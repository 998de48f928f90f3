"""LangChain's `Embeddings` and `VectorStore` on a Simila server. Needs the extra `simila[langchain]`."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self
from uuid import uuid4

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from simila_client.async_client import AsyncSimila
from simila_client.client import Simila
from simila_client.errors import NotFound
from simila_client.results import Filter, Hit, Item, StoredItem

DEFAULT_URL = "http://127.0.0.1:8000"
BATCH_ITEMS = 64

# Where a document is in the payload of its item; filters say "metadata.KEY".
TEXT, METADATA = "page_content", "metadata"


class SimilaEmbeddings(Embeddings):
    """Vectors of texts, `[d]`, unit length, by the encoder `model`; queries and passages have its own prefixes.

    Every method may raise a `SimilaClientError`. The awaited ones belong to the event loop that called them first.
    """

    def __init__(
        self, model: str, *, base_url: str = DEFAULT_URL, api_key: str | None = None, dimensions: int | None = None
    ) -> None:
        self.model = model
        self.client = Simila(base_url, api_key=api_key)
        self.async_client = AsyncSimila(base_url, api_key=api_key)
        self._dimensions = dimensions

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of passages, in their order."""
        return _rows(self.client.embed(texts, **self._options("passage")).vectors) if texts else []

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        return _rows(self.client.embed([text], **self._options("query")).vectors)[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """`embed_documents`, awaited."""
        return _rows((await self.async_client.embed(texts, **self._options("passage"))).vectors) if texts else []

    async def aembed_query(self, text: str) -> list[float]:
        """`embed_query`, awaited."""
        return _rows((await self.async_client.embed([text], **self._options("query"))).vectors)[0]

    def _options(self, role: str) -> dict[str, Any]:
        return {"model": self.model, "dimensions": self._dimensions, "task": f"retrieval.{role}"}


class SimilaVectorStore(VectorStore):
    """Documents in a collection, which is made where it is missing; the server embeds texts and questions itself.

    Filters are MongoDB's, over `metadata.KEY`. Every method may raise a `SimilaClientError`. The awaited ones belong to
    the event loop that called them first.
    """

    def __init__(self, collection: str, embedding: SimilaEmbeddings) -> None:
        self._collection = collection
        self._embedding = embedding
        self._client, self._async_client = embedding.client, embedding.async_client
        self._client.create_collection(collection, embedding.model)

    @property
    def embeddings(self) -> SimilaEmbeddings:
        """The encoder of the collection."""
        return self._embedding

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        collection: str = "langchain",
        **_: Any,
    ) -> Self:
        """A store with documents in it; `embedding` is one of `SimilaEmbeddings`, since the server embeds."""
        if not isinstance(embedding, SimilaEmbeddings):
            raise TypeError(f"a collection has an encoder of the server: give SimilaEmbeddings, not {embedding!r}")
        store = cls(collection, embedding)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **_: Any,
    ) -> list[str]:
        """Store documents, those of known ids in place of the old ones, and say their ids."""
        items = _items(texts, metadatas, ids)
        for batch in _batches(items):
            self._client.upsert(self._collection, batch)
        return [item.id for item in items]

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **_: Any,
    ) -> list[str]:
        """`add_texts`, awaited."""
        items = _items(texts, metadatas, ids)
        for batch in _batches(items):
            await self._async_client.upsert(self._collection, batch)
        return [item.id for item in items]

    def delete(self, ids: list[str] | None = None, **_: Any) -> bool:
        """Delete the documents of some ids, as far as they are there; without ids, every one."""
        if ids is None or ids:
            self._client.delete_items(self._collection, ids=ids, everything=ids is None)
        return True

    async def adelete(self, ids: list[str] | None = None, **_: Any) -> bool:
        """`delete`, awaited."""
        if ids is None or ids:
            await self._async_client.delete_items(self._collection, ids=ids, everything=ids is None)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents of those ids that are there."""
        found = []
        for one in ids:
            try:
                found.append(_document(self._client.item(self._collection, one)))
            except NotFound:
                continue
        return found

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """`get_by_ids`, awaited."""
        found = []
        for one in ids:
            try:
                found.append(_document(await self._async_client.item(self._collection, one)))
            except NotFound:
                continue
        return found

    def similarity_search(self, query: str, k: int = 4, **options: Any) -> list[Document]:
        """The `k` documents most like a text."""
        return [document for document, _ in self.similarity_search_with_score(query, k, **options)]

    async def asimilarity_search(self, query: str, k: int = 4, **options: Any) -> list[Document]:
        """`similarity_search`, awaited."""
        return [document for document, _ in await self.asimilarity_search_with_score(query, k, **options)]

    def similarity_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: Filter | None = None,  # noqa: A002 - LangChain's name
        **_: Any,
    ) -> list[Document]:
        """The `k` documents most like a vector."""
        return [_document(hit) for hit in self._client.search(self._collection, embedding, limit=k, filter=filter)]

    async def asimilarity_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        *,
        filter: Filter | None = None,  # noqa: A002 - LangChain's name
        **_: Any,
    ) -> list[Document]:
        """`similarity_search_by_vector`, awaited."""
        hits = await self._async_client.search(self._collection, embedding, limit=k, filter=filter)
        return [_document(hit) for hit in hits]

    def similarity_search_with_score(
        self,
        query: str,
        k: int = 4,
        *,
        filter: Filter | None = None,  # noqa: A002 - LangChain's name
        **_: Any,
    ) -> list[tuple[Document, float]]:
        """The `k` documents most like a text, with their cosines."""
        hits = self._client.search(self._collection, query, limit=k, filter=filter)
        return [(_document(hit), hit.score) for hit in hits]

    async def asimilarity_search_with_score(
        self,
        query: str,
        k: int = 4,
        *,
        filter: Filter | None = None,  # noqa: A002 - LangChain's name
        **_: Any,
    ) -> list[tuple[Document, float]]:
        """`similarity_search_with_score`, awaited."""
        hits = await self._async_client.search(self._collection, query, limit=k, filter=filter)
        return [(_document(hit), hit.score) for hit in hits]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        # LangChain wants relevance from 0 to 1, and a score is a cosine.
        return lambda cosine: (cosine + 1) / 2


def _items(
    texts: Iterable[str], metadatas: list[dict[str, Any]] | None, ids: Sequence[str | None] | None
) -> list[Item]:
    listed = list(texts)
    metadatas = metadatas or [{} for _ in listed]
    ids = ids or [None for _ in listed]
    return [
        Item(one_id or str(uuid4()), text, payload={TEXT: text, METADATA: metadata})
        for text, metadata, one_id in zip(listed, metadatas, ids, strict=True)
    ]


def _batches(items: list[Item]) -> Iterable[list[Item]]:
    return (items[start : start + BATCH_ITEMS] for start in range(0, len(items), BATCH_ITEMS))


def _document(found: Hit | StoredItem) -> Document:
    payload = found.payload or {}
    return Document(id=found.id, page_content=payload.get(TEXT, ""), metadata=payload.get(METADATA, {}))


def _rows(vectors: Any) -> list[list[float]]:
    rows: list[list[float]] = vectors.tolist()
    return rows
