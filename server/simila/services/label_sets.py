"""The classes of a zero-shot request, by name, by phrases or by vector, and the scorers that were made of them."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
import orjson

from simila.classifiers.linear_scorer import LinearScorer
from simila.classifiers.prototypes import prompts
from simila.classifiers.screening import kept_bytes
from simila.domain.errors import CannotServe, InvalidVector
from simila.domain.inputs import VectorInput
from simila.domain.manifest import Manifest
from simila.domain.vectors import Float32, given_vector
from simila.services.prompt_checks import PromptLimits, check_prompts

DIGEST_BYTES = 32

LabelSetKey = tuple[str, tuple[str, ...], bytes]
"""An encoder's fingerprint, templates, and the digest of classes."""


@dataclass(frozen=True)
class KeywordClass:
    """A class that several phrases describe; each is put into the templates, as a label is."""

    label: str
    phrases: tuple[str, ...]


@dataclass(frozen=True)
class VectorClass:
    """A class whose prototype the caller gives."""

    label: str
    vector: VectorInput


ClassSource = str | KeywordClass | VectorClass


class Classes(tuple[ClassSource, ...]):
    """The classes of a request. What follows from them is worked out once: who keeps them need not pay again."""

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return tuple(one if isinstance(one, str) else one.label for one in self)

    @cached_property
    def phrases(self) -> list[tuple[str, ...]]:
        """What is embedded for each class; nothing for one that is given as a vector."""
        return [_phrases(one) for one in self]

    @cached_property
    def digest(self) -> bytes:
        """Of their content and order."""
        # Only what is no string is asked for: of 100,000 names each would cost a call.
        written = orjson.dumps(list(self), default=_content, option=orjson.OPT_PASSTHROUGH_DATACLASS)
        return blake2b(written, digest_size=DIGEST_BYTES).digest()


@dataclass(frozen=True)
class LabelSet:
    """Classes under one encoder; two of the same `key` have the same scorer."""

    manifest: Manifest
    classes: Classes
    templates: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return self.classes.labels

    @property
    def phrases(self) -> list[tuple[str, ...]]:
        return self.classes.phrases

    @cached_property
    def prompt_count(self) -> int:
        return len(self.templates) * sum(map(len, self.phrases))

    @property
    def key(self) -> LabelSetKey:
        return self.manifest.fingerprint, self.templates, self.classes.digest

    @property
    def scorer_bytes(self) -> int:
        return kept_bytes(len(self.classes), self.manifest.dimension, np.dtype(np.float32).itemsize)

    def prompts(self, phrases: Sequence[str]) -> list[str]:
        return [prompt for phrase in phrases for prompt in prompts(phrase, self.templates)]

    def check(self, limits: PromptLimits) -> None:
        """Check what can be checked before anything is embedded.

        Raises:
            CannotServe: there are prompts, and the encoder has no text tower to read them with.
            InvalidLabels, InvalidInput, LimitExceeded: see `check_prompts`.

        """
        if self.manifest.text is None and any(self.phrases):
            message = f"encoder {self.manifest.name} has no text tower, so it cannot classify by label names"
            raise CannotServe(message, param="model")
        check_prompts(self.labels, self.templates, limits, phrases=[one for some in self.phrases for one in some])

    def given(self, position: int) -> Float32 | None:
        """The prototype `float32 [d], unit length` that the caller gave, if so.

        Raises:
            InvalidVector: naming its class.

        """
        source = self.classes[position]
        if not isinstance(source, VectorClass):
            return None
        try:
            return given_vector(source.vector.values, self.manifest.dimension)
        except InvalidVector as error:
            name = f"labels[{position}].vector"
            raise InvalidVector(f"{name}: {error.message}", param=name) from error


def _phrases(source: ClassSource) -> tuple[str, ...]:
    if isinstance(source, str):
        return (source,)
    return source.phrases if isinstance(source, KeywordClass) else ()


def _content(source: KeywordClass | VectorClass) -> object:
    if isinstance(source, KeywordClass):
        return [source.label, source.phrases]
    return [source.label, np.asarray(source.vector.values, dtype=np.float64).tolist()]


class ScorerCache:
    """Scorers by the key of their label set, up to `capacity_bytes`; the least recently used go first."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._held_bytes = 0
        self._scorers: OrderedDict[LabelSetKey, LinearScorer] = OrderedDict()

    def get(self, key: LabelSetKey) -> LinearScorer | None:
        if key in self._scorers:
            self._scorers.move_to_end(key)
        return self._scorers.get(key)

    def put(self, key: LabelSetKey, scorer: LinearScorer) -> None:
        if known := self._scorers.pop(key, None):
            self._held_bytes -= _kept_bytes(known)
        self._scorers[key] = scorer
        self._held_bytes += _kept_bytes(scorer)
        while self._held_bytes > self._capacity_bytes:
            _, dropped = self._scorers.popitem(last=False)
            self._held_bytes -= _kept_bytes(dropped)


def _kept_bytes(scorer: LinearScorer) -> int:
    classes, dimension = scorer.weights.shape
    return kept_bytes(classes, dimension, scorer.weights.itemsize)
