"""What services hand back: items, neighbours and predictions."""

import json
from collections.abc import Iterator, Mapping, Sequence
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


@dataclass(frozen=True)
class Prediction:
    """A class with its probability (`score`) and the cosine of its prototype and the input."""

    label: str
    score: float
    cosine: float


@dataclass(frozen=True)
class Ranking:
    """The predictions of one input, best first. Lists in step: an answer of hundreds makes no object for each."""

    labels: Sequence[str]
    scores: Sequence[float]
    cosines: Sequence[float]

    def __iter__(self) -> Iterator[Prediction]:
        return map(Prediction, self.labels, self.scores, self.cosines)
