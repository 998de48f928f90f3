"""The blocking client: `wire` over httpx."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from simila_client import wire
from simila_client.bodies import listed
from simila_client.classifier_calls import ClassifierCalls
from simila_client.connection import Connection
from simila_client.embedding_calls import EmbeddingCalls
from simila_client.item_calls import ItemCalls
from simila_client.map_calls import MapCalls
from simila_client.model_calls import ModelCalls
from simila_client.results import (
    Collection,
    Filter,
    Group,
    Hit,
    InputError,
    Migration,
    Query,
    StoredId,
)
from simila_client.retries import Retries
from simila_client.transport import OnBytes, Transport, ignore


class Simila(EmbeddingCalls, ItemCalls, ClassifierCalls, MapCalls, ModelCalls):
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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Open no connection yet. The environment's proxy is used, but never for an address of this machine.

        Raises:
            InvalidArgument: `base_url` is no http or https address, `api_key` no text for a header, or the
                environment's proxy cannot be used.

        """
        connection = Connection(base_url, api_key=api_key, timeout_seconds=timeout_seconds)
        self._transport = Transport(connection, Retries(max_retries), transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the sockets."""
        self._transport.close()

    def create_collection(
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
        return self._transport.send(wire.create_collection(name, encoder, **options))

    def migrate(self, name: str, encoder: str) -> Migration:
        """Begin to embed a collection again with another encoder; it serves meanwhile and switches at the end."""
        return self._transport.send(wire.migrate(name, encoder))

    def migration(self, name: str) -> Migration | None:
        """How far the newest migration is; None if there was none since the server started."""
        return self._transport.send(wire.migration(name))

    def collections(self) -> tuple[Collection, ...]:
        """All collections."""
        return self._transport.send(wire.collections())

    def collection(self, name: str) -> Collection:
        """One collection."""
        return self._transport.send(wire.collection(name))

    def delete_collection(self, name: str) -> None:
        """Delete a collection with all its items."""
        self._transport.send(wire.delete_collection(name))

    def search(
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
        return self._transport.send(wire.search(name, self._transport.read(query), **options))

    def search_like(
        self, name: str, item_id: str, *, limit: int | None = None, score_threshold: float | None = None
    ) -> tuple[Hit, ...]:
        """The items most like a stored one."""
        return self.search(name, StoredId(item_id), limit=limit, score_threshold=score_threshold)

    def search_pages(
        self,
        name: str,
        query: Query,
        *,
        page_hits: int | None = None,
        filter: Filter | None = None,  # noqa: A002 - the wire's name
    ) -> Iterator[tuple[Hit, ...]]:
        """Page after page of a search, fetched as they are asked for; items written meanwhile are on none."""
        options = {"limit": page_hits, "filter": filter}
        query = self._transport.read(query)
        page = self._transport.send(wire.search_page(name, query, **options))
        yield page.hits
        while page.next is not None:
            page = self._transport.send(wire.search_page(name, query, **options, after=page.next))
            yield page.hits

    def search_many(
        self,
        name: str,
        queries: Sequence[Query],
        *,
        limit: int | None = None,
        score_threshold: float | None = None,
        filter: Filter | None = None,  # noqa: A002 - the wire's name
        exact: bool | None = None,
        on_error: str | None = None,
    ) -> tuple[tuple[Hit, ...] | InputError, ...]:
        """`search` by each of several queries, in one request; with an `on_error` of `partial` one fails alone."""
        options = {"limit": limit, "score_threshold": score_threshold, "filter": filter, "exact": exact}
        contents = self._transport.read_all(listed("queries", queries))
        return self._transport.send(wire.search_many(name, contents, on_error=on_error, **options))

    def search_groups(
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
        query = self._transport.read(query)
        return self._transport.send(
            wire.search_groups(name, query, group_by=group_by, group_size=group_size, **options)
        )

    def create_payload_index(self, name: str, key: str) -> None:
        """Make filters on a payload key quick."""
        self._transport.send(wire.create_payload_index(name, key))

    def delete_payload_index(self, name: str, key: str) -> None:
        """Keep that index no longer."""
        self._transport.send(wire.delete_payload_index(name, key))

    def back_up(self, name: str, path: Path, *, on_bytes: OnBytes = ignore) -> None:
        """Write a collection, as it is at one moment, to one file; one that is there is replaced at the end."""
        self._transport.download(wire.back_up(name), path, on_bytes)

    def restore(self, name: str, path: Path, *, replace: bool = False, on_bytes: OnBytes = ignore) -> Collection:
        """Make a collection out of a backup, checked whole; one of this name is replaced only with `replace`."""
        return self._transport.upload(wire.restore(name, replace=replace), path, on_bytes)

    def export(
        self,
        name: str,
        path: Path,
        *,
        filter: Filter | None = None,  # noqa: A002 - the wire's name
        on_bytes: OnBytes = ignore,
    ) -> None:
        """Write the items that match, with vectors, to a Parquet file; one that is there is replaced at the end."""
        self._transport.download(wire.export(name, filter), path, on_bytes)
