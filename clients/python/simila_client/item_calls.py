"""The part of the blocking client that keeps the items of collections."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simila_client import item_wire as wire
from simila_client.bodies import listed
from simila_client.results import Filter, Item, ItemPage, Relabelled, StoredItem, Upserted
from simila_client.transport import Transport


class ItemCalls:
    """Methods of `Simila`."""

    _transport: Transport

    def upsert(self, name: str, items: Sequence[Item]) -> Upserted:
        """Store items, all or none; when this returns they are durable and can be found."""
        return self._transport.send(wire.upsert(name, self._transport.read_all(listed("items", items, Item))))

    def items(self, name: str, *, after: int | None = None, limit: int | None = None) -> ItemPage:
        """One page of the stored items, those with a sequence above `after`."""
        return self._transport.send(wire.items(name, after=after, limit=limit))

    def all_items(self, name: str, *, page_items: int | None = None) -> Iterator[StoredItem]:
        """Every stored item by ascending sequence, fetched page by page."""
        page = self.items(name, limit=page_items)
        yield from page.items
        while page.next is not None:
            page = self.items(name, after=page.next, limit=page_items)
            yield from page.items

    def scroll(
        self,
        name: str,
        *,
        filter: Filter | None = None,  # noqa: A002 - the wire's name
        with_vectors: bool = False,
        page_items: int | None = None,
    ) -> Iterator[StoredItem]:
        """Every stored item that matches, by ascending sequence, with its vector if that is wanted."""
        options = {"filter": filter, "with_vectors": with_vectors or None, "limit": page_items}
        page = self._transport.send(wire.scroll(name, **options))
        yield from page.items
        while page.next is not None:
            page = self._transport.send(wire.scroll(name, **options, after=page.next))
            yield from page.items

    def item(self, name: str, item_id: str, *, vector: bool = False) -> StoredItem:
        """One stored item, with its vector if that is wanted."""
        return self._transport.send(wire.item(name, item_id, vector=vector))

    def relabel(self, name: str, item_id: str, label: str | None) -> Upserted:
        """Give an item another label, or none; class means and searches know it when this returns."""
        return self._transport.send(wire.relabel(name, item_id, label))

    def relabel_many(self, name: str, ids: Sequence[str], label: str | None) -> Relabelled:
        """The same for many items, all or none; ids of no item are passed over."""
        return self._transport.send(wire.relabel_many(name, ids, label))

    def thumbnail(self, name: str, item_id: str, *, edge_pixels: int | None = None) -> bytes:
        """A JPEG of the image that the collection keeps, its longer edge of so many pixels; `NotFound` without one."""
        return self._transport.send(wire.thumbnail(name, item_id, edge_pixels=edge_pixels))

    def delete_item(self, name: str, item_id: str) -> None:
        """Take an item out of search and out of its label's class mean."""
        self._transport.send(wire.delete_item(name, item_id))

    def count(self, name: str, filter: Filter | None = None) -> int:  # noqa: A002 - the wire's name
        """How many items match; without a filter, how many there are."""
        return self._transport.send(wire.count(name, filter))

    def delete_items(
        self,
        name: str,
        *,
        ids: Sequence[str] | None = None,
        filter: Filter | None = None,  # noqa: A002 - the wire's name
        everything: bool = False,
    ) -> int:
        """Delete the items of some ids, those that match, or every one, and say how many there were."""
        return self._transport.send(wire.delete_items(name, ids=ids, filter=filter, everything=everything))

    def upsert_vectors(
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
        return self._transport.send(wire.upsert_vectors(name, stream, fingerprint=fingerprint))
