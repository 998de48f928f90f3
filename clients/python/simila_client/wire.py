"""The wire format without I/O: calls become requests, answers become results or errors.

A shell, whether it blocks or awaits, sends `Request.method`, `.path`, `.all_headers()` and `.body()` and hands the
answer to `parse_response`; nothing else is written twice. What each call means is documented at the shell's method of
its name.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote, urlencode

import numpy as np

from simila_client.errors import InvalidArgument
from simila_client.evaluations import ClassFigures, Evaluation, Forgotten
from simila_client.request import Json, Request
from simila_client.results import (
    Certificate,
    Classification,
    Classifier,
    Collection,
    Content,
    Embeddings,
    Example,
    Filter,
    Group,
    Hit,
    HitPage,
    Input,
    Item,
    ItemPage,
    Migration,
    Model,
    Prediction,
    Query,
    StoredId,
    StoredItem,
    Trained,
    Upserted,
)

T = TypeVar("T")

ARROW_STREAM = "application/vnd.apache.arrow.stream"


def embed(
    inputs: Sequence[Input], *, model: str, dimensions: int | None = None, truncate: bool | None = None
) -> Request[Embeddings]:
    contents = [_content(one) for one in _list("inputs", inputs)]
    body = {"model": model, "input": contents, "encoding_format": "base64"}
    return Request("POST", "/v1/embeddings", _embeddings, _given(body, dimensions=dimensions, truncate=truncate))


def classify(
    inputs: Sequence[Input],
    *,
    model: str,
    labels: Sequence[str],
    templates: Sequence[str] | None = None,
    top_k: int | None = None,
) -> Request[tuple[Classification, ...]]:
    contents = [_content(one) for one in _list("inputs", inputs)]
    body = {"model": model, "input": contents, "labels": _list("labels", labels)}
    given = _given(body, templates=None if templates is None else _list("templates", templates), top_k=top_k)
    return Request("POST", "/v1/classify", _classifications, given)


def classify_trained(
    classifier_id: str, inputs: Sequence[Content], *, top_k: int | None = None
) -> Request[tuple[Classification, ...]]:
    body = {"classifier_id": classifier_id, "input": [_content(one) for one in _list("inputs", inputs)]}
    return Request("POST", "/v1/classify", _classifications, _given(body, top_k=top_k))


def train(examples: Sequence[Example], **options: Json) -> Request[Trained]:
    rows = [{**_content(one.content), "label": one.label} for one in _list("examples", examples)]
    return Request("POST", "/v1/train", _trained, _given({"input": rows}, **options))


def train_on(collection_name: str, **options: Json) -> Request[Trained]:
    return Request("POST", "/v1/train", _trained, _given({"collection": collection_name}, **options))


def classifiers() -> Request[tuple[Classifier, ...]]:
    return Request("GET", "/v1/classifiers", lambda body: tuple(_classifier(one) for one in body))


def classifier(classifier_id: str) -> Request[Classifier]:
    return Request("GET", f"/v1/classifiers/{_segment(classifier_id)}", _classifier)


def delete_classifier(classifier_id: str) -> Request[None]:
    return Request("DELETE", f"/v1/classifiers/{_segment(classifier_id)}", _nothing)


def models() -> Request[tuple[Model, ...]]:
    return Request("GET", "/v1/models", lambda body: tuple(_model(one) for one in body["data"]))


def create_collection(name: str, encoder: str, **options: Json) -> Request[Collection]:
    return Request("PUT", _path(name), _collection, _given({"encoder": encoder}, **options))


def migrate(name: str, encoder: str) -> Request[Migration]:
    return Request("POST", _path(name, "migrate"), _migration, {"encoder": encoder})


def migration(name: str) -> Request[Migration | None]:
    return Request("GET", _path(name, "migrate"), lambda body: body and _migration(body))


def collections() -> Request[tuple[Collection, ...]]:
    return Request("GET", "/v1/collections", lambda body: tuple(_collection(one) for one in body["data"]))


def collection(name: str) -> Request[Collection]:
    return Request("GET", _path(name), _collection)


def delete_collection(name: str) -> Request[None]:
    return Request("DELETE", _path(name), _nothing)


def upsert(name: str, items: Sequence[Item]) -> Request[Upserted]:
    body = {"items": [_item(item) for item in _list("items", items)]}
    return Request("POST", _path(name, "items"), _upserted, body)


def upsert_vectors(name: str, stream: bytes, *, fingerprint: str | None = None) -> Request[Upserted]:
    headers = {"content-type": ARROW_STREAM, **({"x-simila-fingerprint": fingerprint} if fingerprint else {})}
    return Request("POST", _path(name, "items"), _upserted, content=stream, headers=headers)


def back_up(name: str) -> Request[None]:
    return Request("GET", _path(name, "backup"), _nothing)


def restore(name: str, *, replace: bool = False) -> Request[Collection]:
    """Without the backup: whoever sends this puts the file below it."""
    path = _path(name, "backup") + ("?replace=true" if replace else "")
    return Request("PUT", path, _collection, headers={"content-type": "application/vnd.sqlite3"})


def export(name: str, filter: Filter | None = None) -> Request[None]:  # noqa: A002 - the wire's name
    query = {} if filter is None else {"filter": json.dumps(filter, ensure_ascii=False)}
    return Request("GET", f"{_path(name, 'export')}?{urlencode({'format': 'parquet', **query})}", _nothing)


def items(name: str, *, after: int | None = None, limit: int | None = None) -> Request[ItemPage]:
    query = urlencode(_given({}, after=after, limit=limit))
    return Request("GET", _path(name, "items") + (f"?{query}" if query else ""), _item_page)


def item(name: str, item_id: str) -> Request[StoredItem]:
    return Request("GET", _path(name, "items", _item_path(item_id)), _stored_item)


def delete_item(name: str, item_id: str) -> Request[None]:
    return Request("DELETE", _path(name, "items", _item_path(item_id)), _nothing)


def search(name: str, query: Query, **options: Json) -> Request[tuple[Hit, ...]]:
    return Request("POST", _path(name, "search"), _hits, _search(query, options))


def search_page(name: str, query: Query, **options: Json) -> Request[HitPage]:
    return Request("POST", _path(name, "search"), _hit_page, _search(query, options))


def search_groups(name: str, query: Query, **options: Json) -> Request[tuple[Group, ...]]:
    return Request("POST", _path(name, "search"), _groups, _search(query, options))


def count(name: str, filter: Filter | None = None) -> Request[int]:  # noqa: A002 - the wire's name
    return Request("POST", _path(name, "count"), lambda body: int(body["count"]), _given({}, filter=filter))


def delete_items(
    name: str,
    *,
    ids: Sequence[str] | None = None,
    filter: Filter | None = None,  # noqa: A002 - the wire's name
    everything: bool = False,
) -> Request[int]:
    body = _given({}, ids=None if ids is None else _list("ids", ids), filter=filter, all=everything or None)
    return Request("POST", _path(name, "items", "delete"), lambda answer: int(answer["deleted"]), body)


def create_payload_index(name: str, key: str) -> Request[None]:
    return Request("PUT", _path(name, "indexes", _segments(key, "a payload key")), _nothing)


def delete_payload_index(name: str, key: str) -> Request[None]:
    return Request("DELETE", _path(name, "indexes", _segments(key, "a payload key")), _nothing)


def classify_by_example(name: str, inputs: Sequence[Content], **options: Json) -> Request[tuple[Classification, ...]]:
    body = _given({"input": [_content(one) for one in _list("inputs", inputs)]}, **options)
    return Request("POST", _path(name, "classify"), _classifications, body)


def evaluate(name: str, **options: Json) -> Request[Evaluation]:
    return Request("POST", _path(name, "evaluate"), _evaluation, _given({}, **options))


def evaluation_picture(name: str, **options: Json) -> Request[None]:
    return Request("POST", _path(name, "evaluate"), _nothing, _given({}, **options), headers={"accept": "image/png"})


def forget(name: str, **what: Json) -> Request[Forgotten]:
    return Request("POST", _path(name, "forget"), _forgotten, _given({}, **what))


def _path(collection_name: str, *parts: str) -> str:
    if collection_name in {"", ".", ".."} or "/" in collection_name:
        raise InvalidArgument(f"{collection_name!r} is no name of a collection: it cannot be a segment of a URL's path")
    return "/".join(["/v1/collections", _segment(collection_name), *parts])


def _item_path(item_id: str) -> str:
    return _segments(item_id, "an id of an item")


def _segments(text: str, what: str) -> str:
    if not text:
        raise InvalidArgument(f"'' is not {what}")
    return "/".join(_segment(segment) for segment in text.split("/"))


def _segment(text: str) -> str:
    # HTTP clients resolve the segments "." and "..": left plain, deleting the item ".." would delete the collection.
    if text in {".", ".."}:
        return text.replace(".", "%2E")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{text!r} cannot be written in UTF-8: {error.reason}") from error


def _list(argument: str, values: Sequence[T]) -> list[T]:
    # A str is a sequence of str too, and bytes one of int: taken as such, each letter would become an input.
    if isinstance(values, str | bytes):
        raise TypeError(f"{argument} must be a list, and this is a single {type(values).__name__}: put it in brackets")
    return list(values)


def _given(body: dict[str, Json], **options: Json) -> dict[str, Json]:
    return body | {name: value for name, value in options.items() if value is not None}


def _content(content: Content) -> dict[str, Json]:
    if isinstance(content, str):
        return {"text": content}
    if isinstance(content, bytes):
        return {"image": base64.b64encode(content).decode("ascii")}
    return {"vector": np.asarray(content, dtype=np.float64).tolist()}


def _search(query: Query, options: Mapping[str, Json]) -> dict[str, Json]:
    by = {"id": query.id} if isinstance(query, StoredId) else _content(query)
    return _given(by, **options)


def _item(one: Item) -> dict[str, Json]:
    return _given({"id": one.id, **_content(one.content)}, label=one.label, payload=one.payload)


def _nothing(_: Json) -> None:
    return None


def _embeddings(body: Json) -> Embeddings:
    rows = sorted(body["data"], key=lambda row: row["index"])
    vectors = np.stack([np.frombuffer(base64.b64decode(row["embedding"], validate=True), dtype="<f4") for row in rows])
    return Embeddings(
        vectors=vectors.astype(np.float32),
        truncated=tuple(bool(row.get("truncated", False)) for row in rows),
        model=body["model"],
        prompt_tokens=body["usage"]["prompt_tokens"],
        total_tokens=body["usage"]["total_tokens"],
    )


def _classifications(body: Json) -> tuple[Classification, ...]:
    return tuple(
        Classification(
            label=row["prediction"],
            score=row["score"],
            predictions=tuple(Prediction(one["label"], one["score"], one["cosine"]) for one in row["predictions"]),
        )
        for row in sorted(body["data"], key=lambda row: row["index"])
    )


def _evaluation(body: Json) -> Evaluation:
    open_set = body["open_set"]
    return Evaluation(
        method=body["method"],
        protocol=body["protocol"],
        items=body["items"],
        accuracy=body["accuracy"],
        macro_f1=body["macro_f1"],
        classes=tuple(ClassFigures(**one) for one in body["classes"]),
        confusion=tuple(map(tuple, body["confusion"])),
        calibration_error=body["calibration"]["error"],
        open_set_auroc=open_set and open_set["auroc"],
    )


def _forgotten(body: Json) -> Forgotten:
    return Forgotten(body["forgotten"], tuple(body["ids"]), body["classes"], body["remaining"], body["verified"])


def _trained(body: Json) -> Trained:
    return Trained(body["classifier_id"], body["num_samples"], body["state"])


def _classifier(body: Json) -> Classifier:
    return Classifier(
        id=body["classifier_id"],
        state=body["state"],
        error=body["error"],
        model=body["model_name"],
        method=body["method"],
        labels=tuple(body["labels"] or ()),
        num_samples=body["num_samples"],
        metadata=body["metadata"],
    )


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
    )


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
