"""What the client takes and what it hands back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

Input = str | bytes
"""What an encoder reads: a `str` is a text, `bytes` are an encoded image (JPEG, PNG, …)."""

Content = Input | Sequence[float] | NDArray[np.floating[Any]]
"""A text, an image, or a vector of the collection's encoder, `[d]`."""


@dataclass(frozen=True)
class Embeddings:
    """The vectors of one request, in the order of its inputs."""

    vectors: Float32  # [n, d], unit length
    truncated: tuple[bool, ...]
    """For each input, whether it was cut at the encoder's context length."""
    model: str
    prompt_tokens: int
    total_tokens: int


@dataclass(frozen=True)
class Prediction:
    """A class with its probability (`score`) and the cosine of its prototype and the input."""

    label: str
    score: float
    cosine: float


@dataclass(frozen=True)
class Classification:
    """One input's classes, the most probable first; `label` and `score` repeat that first one."""

    label: str
    score: float
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True)
class Item:
    """An item to store. An item already stored under this id is replaced."""

    id: str
    content: Content
    label: str | None = None
    payload: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class StoredItem:
    """An item as the server has it. `sequence` grows with every write."""

    id: str
    label: str | None
    payload: Mapping[str, Any] | None
    sequence: int


@dataclass(frozen=True)
class ItemPage:
    """Stored items by ascending sequence. `next` is where the page after this one starts; None on the last page."""

    items: tuple[StoredItem, ...]
    next: int | None


@dataclass(frozen=True)
class Upserted:
    """What an upsert stored. `sequence` is that of its last item."""

    count: int
    sequence: int


@dataclass(frozen=True)
class Hit:
    """A neighbour. `score` is the cosine of its vector and the query."""

    id: str
    score: float
    label: str | None
    payload: Mapping[str, Any] | None


@dataclass(frozen=True)
class Collection:
    """A collection's description; one that the server cannot read has the state `unavailable`, an `error`, and no more.

    `labels` counts the items of each label.
    """

    name: str
    state: str
    error: str | None
    encoder: str | None
    fingerprint: str | None
    dimension: int | None
    created_at: str | None
    items: int | None
    labels: Mapping[str, int] | None


@dataclass(frozen=True)
class Certificate:
    """What the server's parity check found when it loaded a tower."""

    floor: float
    lowest_cosine: float
    inputs: int


@dataclass(frozen=True)
class Model:
    """An encoder that the server knows: `error` says why its `state` is `failed`; `certificates` are by modality."""

    id: str
    description: str
    licence: str
    state: str
    error: str | None
    modalities: tuple[str, ...]
    dimension: int
    fingerprint: str
    certificates: Mapping[str, Certificate]
