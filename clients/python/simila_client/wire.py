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
    segments,
    with_given,
)
from simila_client.embedding_types import checked, codes_of, unit_vectors
from simila_client.request import MESSAGE_PACK, Json, Request
from simila_client.results import (
    Certificate,
    Collection,
    Content,
    Embeddings,
    Filter,
    Group,
    Hit,
    HitPage,
    Input,
    InputError,
    Migration,
    Model,
    Query,
    Ranked,
    StoredId,
)

T = TypeVar("T")


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


def model(name: str) -> Request[Model]:
    return Request("GET", f"/v1/models/{path_segment(name)}", _model)


def rerank(model: str, query: Content, documents: Sequence[Content], **options: Json) -> Request[tuple[Ranked, ...]]:
    body = {"model": model, "query": _document(query), "documents": [_document(one) for one in documents]}
    return Request("POST", "/v1/rerank", _ranked, with_given(body, **options), is_pure=True)


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


def back_up(name: str) -> Request[None]:
    return Request("GET", collection_path(name, "backup"), nothing)


def restore(name: str, *, replace: bool = False) -> Request[Collection]:
    """Without the backup: whoever sends this puts the file below it."""
    path = collection_path(name, "backup") + ("?replace=true" if replace else "")
    return Request("PUT", path, _collection, headers={"content-type": "application/vnd.sqlite3"})


def export(name: str, filter: Filter | None = None) -> Request[None]:  # noqa: A002 - the wire's name
    query = {} if filter is None else {"filter": json.dumps(filter, ensure_ascii=False)}
    return Request("GET", f"{collection_path(name, 'export')}?{urlencode({'format': 'parquet', **query})}", nothing)


def search(name: str, query: Query, **options: Json) -> Request[tuple[Hit, ...]]:
    return Request("POST", collection_path(name, "search"), _hits, _search(query, options), is_pure=True)


def search_page(name: str, query: Query, **options: Json) -> Request[HitPage]:
    return Request("POST", collection_path(name, "search"), _hit_page, _search(query, options), is_pure=True)


def search_groups(name: str, query: Query, **options: Json) -> Request[tuple[Group, ...]]:
    return Request("POST", collection_path(name, "search"), _groups, _search(query, options), is_pure=True)


def search_many(
    name: str, queries: Sequence[Query], *, on_error: str | None = None, **options: Json
) -> Request[tuple[tuple[Hit, ...] | InputError, ...]]:
    searches = [_search(query, options) for query in listed("queries", queries)]
    body = with_given({"searches": searches}, on_error=on_error)
    return Request("POST", collection_path(name, "search", "batch"), _many_hits, body, is_pure=True)


def create_payload_index(name: str, key: str) -> Request[None]:
    return Request("PUT", collection_path(name, "indexes", segments(key, "a payload key")), nothing)


def delete_payload_index(name: str, key: str) -> Request[None]:
    return Request("DELETE", collection_path(name, "indexes", segments(key, "a payload key")), nothing)


def _search(query: Query, options: Mapping[str, Json]) -> dict[str, Json]:
    by = {"id": query.id} if isinstance(query, StoredId) else content_body(query)
    return with_given(by, **options)


def _document(content: Content) -> Json:
    return content if isinstance(content, str) else content_body(content)


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


def _hits(body: Json) -> tuple[Hit, ...]:
    return tuple(Hit(one["id"], one["score"], one["label"], one["payload"]) for one in body["results"])


def _many_hits(body: Json) -> tuple[tuple[Hit, ...] | InputError, ...]:
    return tuple(
        InputError(one["error"]["message"], one["error"]["code"]) if "error" in one else _hits(one)
        for one in body["data"]
    )


def _ranked(body: Json) -> tuple[Ranked, ...]:
    return tuple(Ranked(one["index"], one["relevance_score"]) for one in body["results"])


def _hit_page(body: Json) -> HitPage:
    return HitPage(hits=_hits(body), next=body["next"])


def _groups(body: Json) -> tuple[Group, ...]:
    return tuple(Group(one["value"], _hits(one)) for one in body["groups"])
