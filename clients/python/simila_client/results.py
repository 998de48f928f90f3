"""What the client takes and what it hands back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simila_client.errors import InvalidArgument

Float32 = NDArray[np.float32]

Input = str | bytes
"""What an encoder reads: a `str` is a text, `bytes` are an encoded image (JPEG, PNG, …)."""


@dataclass(frozen=True)
class ImageUrl:
    """An image at an http or https address, which the client fetches; the server never sees the address."""

    url: str


class PillowImage(Protocol):
    """What of a `PIL.Image.Image` is looked at before it is encoded."""

    @property
    def size(self) -> tuple[int, int]: ...


Source = Input | Path | ImageUrl | PillowImage | NDArray[np.uint8] | InvalidArgument
"""A text, or an image: encoded, in a file, at an address, of Pillow, or `uint8 [h, w]`, `[h, w, 3]`, `[h, w, 4]`.

Whoever reads inputs from elsewhere may put the `InvalidArgument` that says why there is none in an input's place.
"""

Filter = Mapping[str, Any]
"""Conditions on payloads, `$id` and `$label`, in MongoDB's language: `{"price": {"$lt": 10}}`."""

Content = Source | Sequence[float] | NDArray[np.floating[Any]]
"""A text, an image, or a vector of the collection's encoder, `[d]`."""


@dataclass(frozen=True)
class StoredId:
    """A query by the item that is stored under this id; the item itself is not found."""

    id: str


Query = Content | StoredId
"""What a search is by."""


@dataclass(frozen=True)
class InputError:
    """Why one input of many has no vector; `code` is stable and for programs."""

    message: str
    code: str | None


@dataclass(frozen=True)
class Embeddings:
    """The vectors of one request, in the order of its inputs."""

    vectors: Float32  # [n, d], unit length, whatever they were sent as
    codes: NDArray[Any]
    """The rows as they were sent: float32, or the `embedding_type` that was asked for, to be stored as they are."""
    truncated: tuple[bool, ...]
    """For each input, whether it was cut at the encoder's context length."""
    model: str
    prompt_tokens: int
    total_tokens: int
    errors: Mapping[int, InputError] = field(default_factory=dict)
    """By position, what was wrong with the inputs that failed; their rows of `vectors` are NaN, of `codes` 0."""


@dataclass(frozen=True)
class Prediction:
    """A class with its probability (`score`) and the cosine of its prototype and the input."""

    label: str
    score: float
    cosine: float


@dataclass(frozen=True)
class Classification:
    """One input's classes, the most probable first; `label` and `score` repeat that first one, as far as rules allow.

    `label` is None where the input was rejected as of no known class. Rules set the other fields: all `labels` above
    their thresholds, how familiar the input is, and how far the label is expected to be from the truth.
    """

    label: str | None
    score: float
    predictions: tuple[Prediction, ...]
    labels: tuple[str, ...] | None = None
    familiarity: float | None = None
    expected_squared_distance: float | None = None


@dataclass(frozen=True)
class Example:
    """Something to learn a class from."""

    content: Content
    label: str


@dataclass(frozen=True)
class Trained:
    """What a training has led to; a classifier whose `state` is `training` is not ready yet."""

    classifier_id: str
    num_samples: int
    state: str


@dataclass(frozen=True)
class Refinement:
    """What items without labels were worth: accuracies on the items whose labels had no part in it."""

    judged_items: int
    accuracy_before: float
    accuracy_after: float


@dataclass(frozen=True)
class Classifier:
    """A trained classifier; `error` says why its `state` is `failed`, `stale` or `unavailable`.

    One that learned from a `collection` is stale when items that it learned from are forgotten.
    """

    id: str
    state: str
    error: str | None
    model: str | None
    method: str | None
    labels: tuple[str, ...]
    num_samples: int | None
    metadata: Mapping[str, Any]
    collection: str | None = None
    priors: Mapping[str, float] | None = None
    refinement: Refinement | None = None


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
    vector: Float32 | None = field(default=None, compare=False)  # [d], unit length, where it was asked for


@dataclass(frozen=True)
class ItemPage:
    """Stored items by ascending sequence. `next` is where the next page starts; None if this is the last one."""

    items: tuple[StoredItem, ...]
    next: int | None


@dataclass(frozen=True)
class Upserted:
    """What an upsert stored. `sequence` is that of its last item."""

    count: int
    sequence: int


@dataclass(frozen=True)
class Relabelled:
    """How many items were relabelled, the newest of their sequences (None where there was none), and ids of no item."""

    count: int
    sequence: int | None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ranked:
    """A document by its position among those that were sent; `score` is the cosine of its vector and the query's."""

    index: int
    score: float


@dataclass(frozen=True)
class Hit:
    """A neighbour. `score` is the cosine of its vector and the query."""

    id: str
    score: float
    label: str | None
    payload: Mapping[str, Any] | None


@dataclass(frozen=True)
class Group:
    """The nearest items that have the same value at the key that is grouped by, the nearest first."""

    value: str | float | bool
    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class HitPage:
    """One page of a search. `next` is the `after` of the page that follows; None if this one is not full."""

    hits: tuple[Hit, ...]
    next: str | None


@dataclass(frozen=True)
class Collection:
    """A collection's description; one that the server cannot read has the state `unavailable`, an `error`, and no more.

    `labels` counts the items of each label; `index` is how the collection is searched, with the recall it was measured
    to have.
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
    disk_bytes: int | None = None
    payload_indexes: tuple[str, ...] = ()
    index: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Migration:
    """How far a collection's move to another encoder is; `state` is running, done or failed, `error` says why."""

    encoder: str
    state: str
    items_done: int
    items_total: int
    error: str | None


@dataclass(frozen=True)
class Certificate:
    """What the server's parity check found when it loaded a tower."""

    floor: float
    lowest_cosine: float
    inputs: int


@dataclass(frozen=True)
class Model:
    """An encoder that the server knows: `error` says why it, or its latest version, is not served.

    `certificates` and `devices` are by modality; `version` is of the files that serve.
    """

    id: str
    description: str
    licence: str
    state: str
    error: str | None
    modalities: tuple[str, ...]
    dimension: int
    fingerprint: str
    certificates: Mapping[str, Certificate]
    version: str | None = None
    devices: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
