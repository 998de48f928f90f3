"""What an item must be before anything is computed for it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from simila.domain.errors import (
    DuplicateId,
    FingerprintMismatch,
    InvalidInput,
    InvalidLabels,
    LimitExceeded,
    quoted,
)
from simila.domain.inputs import Source
from simila.domain.results import Payload
from simila.services.prompt_checks import check_length
from simila.storage.collection_file import CollectionSpec

MOST_ID_CHARACTERS = 512
DEEPEST_PAYLOAD = 64
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class NewItem:
    """An item on its way into a collection, its vector not computed yet."""

    id: str
    source: Source
    label: str | None = None
    payload: Payload | None = None


@dataclass(frozen=True)
class ItemLimits:
    """What one upsert may hold; `items_setting` moves `items`."""

    items: int
    label_characters: int
    payload_bytes: int
    items_setting: str = "SIMILA_LIMITS__MAX_ITEMS"


def check_items(items: Sequence[NewItem], limits: ItemLimits) -> None:
    """Check the items of one upsert.

    Raises:
        InvalidInput: there is none, or an id is blank or too long.
        DuplicateId: an id occurs twice; which of the two to keep would be a guess.
        InvalidLabels: a label is blank.
        LimitExceeded: too many items, or too large a payload.

    """
    check_count(len(items), limits)
    _check_ids([item.id for item in items])
    _check_labels([item.label for item in items], limits.label_characters)
    for position, item in enumerate(items):
        if item.payload is not None:
            _check_payload(item.payload, f"items[{position}].payload", limits.payload_bytes)


def check_columns(
    ids: Sequence[str],
    labels: Sequence[str | None] | None,
    payloads_json: Sequence[str | None] | None,
    limits: ItemLimits,
) -> None:
    """Check the items of one upsert that came by column, by the rules of `check_items`.

    Raises:
        InvalidInput, DuplicateId, InvalidLabels, LimitExceeded: as `check_items` does; a payload is no JSON object.

    """
    check_count(len(ids), limits)
    _check_ids(ids)
    _check_labels(labels or (), limits.label_characters)
    for position, text in enumerate(payloads_json or ()):
        if text is not None:
            name = f"items[{position}].payload"
            _check_payload(_payload_of(text, name), name, limits.payload_bytes)


def check_count(count: int, limits: ItemLimits) -> None:
    """Check how many items an upsert has.

    Raises:
        InvalidInput: none.
        LimitExceeded: too many.

    """
    if not count:
        raise InvalidInput("there are no items", param="items")
    if count > limits.items:
        message = f"{count} items are more than the limit of {limits.items} ({limits.items_setting})"
        raise LimitExceeded(message, param="items")


def check_fingerprint(spec: CollectionSpec, fingerprint: str | None) -> None:
    """Check what a caller says of the encoder that its vectors are of; None says nothing.

    Raises:
        FingerprintMismatch: another encoder's, or another revision's, than the collection's.

    """
    if fingerprint is not None and fingerprint != spec.fingerprint:
        raise FingerprintMismatch(
            f"collection {spec.name} holds vectors of {spec.encoder} (fingerprint {spec.fingerprint[:12]}), and these"
            f" are of the fingerprint {quoted(fingerprint[:12])}",
            param="fingerprint",
        )


def _check_ids(ids: Sequence[str]) -> None:
    positions: dict[str, int] = {}
    for position, item_id in enumerate(ids):
        first = positions.setdefault(item_id, position)
        name = f"items[{position}]"
        if first != position:
            raise DuplicateId(f"{name}: the id {quoted(item_id)} is that of items[{first}] too", param=f"{name}.id")
        if not item_id.strip() or len(item_id) > MOST_ID_CHARACTERS:
            message = f"{name}: an id has 1 to {MOST_ID_CHARACTERS} characters and is not blank"
            raise InvalidInput(message, param=f"{name}.id")
        if not {".", ".."}.isdisjoint(item_id.split("/")):
            # Clients take such segments out of a path: deleting the item would delete its collection.
            raise InvalidInput(f"{name}: an id has no part '.' or '..' between slashes", param=f"{name}.id")
        if CONTROL_CHARACTER.search(item_id):
            raise InvalidInput(f"{name}: the id has a control character", param=f"{name}.id")


def check_label(label: str, name: str, most_characters: int) -> None:
    """Check a label by itself; `name` is what the caller called it.

    Raises:
        InvalidLabels: it is blank.
        LimitExceeded: it is too long.

    """
    if not label.strip():
        raise InvalidLabels(f"{name}: it is blank; leave it out for an item without a label, or say null", param=name)
    check_length(label, name, most_characters)


def _check_labels(labels: Sequence[str | None], most_characters: int) -> None:
    for position, label in enumerate(labels):
        if label is not None:
            check_label(label, f"items[{position}].label", most_characters)


def _payload_of(text: str, name: str) -> Payload:
    try:
        payload: Any = orjson.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{name}: it is not JSON: {error}", param=name) from error
    if not isinstance(payload, dict):
        raise InvalidInput(f"{name}: it is no JSON object", param=name)
    return payload


def _check_payload(payload: Payload, name: str, most_bytes: int) -> None:
    if _is_deeper(payload, DEEPEST_PAYLOAD):
        raise InvalidInput(f"{name}: it is nested more than {DEEPEST_PAYLOAD} deep", param=name)
    try:
        size = len(json.dumps(payload, ensure_ascii=False, allow_nan=False).encode())
    except ValueError as error:
        raise InvalidInput(f"{name}: it is not JSON: {error}", param=name) from error
    if size > most_bytes:
        raise LimitExceeded(
            f"{name}: {size} bytes are more than the limit of {most_bytes} (SIMILA_LIMITS__MAX_PAYLOAD_BYTES)",
            param=name,
        )


def _is_deeper(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [child for entry in layer for child in _children(entry)]
        if not layer:
            return False
    return True


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()
