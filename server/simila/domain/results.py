"""What services hand back: items, neighbours and predictions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from simila.domain.vectors import Float32

Payload = Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """One member of a collection."""

    id: str
    vector: Float32  # [d], unit length
    label: str | None = None
    payload: Payload | None = None


@dataclass(frozen=True)
class StoredItem:
    """An item as it lies in the store. `sequence` grows with every write, so it also dates it."""

    sequence: int
    item: Item


class Hit(NamedTuple):
    """A neighbour. `score` is the cosine of its vector and the query; `sequence` dates the item."""

    id: str
    score: float
    label: str | None
    payload_json: str | None  # as stored: an answer repeats it, and few callers look into it
    sequence: int

    @property
    def payload(self) -> Payload | None:
        return None if self.payload_json is None else json.loads(self.payload_json)


@dataclass(frozen=True)
class Token:
    """A token of a text. `span` is where it begins and ends there, in characters; None for a special token."""

    id: int
    text: str
    span: tuple[int, int] | None


# Not frozen: thousands are made for an answer, and that would take three times as long.
@dataclass
class Prediction:
    """A class with its probability (`score`) and the cosine of its prototype and the input."""

    label: str
    score: float
    cosine: float
