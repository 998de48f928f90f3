# Written by tests/docs/async_client.py from client.py; change that, then: make docs
"""The awaiting client: `wire` over httpx."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
from numpy.typing import NDArray

from simila_client import wire
from simila_client.async_classifier_calls import AsyncClassifierCalls
from simila_client.async_embedding_calls import AsyncEmbeddingCalls
from simila_client.async_model_calls import AsyncModelCalls
from simila_client.async_transport import AsyncTransport
from simila_client.bodies import listed
from simila_client.connection import Connection
from simila_client.results import (
    Collection,
    Filter,
    Group,
    Hit,
    Item,
    ItemPage,
    Migration,
    Query,
    StoredId,
    StoredItem,
    Upserted,
)
from simila_client.retries import Retries
from simila_client.transport import OnBytes, ignore


class AsyncSimila(AsyncEmbeddingCalls, AsyncClassifierCalls, AsyncModelCalls):
    """A connection to one Simila server; every method may raise a `SimilaClientError`.

    In `embed`, `classify`, `search` and items, a `str` is a text; `bytes`, a `Path`, an `ImageUrl`, a picture of Pillow
    and an array of uint8 are images. Before anything is sent, `InvalidArgument`, which is a `ValueError` too, is raised
    for a name that is no path segment, for an image that cannot be read and for what has no form in JSON (NaN, a lone
    surrogate, a payload's foreign object); `TypeError` for one text or image where a list is meant.

    Requests that the server is too busy for are sent again, up to `max_retries` times and when it asks for that; those
    whose connection broke too, where doing it twice does no harm. Threads may share one client.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout_seconds: float = 60,
        max_retries: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Open no connection yet. The environment's proxy is used, but never for an address of this machine.

        Raises:
            InvalidArgument: `base_url` is no http or https address, `api_key` no text for a header, or the
                environment's proxy cannot be used.

        """
        connection = Connection(base_url, api_key=api_key, timeout_seconds=timeout_seconds)
        self._transport = AsyncTransport(connection, Retries(max_retries), transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give back the sockets."""
        await self._transport.close()

    async def create_collection(
        self,
        name: str,
        encoder: str,
        *,
        store_inputs: bool | None = None,
        vector_dtype: str | None = None,
        recall_target: float | None = None,
    ) -> Collection:
        """Create a collection, or return the one that is there with the same encoder.

        `store_inputs` keeps texts and images themselves, so that `migrate` can embed them again; `vector_dtype` is
        float32 or float16; `recall_target` is what approximate searches are tuned to.
        """
        options = {"store_inputs": store_inputs, "vector_dtype": vector_dtype, "recall_target": recall_target}
        return await self._transport.send(wire.create_collection(name, encoder, **options))

    async def migrate(self, name: str, encoder: str) -> Migration:
        """Begin to embed a collection again with another encoder; it serves meanwhile and switches at the end."""
        return await self._transport.send(wire.migrate(name, encoder))

    async def migration(self, name: str) -> Migration | None:
        """How far the newest migration is; None if there was none since the server started."""
        return await self._transport.send(wire.migration(name))

    async def collections(self) -> tuple[Collection, ...]:
        """All collections."""
        return await self._transport.send(wire.collections())

    async def collection(self, name: str) -> Collection:
        """One collection."""
        return await self._transport.send(wire.collection(name))

    async def delete_collection(self, name: str) -> None:
        """Delete a collection with all its items."""
        await self._transport.send(wire.delete_collection(name))

    async def upsert(self, name: str, items: Sequence[Item]) -> Upserted:
        """Store items, all or none; when this returns they are durable and can be found."""
        return await self._transport.send(wire.upsert(name, await self._transport.read_all(listed("items", items))))

    async def items(self, name: str, *, after: int | None = None, limit: int | None = None) -> ItemPage:
        """One page of the stored items, those with a sequence above `after`."""
        return await self._transport.send(wire.items(name, after=after, limit=limit))

    async def all_items(self, name: str, *, page_items: int | None = None) -> AsyncIterator[StoredItem]:
        """Every stored item by ascending sequence, fetched page by page."""
        page = await self.items(name, limit=page_items)
        for one in page.items:
            yield one
        while page.next is not None:
            page = await self.items(name, after=page.next, limit=page_items)
            for one in page.items:
                yield one

    async def item(self, name: str, item_id: str) -> StoredItem:
        """One stored item."""
        return await self._transport.send(wire.item(name, item_id))

    async def delete_item(self, name: str, item_id: str) -> None:
        """Take an item out of search and out of its label's class mean."""
        await self._transport.send(wire.delete_item(name, item_id))

    async def search(
        self,
        name: str,
        query: Query,
        *,
        limit: int | None = None,
        score_threshold: float | None = None,
        filter: Filter | None = None,  # noqa: A002 - the wire's name
        exact: bool | None = None,
    ) -> tuple[Hit, ...]:
        """The items most like a text, an image, a vector or a stored item, best first.

        They have cosines of `score_threshold` or more and match `filter`: as many as `limit` if there are so many.
        `exact` compares with every vector.
        """
        options = {"limit": limit, "score_threshold": score_threshold, "filter": filter, "exact": exact}
        return await self._transport.send(wire.search(name, await self._transport.read(query), **options))

    async def search_like(
        self, name: str, item_id: str, *, limit: int | None = None, score_threshold: float | None = None
    ) -> tuple[Hit, ...]:
        """The items most like a stored one."""
        return await self.search(name, StoredId(item_id), limit=limit, score_threshold=score_threshold)

    async def search_pages(
        self,
        name: str,
        query: Query,
        *,
        page_hits: int | None = None,
        filter: Filter | None = None,  # noqa: A002 - the wire's name
    ) -> AsyncIterator[tuple[Hit, ...]]:
        """Page after page of a search, fetched as they are asked for; items written meanwhile are on none."""
        options = {"limit": page_hits, "filter": filter}
        query = await self._transport.read(query)
        page = await self._transport.send(wire.search_page(name, query, **options))
        yield page.hits
        while page.next is not None:
            page = await self._transport.send(wire.search_page(name, query, **options, after=page.next))
            yield page.hits

    async def search_groups(
        self,
        name: str,
        query: Query,
        *,
        group_by: str,
        group_size: int | None = None,
        limit: int | None = None,
        score_threshold: float | None = None,
        filter: Filter | None = None,  # noqa: A002 - the wire's name
        exact: bool | None = None,
    ) -> tuple[Group, ...]:
        """The `limit` nearest groups of items with the same value at a payload key, dotted, or the same `$label`."""
        options = {"limit": limit, "score_threshold": score_threshold, "filter": filter, "exact": exact}
        query = await self._transport.read(query)
        return await self._transport.send(
            wire.search_groups(name, query, group_by=group_by, group_size=group_size, **options)
        )

    async def count(self, name: str, filter: Filter | None = None) -> int:  # noqa: A002 - the wire's name
        """How many items match; without a filter, how many there are."""
        return await self._transport.send(wire.count(name, filter))

    async def delete_items(
        self,
        name: str,
        *,
        ids: Sequence[str] | None = None,
        filter: Filter | None = None,  # noqa: A002 - the wire's name
        everything: bool = False,
    ) -> int:
        """Delete the items of some ids, those that match, or every one, and say how many there were."""
        return await self._transport.send(wire.delete_items(name, ids=ids, filter=filter, everything=everything))

    async def create_payload_index(self, name: str, key: str) -> None:
        """Make filters on a payload key quick."""
        await self._transport.send(wire.create_payload_index(name, key))

    async def delete_payload_index(self, name: str, key: str) -> None:
        """Keep that index no longer."""
        await self._transport.send(wire.delete_payload_index(name, key))

    async def upsert_vectors(
        self,
        name: str,
        ids: Sequence[str],
        vectors: NDArray[np.floating[Any]],
        *,
        labels: Sequence[str | None] | None = None,
        payloads: Sequence[Mapping[str, Any] | str | None] | None = None,
        fingerprint: str | None = None,
    ) -> Upserted:
        """Store many items whose vectors are there already, `[n, d]` of any length, all or none; the fastest way in.

        A payload that is a `str` is JSON already. With the `fingerprint` of the encoder that computed the vectors, the
        server refuses them (`Conflict`) if the collection holds another's.
        """
        # pyarrow takes a quarter of a second to import, and only those who send vectors need it.
        from simila_client.arrow import items_stream  # noqa: PLC0415

        stream = items_stream(ids, vectors, labels, payloads)
        return await self._transport.send(wire.upsert_vectors(name, stream, fingerprint=fingerprint))

    async def back_up(self, name: str, path: Path, *, on_bytes: OnBytes = ignore) -> None:
        """Write a collection, as it is at one moment, to one file; one that is there is replaced at the end."""
        await self._transport.download(wire.back_up(name), path, on_bytes)

    async def restore(self, name: str, path: Path, *, replace: bool = False, on_bytes: OnBytes = ignore) -> Collection:
        """Make a collection out of a backup, checked whole; one of this name is replaced only with `replace`."""
        return await self._transport.upload(wire.restore(name, replace=replace), path, on_bytes)

    async def export(
        self,
        name: str,
        path: Path,
        *,
        filter: Filter | None = None,  # noqa: A002 - the wire's name
        on_bytes: OnBytes = ignore,
    ) -> None:
        """Write the items that match, with vectors, to a Parquet file; one that is there is replaced at the end."""
        await self._transport.download(wire.export(name, filter), path, on_bytes)
