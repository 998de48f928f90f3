"""The blocking client: `wire` over httpx."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from types import TracebackType
from typing import Self, TypeVar

import httpx

from simila_client import wire
from simila_client.errors import ConnectionFailed, InvalidArgument, TimedOut
from simila_client.results import (
    Classification,
    Collection,
    Content,
    Embeddings,
    Filter,
    Group,
    Hit,
    Input,
    Item,
    ItemPage,
    Model,
    Query,
    StoredId,
    StoredItem,
    Upserted,
)

T = TypeVar("T")


class Simila:
    """A connection to one Simila server; every method may raise a `SimilaClientError`.

    In `embed`, `classify`, `search` and items, a `str` is a text and `bytes` are an encoded image. Before anything is
    sent, `InvalidArgument`, which is a `ValueError` too, is raised for a name that is no path segment and for what has
    no form in JSON (NaN, a lone surrogate, a payload's foreign object); `TypeError` for one text or image where a list
    is meant.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        timeout_seconds: float = 60,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Open no connection yet. The environment's proxy is used, but never for an address of this machine.

        Raises:
            InvalidArgument: `base_url` is no http or https address, or the environment's proxy cannot be used.

        """
        try:
            url = httpx.URL(base_url)
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise InvalidArgument(f"{base_url!r} is no address of a server: {error}") from error
        if url.scheme not in {"http", "https"} or not url.host:
            raise InvalidArgument(f"{base_url!r} is no address of a server; write it as http://127.0.0.1:8000")
        self._timeout_seconds = timeout_seconds
        try:
            self._http = httpx.Client(
                base_url=url, timeout=timeout_seconds, transport=transport, trust_env=not _is_this_machine(url.host)
            )
        except (httpx.InvalidURL, ValueError, ImportError) as error:
            message = f"the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names cannot be used: {error}"
            raise InvalidArgument(message) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the sockets."""
        self._http.close()

    def models(self) -> tuple[Model, ...]:
        """The encoders that the server knows, with their parity certificates."""
        return self._send(wire.models())

    def embed(
        self, inputs: Sequence[Input], *, model: str, dimensions: int | None = None, truncate: bool | None = None
    ) -> Embeddings:
        """Vectors of texts and images, `float32 [n, d], unit length`, in the order of `inputs`.

        `dimensions` keeps the leading ones, unit length again. With `truncate` false, a text past the encoder's
        context length is refused; otherwise it is cut, and flagged.
        """
        return self._send(wire.embed(inputs, model=model, dimensions=dimensions, truncate=truncate))

    def classify(
        self,
        inputs: Sequence[Input],
        *,
        model: str,
        labels: Sequence[str],
        templates: Sequence[str] | None = None,
        top_k: int | None = None,
    ) -> tuple[Classification, ...]:
        """Zero-shot classification: which of `labels` each input is, the labels put into `templates` at `{}`."""
        return self._send(wire.classify(inputs, model=model, labels=labels, templates=templates, top_k=top_k))

    def create_collection(self, name: str, encoder: str) -> Collection:
        """Create a collection, or return the one that is there with the same encoder."""
        return self._send(wire.create_collection(name, encoder))

    def collections(self) -> tuple[Collection, ...]:
        """All collections."""
        return self._send(wire.collections())

    def collection(self, name: str) -> Collection:
        """One collection."""
        return self._send(wire.collection(name))

    def delete_collection(self, name: str) -> None:
        """Delete a collection with all its items."""
        self._send(wire.delete_collection(name))

    def upsert(self, name: str, items: Sequence[Item]) -> Upserted:
        """Store items, all or none; when this returns they are durable and can be found."""
        return self._send(wire.upsert(name, items))

    def items(self, name: str, *, after: int | None = None, limit: int | None = None) -> ItemPage:
        """One page of the stored items, those with a sequence above `after`."""
        return self._send(wire.items(name, after=after, limit=limit))

    def all_items(self, name: str, *, page_items: int | None = None) -> Iterator[StoredItem]:
        """Every stored item by ascending sequence, fetched page by page."""
        page = self.items(name, limit=page_items)
        yield from page.items
        while page.next is not None:
            page = self.items(name, after=page.next, limit=page_items)
            yield from page.items

    def item(self, name: str, item_id: str) -> StoredItem:
        """One stored item."""
        return self._send(wire.item(name, item_id))

    def delete_item(self, name: str, item_id: str) -> None:
        """Take an item out of search and out of its label's class mean."""
        self._send(wire.delete_item(name, item_id))

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
        return self._send(wire.search(name, query, **options))

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
        page = self._send(wire.search_page(name, query, **options))
        yield page.hits
        while page.next is not None:
            page = self._send(wire.search_page(name, query, **options, after=page.next))
            yield page.hits

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
        return self._send(wire.search_groups(name, query, group_by=group_by, group_size=group_size, **options))

    def count(self, name: str, filter: Filter | None = None) -> int:  # noqa: A002 - the wire's name
        """How many items match; without a filter, how many there are."""
        return self._send(wire.count(name, filter))

    def delete_items(
        self,
        name: str,
        *,
        ids: Sequence[str] | None = None,
        filter: Filter | None = None,  # noqa: A002 - the wire's name
        everything: bool = False,
    ) -> int:
        """Delete the items of some ids, those that match, or every one, and say how many there were."""
        return self._send(wire.delete_items(name, ids=ids, filter=filter, everything=everything))

    def create_payload_index(self, name: str, key: str) -> None:
        """Make filters on a payload key quick."""
        self._send(wire.create_payload_index(name, key))

    def delete_payload_index(self, name: str, key: str) -> None:
        """Keep that index no longer."""
        self._send(wire.delete_payload_index(name, key))

    def classify_by_example(
        self, name: str, inputs: Sequence[Content], *, top_k: int | None = None
    ) -> tuple[Classification, ...]:
        """Nearest-mean classification: which of the collection's labels each input is."""
        return self._send(wire.classify_by_example(name, inputs, top_k=top_k))

    def _send(self, request: wire.Request[T]) -> T:
        body = request.body()
        headers = {"content-type": "application/json"} if body else None
        try:
            answer = self._http.request(request.method, request.path, content=body, headers=headers)
        except httpx.InvalidURL as error:
            raise InvalidArgument(f"{request.path[:100]!r} is no path of a URL: {error}") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            message = f"no server answers at {self._http.base_url}; start one with: simila serve"
            raise ConnectionFailed(message) from error
        except httpx.TimeoutException as error:
            message = f"{request.method} {request.path} was not answered within {self._timeout_seconds:g} s"
            raise TimedOut(message) from error
        except httpx.RequestError as error:
            raise ConnectionFailed(f"the connection to {self._http.base_url} broke: {error}") from error
        return wire.parse_response(request, answer.status_code, answer.headers, answer.content)


def _is_this_machine(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        # RFC 6761, section 6.3: names below localhost are loopback too.
        return host.rstrip(".").rpartition(".")[2] == "localhost"
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)
