"""The wire format without I/O: calls become requests, answers become results or errors.

A shell, whether it blocks or awaits, sends `Request.method`, `.path`, `.all_headers()` and `.body()` and hands the
answer to `parse_response`; nothing else is written twice. What each call means is documented at the shell's method of
its name.
"""

import base64
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeVar
from urllib.parse import urlencode

import numpy as np

from simila_client.bodies import (
    collection_path,
    content_body,
    content_form,
    has_images,
    listed,
    nothing,
    path_segment,
    with_given,
)
from simila_client.embedding_types import checked, codes_of, unit_vectors
from simila_client.errors import InvalidArgument
from simila_client.request import MESSAGE_PACK, Json, Request
from simila_client.results import (
    Certificate,
    Collection,
    Embeddings,
    Filter,
    Group,
    Hit,
    HitPage,
    Input,
    InputError,
    Item,
    ItemPage,
    Migration,
    Model,
    Query,
    StoredId,
    StoredItem,
    Upserted,
)

T = TypeVar("T")

ARROW_STREAM = "application/vnd.apache.arrow.stream"


def embed(
    inputs: Sequence[Input],
    *,
    model: str,
    dimensions: int | None = None,
    truncate: bool | None = None,
    embedding_type: str | None = None,
    task: str | None = None,
    on_error: str | None = None,
) -> Request[Embeddings]:
    contents = listed("inputs", inputs)
    options = with_given(
        {"model": model, "encoding_format": "base64"},
        dimensions=dimensions,
        truncate=truncate,
        embedding_type=embedding_type,
        task=task,
        on_error=on_error,
    )
    read = partial(_embeddings, checked(embedding_type))
    accept = {"accept": MESSAGE_PACK}
    if has_images(contents):
        media_type, form = content_form(options, contents)
        headers = {"content-type": media_type, **accept}
        return Request("POST", "/v1/embeddings", read, content=form, headers=headers, is_pure=True)
    body = {**options, "input": [content_body(one) for one in contents]}
    return Request("POST", "/v1/embeddings", read, body, headers=accept, is_pure=True)


def names(contents: Sequence[Input]) -> list[str]:
    """What the server's errors call each of the contents of `embed`: in a form, each field counts its own."""
    if not has_images(contents):
        return [f"input[{at}]" for at in range(len(contents))]
    counts = Counter[str]()
    found = []
    for one in contents:
        field = "input" if isinstance(one, str) else "image"
        found.append(f"{field}[{counts[field]}]")
        counts[field] += 1
    return found


def models() -> Request[tuple[Model, ...]]:
    return Request("GET", "/v1/models", lambda body: tuple(_model(one) for one in body["data"]))


def load_model(name: str) -> Request[Model]:
    return Request("POST", f"/v1/models/{path_segment(name)}/load", _model, {})


def unload_model(name: str) -> Request[Model]:
    return Request("POST", f"/v1/models/{path_segment(name)}/unload", _model, {})


def aliases() -> Request[dict[str, str]]:
    return Request("GET", "/v1/aliases", _aliases)


def set_alias(alias: str, model: str) -> Request[dict[str, str]]:
    return Request("PUT", f"/v1/aliases/{path_segment(alias)}", _aliases, {"model": model})


def delete_alias(alias: str) -> Request[dict[str, str]]:
    return Request("DELETE", f"/v1/aliases/{path_segment(alias)}", _aliases)


def create_collection(name: str, encoder: str, **options: Json) -> Request[Collection]:
    return Request("PUT", collection_path(name), _collection, with_given({"encoder": encoder}, **options))


def migrate(name: str, encoder: str) -> Request[Migration]:
    return Request("POST", collection_path(name, "migrate"), _migration, {"encoder": encoder})


def migration(name: str) -> Request[Migration | None]:
    return Request("GET", collection_path(name, "migrate"), lambda body: body and _migration(body))


def collections() -> Request[tuple[Collection, ...]]:
    return Request("GET", "/v1/collections", lambda body: tuple(_collection(one) for one in body["data"]))


def collection(name: str) -> Request[Collection]:
    return Request("GET", collection_path(name), _collection)


def delete_collection(name: str) -> Request[None]:
    return Request("DELETE", collection_path(name), nothing)


def upsert(name: str, items: Sequence[Item]) -> Request[Upserted]:
    body = {"items": [_item(item) for item in listed("items", items)]}
    return Request("POST", collection_path(name, "items"), _upserted, body)


def upsert_vectors(name: str, stream: bytes, *, fingerprint: str | None = None) -> Request[Upserted]:
    headers = {"content-type": ARROW_STREAM, **({"x-simila-fingerprint": fingerprint} if fingerprint else {})}
    return Request("POST", collection_path(name, "items"), _upserted, content=stream, headers=headers)


def back_up(name: str) -> Request[None]:
    return Request("GET", collection_path(name, "backup"), nothing)


def restore(name: str, *, replace: bool = False) -> Request[Collection]:
    """Without the backup: whoever sends this puts the file below it."""
    path = collection_path(name, "backup") + ("?replace=true" if replace else "")
    return Request("PUT", path, _collection, headers={"content-type": "application/vnd.sqlite3"})


def export(name: str, filter: Filter | None = None) -> Request[None]:  # noqa: A002 - the wire's name
    query = {} if filter is None else {"filter": json.dumps(filter, ensure_ascii=False)}
    return Request("GET", f"{collection_path(name, 'export')}?{urlencode({'format': 'parquet', **query})}", nothing)


def items(name: str, *, after: int | None = None, limit: int | None = None) -> Request[ItemPage]:
    query = urlencode(with_given({}, after=after, limit=limit))
    return Request("GET", collection_path(name, "items") + (f"?{query}" if query else ""), _item_page)


def item(name: str, item_id: str) -> Request[StoredItem]:
    return Request("GET", collection_path(name, "items", _item_path(item_id)), _stored_item)


def delete_item(name: str, item_id: str) -> Request[None]:
    return Request("DELETE", collection_path(name, "items", _item_path(item_id)), nothing)


def search(name: str, query: Query, **options: Json) -> Request[tuple[Hit, ...]]:
    return Request("POST", collection_path(name, "search"), _hits, _search(query, options), is_pure=True)


def search_page(name: str, query: Query, **options: Json) -> Request[HitPage]:
    return Request("POST", collection_path(name, "search"), _hit_page, _search(query, options), is_pure=True)


def search_groups(name: str, query: Query, **options: Json) -> Request[tuple[Group, ...]]:
    return Request("POST", collection_path(name, "search"), _groups, _search(query, options), is_pure=True)


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


def create_payload_index(name: str, key: str) -> Request[None]:
    return Request("PUT", collection_path(name, "indexes", _segments(key, "a payload key")), nothing)


def delete_payload_index(name: str, key: str) -> Request[None]:
    return Request("DELETE", collection_path(name, "indexes", _segments(key, "a payload key")), nothing)


def _item_path(item_id: str) -> str:
    return _segments(item_id, "an id of an item")


def _segments(text: str, what: str) -> str:
    if not text:
        raise InvalidArgument(f"'' is not {what}")
    return "/".join(path_segment(part) for part in text.split("/"))


def _search(query: Query, options: Mapping[str, Json]) -> dict[str, Json]:
    by = {"id": query.id} if isinstance(query, StoredId) else content_body(query)
    return with_given(by, **options)


def _item(one: Item) -> dict[str, Json]:
    return with_given({"id": one.id, **content_body(one.content)}, label=one.label, payload=one.payload)


def _embeddings(embedding_type: str, body: Json) -> Embeddings:
    rows = sorted(body["data"], key=lambda row: row["index"])
    errors = {row["index"]: InputError(row["error"]["message"], row["error"]["code"]) for row in rows if "error" in row}
    octets = [None if row["index"] in errors else _octets(row["embedding"]) for row in rows]
    codes = codes_of(octets, embedding_type)
    vectors = unit_vectors(codes, embedding_type)
    vectors[list(errors)] = np.nan
    return Embeddings(
        vectors=vectors,
        codes=codes,
        truncated=tuple(bool(row.get("truncated", False)) for row in rows),
        model=body["model"],
        prompt_tokens=body["usage"]["prompt_tokens"],
        total_tokens=body["usage"]["total_tokens"],
        errors=errors,
    )


def _octets(values: str | bytes) -> bytes:
    # MessagePack has octets; JSON, which answers where a proxy knows nothing else, has base64.
    return values if isinstance(values, bytes) else base64.b64decode(values, validate=True)


def _model(body: Json) -> Model:
    return Model(
        id=body["id"],
        description=body["description"],
        licence=body["licence"],
        state=body["state"],
        error=body["error"],
        modalities=tuple(body["modalities"]),
        dimension=body["dimension"],
        fingerprint=body["fingerprint"],
        certificates={
            modality: Certificate(one["floor"], one["lowest_cosine"], one["inputs"])
            for modality, one in body["certificates"].items()
        },
        version=body.get("version"),
        devices=body.get("devices", {}),
        aliases=tuple(body.get("aliases", ())),
    )


def _aliases(body: Json) -> dict[str, str]:
    return {one["alias"]: one["model"] for one in body["data"]}


def _collection(body: Json) -> Collection:
    return Collection(
        name=body["name"],
        state=body["state"],
        error=body["error"],
        encoder=body["encoder"],
        fingerprint=body["fingerprint"],
        dimension=body["dimension"],
        created_at=body["created_at"],
        items=body["items"],
        labels=body["labels"],
        disk_bytes=body.get("disk_bytes"),
        payload_indexes=tuple(body.get("payload_indexes") or ()),
        index=body.get("index"),
    )


def _migration(body: Json) -> Migration:
    return Migration(body["encoder"], body["state"], body["items_done"], body["items_total"], body["error"])


def _upserted(body: Json) -> Upserted:
    return Upserted(count=body["upserted"], sequence=body["sequence"])


def _stored_item(body: Json) -> StoredItem:
    return StoredItem(id=body["id"], label=body["label"], payload=body["payload"], sequence=body["sequence"])


def _item_page(body: Json) -> ItemPage:
    return ItemPage(items=tuple(_stored_item(one) for one in body["data"]), next=body["next"])


def _hits(body: Json) -> tuple[Hit, ...]:
    return tuple(Hit(one["id"], one["score"], one["label"], one["payload"]) for one in body["results"])


def _hit_page(body: Json) -> HitPage:
    return HitPage(hits=_hits(body), next=body["next"])


def _groups(body: Json) -> tuple[Group, ...]:
    return tuple(Group(one["value"], _hits(one)) for one in body["groups"])
