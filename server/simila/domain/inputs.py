"""What can be embedded, and what comes of a list of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from simila.domain.errors import SimilaError
from simila.domain.manifest import Modality
from simila.domain.vectors import Float32


@dataclass(frozen=True)
class TextInput:
    text: str
    modality = Modality.TEXT


@dataclass(frozen=True)
class TokensInput:
    """A text that the caller has tokenised with the encoder's own vocabulary."""

    ids: tuple[int, ...]
    modality = Modality.TEXT


View = Literal[
    "plain", "flip", "top_left", "top_right", "bottom_left", "bottom_right", "rotate_90", "rotate_180", "rotate_270"
]
"""How an image is looked at: as it is, as in a mirror, a crop at a corner, or turned counter-clockwise."""


@dataclass(frozen=True)
class ImageInput:
    """An encoded image file, and how to look at it."""

    data: bytes = field(repr=False)
    view: View = "plain"
    modality = Modality.IMAGE


Input = TextInput | TokensInput | ImageInput

Role = Literal["query", "passage"]
"""What a text is for, to encoders that were trained with a prefix for each."""


@dataclass(frozen=True)
class VectorInput:
    """A vector that the caller has computed, of any length but zero."""

    values: Sequence[float] | Float32 = field(repr=False)


Source = Input | VectorInput


@dataclass(frozen=True)
class Timings:
    """Where the time of a request went; of parts that ran side by side the slowest counts."""

    preprocess_seconds: float = 0.0  # decoding, tokenising, and waiting for a thread to do it
    queue_seconds: float = 0.0  # until the first of its rows began to run
    inference_seconds: float = 0.0  # from then until the last of them was done

    def beside(self, other: "Timings") -> "Timings":
        return Timings(
            max(self.preprocess_seconds, other.preprocess_seconds),
            max(self.queue_seconds, other.queue_seconds),
            max(self.inference_seconds, other.inference_seconds),
        )


@dataclass(frozen=True)
class Embedded:
    """The vectors of a list of inputs, position by position.

    A failed input has a row of zeros and its error in `failures`.
    """

    vectors: Float32  # [n, d], unit length
    tokens: tuple[int, ...]  # read by the encoder, special tokens included; 0 for an image
    truncated: tuple[bool, ...]
    failures: Mapping[int, SimilaError]
    timings: Timings = Timings()
