"""The wire format of a collection's items, without I/O, as `wire` is."""

from collections.abc import Sequence
from urllib.parse import urlencode

import numpy as np

from simila_client.bodies import collection_path, content_body, listed, nothing, segments, with_given
from simila_client.request import Json, Request
from simila_client.results import Filter, Item, ItemPage, Relabelled, StoredItem, Upserted

ARROW_STREAM = "application/vnd.apache.arrow.stream"


def upsert(name: str, items: Sequence[Item]) -> Request[Upserted]:
    body = {"items": [_item(item) for item in listed("items", items)]}
    return Request("POST", collection_path(name, "items"), _upserted, body)


def upsert_vectors(name: str, stream: bytes, *, fingerprint: str | None = None) -> Request[Upserted]:
    headers = {"content-type": ARROW_STREAM, **({"x-simila-fingerprint": fingerprint} if fingerprint else {})}
    return Request("POST", collection_path(name, "items"), _upserted, content=stream, headers=headers)


def items(name: str, *, after: int | None = None, limit: int | None = None) -> Request[ItemPage]:
    query = urlencode(with_given({}, after=after, limit=limit))
    return Request("GET", collection_path(name, "items") + (f"?{query}" if query else ""), _item_page)


def scroll(name: str, **options: Json) -> Request[ItemPage]:
    return Request(
        "POST", collection_path(name, "items", "scroll"), _item_page, with_given({}, **options), is_pure=True
    )


def item(name: str, item_id: str, *, vector: bool = False) -> Request[StoredItem]:
    query = "?vector=true" if vector else ""
    return Request("GET", collection_path(name, "items", _item_path(item_id)) + query, _stored_item)


def relabel(name: str, item_id: str, label: str | None) -> Request[Upserted]:
    return Request("PATCH", collection_path(name, "items", _item_path(item_id)), _upserted, {"label": label})


def relabel_many(name: str, ids: Sequence[str], label: str | None) -> Request[Relabelled]:
    body = {"ids": listed("ids", ids), "label": label}
    return Request("PATCH", collection_path(name, "items"), _relabelled, body)


def thumbnail(name: str, item_id: str, *, edge_pixels: int | None = None) -> Request[bytes]:
    query = "" if edge_pixels is None else f"?size={edge_pixels}"
    return Request("GET", collection_path(name, "thumbnails", _item_path(item_id)) + query, _octets)


def delete_item(name: str, item_id: str) -> Request[None]:
    return Request("DELETE", collection_path(name, "items", _item_path(item_id)), nothing)


def count(name: str, filter: Filter | None = None) -> Request[int]:  # noqa: A002 - the wire's name
    return Request(
        "POST", collection_path(name, "count"), lambda body: int(body["count"]), with_given({}, filter=filter)
    )


def delete_items(
    name: str,
    *,
    ids: Sequence[str] | None = None,
    filter: Filter | None = None,  # noqa: A002 - the wire's name
    everything: bool = False,
) -> Request[int]:
    body = with_given({}, ids=None if ids is None else listed("ids", ids), filter=filter, all=everything or None)
    return Request("POST", collection_path(name, "items", "delete"), lambda answer: int(answer["deleted"]), body)


def _item_path(item_id: str) -> str:
    return segments(item_id, "an id of an item")


def _item(one: Item) -> dict[str, Json]:
    return with_given({"id": one.id, **content_body(one.content)}, label=one.label, payload=one.payload)


def _upserted(body: Json) -> Upserted:
    return Upserted(count=body["upserted"], sequence=body["sequence"])


def _stored_item(body: Json) -> StoredItem:
    given = body.get("vector")
    vector = None if given is None else np.array(given, dtype=np.float32)
    return StoredItem(body["id"], body["label"], body["payload"], body["sequence"], vector)


def _item_page(body: Json) -> ItemPage:
    return ItemPage(items=tuple(_stored_item(one) for one in body["data"]), next=body["next"])


def _relabelled(body: Json) -> Relabelled:
    return Relabelled(count=body["relabelled"], sequence=body["sequence"], missing=tuple(body["missing"]))


def _octets(body: Json) -> bytes:
    if not isinstance(body, bytes):
        raise TypeError("it is no image")
    return body
