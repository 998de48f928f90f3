"""Use case: what is the vector of this?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

import numpy as np

from simila.domain.errors import InvalidInput, SimilaError, UnknownEncoder
from simila.domain.inputs import Embedded, Input, Role, TextInput
from simila.domain.manifest import Manifest
from simila.domain.results import Token
from simila.domain.vectors import leading_dimensions
from simila.engine.encoder import Encoder
from simila.engine.model_pool import ModelPool

MOST_ERRORS_NAMED = 10

OnError = Literal["fail", "partial"]
Entry = TypeVar("Entry", bound=Input | SimilaError)


class EmbeddingService:
    """Embeds lists of inputs, all or nothing unless asked for what can be had."""

    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool

    def default_encoder(self) -> str:
        """The encoder that is meant where a protocol has no name for it: the first of the settings that reads texts.

        Raises:
            UnknownEncoder: none does.

        """
        for status in self._pool.statuses():
            if status.manifest.text:
                return status.manifest.name
        raise UnknownEncoder("no encoder that embeds texts is served here (SIMILA_ENCODERS)", param="model")

    async def tokenize(
        self, encoder_name: str, texts: Sequence[TextInput], *, special_tokens: bool
    ) -> list[list[Token]]:
        """All tokens of each text, not cut at the context length.

        Raises:
            UnknownEncoder, NotReady, UnsupportedModality: see `ModelPool.get` and `Encoder.tokenize`.

        """
        encoder = self._pool.get(encoder_name)
        return await encoder.tokenize([text.text for text in texts], special_tokens=special_tokens)

    async def embed(
        self,
        encoder_name: str,
        inputs: Sequence[Input | SimilaError],
        *,
        truncate: bool = True,
        dimensions: int | None = None,
        role: Role | None = None,
        on_error: OnError = "fail",
        field: str = "input",
        names: Sequence[str] | None = None,
    ) -> Embedded:
        """Embed every input, or raise one error that names each of those that cannot be.

        Texts get the encoder's own prefix for their role, if it has one; token ids are taken as they are.
        An input is named by `names`, or as `field[position]`; one that could not be read is given as its error. When
        `on_error` is "partial" and an input succeeds, the others are in the result's `failures` and nothing is raised.

        Raises:
            UnknownEncoder, NotReady: see `ModelPool.get`.
            InvalidInput: `dimensions` is more than the encoder has; an input is malformed.
            LimitExceeded, CannotServe: an input is too large, or not for this encoder.
            Overloaded: too much work waits.

        """
        encoder = self._pool.get(encoder_name)
        if dimensions is not None and dimensions > encoder.manifest.dimension:
            message = f"dimensions is {dimensions}; the vectors of {encoder_name} have {encoder.manifest.dimension}"
            raise InvalidInput(message, param="dimensions")
        names = names or [f"{field}[{position}]" for position in range(len(inputs))]
        unreadable = {position: entry for position, entry in enumerate(inputs) if isinstance(entry, SimilaError)}
        _raise_if_failed(unreadable, names, on_error)
        inputs = in_role(inputs, encoder.manifest, role)
        embedded = await _embed_readable(encoder, inputs, unreadable, truncate=truncate)
        _raise_if_failed(embedded.failures, names, on_error)
        if dimensions is None or dimensions == encoder.manifest.dimension:
            return embedded
        return replace(embedded, vectors=leading_dimensions(embedded.vectors, dimensions))


def in_role(inputs: Sequence[Entry], manifest: Manifest, role: Role | None) -> Sequence[Entry | TextInput]:
    """Put the encoder's prefix for a role before texts; token ids, images and errors are taken as they are."""
    tower = manifest.text
    if tower is None or role is None:
        return inputs
    prefix = tower.query_prefix if role == "query" else tower.passage_prefix
    return [TextInput(prefix + entry.text) if isinstance(entry, TextInput) else entry for entry in inputs]


def _raise_if_failed(failures: Mapping[int, SimilaError], names: Sequence[str], on_error: OnError) -> None:
    if failures and (on_error == "fail" or len(failures) == len(names)):
        raise name_failures(failures, names)


async def _embed_readable(
    encoder: Encoder, inputs: Sequence[Input | SimilaError], unreadable: Mapping[int, SimilaError], *, truncate: bool
) -> Embedded:
    """Embed the inputs that are no errors, and put every result and every error at its position."""
    readable = [entry for entry in inputs if not isinstance(entry, SimilaError)]
    part = await encoder.embed(readable, truncate=truncate)
    if not unreadable:
        return part
    positions = [position for position in range(len(inputs)) if position not in unreadable]
    vectors = np.zeros((len(inputs), part.vectors.shape[1]), dtype=np.float32)
    vectors[positions] = part.vectors
    tokens, truncated = [0] * len(inputs), [False] * len(inputs)
    for index, position in enumerate(positions):
        tokens[position], truncated[position] = part.tokens[index], part.truncated[index]
    failures = {**unreadable, **{positions[index]: error for index, error in part.failures.items()}}
    return Embedded(vectors, tuple(tokens), tuple(truncated), failures, part.timings)


def name_failures(failures: Mapping[int, SimilaError], names: Sequence[str]) -> SimilaError:
    """One error for a whole request: of the first failure's kind, with every failing item's name and message.

    A failure that has a `param` already says which input it is about.
    """
    positions = sorted(failures)
    messages = [_named(failures[position], names[position]) for position in positions[:MOST_ERRORS_NAMED]]
    if len(positions) > MOST_ERRORS_NAMED:
        messages.append(f"and {len(positions) - MOST_ERRORS_NAMED} more")
    first = failures[positions[0]]
    return type(first)("; ".join(messages), param=first.param or names[positions[0]])


def _named(failure: SimilaError, name: str) -> str:
    return failure.message if failure.param else f"{name}: {failure.message}"
