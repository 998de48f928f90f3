"""Use case: what is the vector of this?"""

from collections.abc import Mapping, Sequence

from simila.domain.errors import InvalidInput, SimilaError
from simila.domain.inputs import Embedded, Input
from simila.domain.vectors import leading_dimensions
from simila.engine.model_pool import ModelPool

MOST_ERRORS_NAMED = 10


class EmbeddingService:
    """Embeds lists of inputs, all or nothing."""

    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool

    async def embed(
        self,
        encoder_name: str,
        inputs: Sequence[Input],
        *,
        truncate: bool = True,
        dimensions: int | None = None,
        field: str = "input",
    ) -> Embedded:
        """Embed every input, or raise one error that names each of those that cannot be, as `field[position]`.

        Raises:
            UnknownEncoder, NotReady: see `ModelPool.get`.
            InvalidInput: `dimensions` is more than the encoder has; an input is malformed.
            LimitExceeded, CannotServe: an input is too large, or not for this encoder.

        """
        encoder = self._pool.get(encoder_name)
        if dimensions is not None and dimensions > encoder.manifest.dimension:
            message = f"dimensions is {dimensions}; the vectors of {encoder_name} have {encoder.manifest.dimension}"
            raise InvalidInput(message, param="dimensions")
        embedded = await encoder.embed(inputs, truncate=truncate)
        if embedded.failures:
            raise name_failures(embedded.failures, [f"{field}[{position}]" for position in range(len(inputs))])
        if dimensions is None or dimensions == encoder.manifest.dimension:
            return embedded
        vectors = leading_dimensions(embedded.vectors, dimensions)
        return Embedded(vectors, embedded.tokens, embedded.truncated, {})


def name_failures(failures: Mapping[int, SimilaError], names: Sequence[str]) -> SimilaError:
    """One error for a whole request: of the first failure's kind, with every failing item's name and message."""
    positions = sorted(failures)
    messages = [f"{names[position]}: {failures[position].message}" for position in positions[:MOST_ERRORS_NAMED]]
    if len(positions) > MOST_ERRORS_NAMED:
        messages.append(f"and {len(positions) - MOST_ERRORS_NAMED} more")
    return type(failures[positions[0]])("; ".join(messages), param=names[positions[0]])
