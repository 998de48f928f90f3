"""What an item must be before anything is computed for it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simila.domain.errors import DuplicateId, InvalidInput, InvalidLabels, LimitExceeded, quoted
from simila.domain.inputs import Source
from simila.domain.results import Payload
from simila.services.prompt_checks import check_length

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
    items: int
    label_characters: int
    payload_bytes: int


def check_items(items: Sequence[NewItem], limits: ItemLimits) -> None:
    """Check the items of one upsert.

    Raises:
        InvalidInput: there is none, or an id is blank or too long.
        DuplicateId: an id occurs twice; which of the two to keep would be a guess.
        InvalidLabels: a label is blank.
        LimitExceeded: too many items, or too large a payload.

    """
    if not items:
        raise InvalidInput("there are no items", param="items")
    if len(items) > limits.items:
        message = f"{len(items)} items are more than the limit of {limits.items} (SIMILA_LIMITS__MAX_ITEMS)"
        raise LimitExceeded(message, param="items")
    positions: dict[str, int] = {}
    for position, item in enumerate(items):
        first = positions.setdefault(item.id, position)
        if first != position:
            message = f"items[{position}]: the id {quoted(item.id)} is that of items[{first}] too"
            raise DuplicateId(message, param=f"items[{position}].id")
        _check_item(item, f"items[{position}]", limits)


def _check_item(item: NewItem, name: str, limits: ItemLimits) -> None:
    if not item.id.strip() or len(item.id) > MOST_ID_CHARACTERS:
        message = f"{name}: an id has 1 to {MOST_ID_CHARACTERS} characters and is not blank"
        raise InvalidInput(message, param=f"{name}.id")
    if CONTROL_CHARACTER.search(item.id):
        raise InvalidInput(f"{name}: the id has a control character", param=f"{name}.id")
    if item.label is not None:
        if not item.label.strip():
            message = f"{name}: the label is blank; leave it out for an item without one"
            raise InvalidLabels(message, param=f"{name}.label")
        check_length(item.label, f"{name}.label", limits.label_characters)
    if item.payload is not None:
        _check_payload(item.payload, f"{name}.payload", limits.payload_bytes)


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
