"""What an item must be before anything is computed for it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from simila.domain.errors import DuplicateId, InvalidInput, InvalidLabels, LimitExceeded
from simila.domain.inputs import Source
from simila.domain.results import Payload

MOST_ID_CHARACTERS = 512


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
            message = f"items[{position}]: the id '{item.id}' is that of items[{first}] too"
            raise DuplicateId(message, param=f"items[{position}].id")
        _check_item(item, f"items[{position}]", limits)


def _check_item(item: NewItem, name: str, limits: ItemLimits) -> None:
    if not item.id.strip() or len(item.id) > MOST_ID_CHARACTERS:
        message = f"{name}: an id has 1 to {MOST_ID_CHARACTERS} characters and is not blank"
        raise InvalidInput(message, param=f"{name}.id")
    if item.label is not None and not item.label.strip():
        raise InvalidLabels(f"{name}: the label is blank; leave it out for an item without one", param=f"{name}.label")
    if item.payload is not None:
        try:
            size = len(json.dumps(item.payload, ensure_ascii=False, allow_nan=False).encode())
        except ValueError as error:
            raise InvalidInput(f"{name}: the payload is not JSON: {error}", param=f"{name}.payload") from error
        if size > limits.payload_bytes:
            message = (
                f"{name}: the payload has {size} bytes, more than the limit of {limits.payload_bytes}"
                " (SIMILA_LIMITS__MAX_PAYLOAD_BYTES)"
            )
            raise LimitExceeded(message, param=f"{name}.payload")
