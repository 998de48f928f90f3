"""From vectors and prototypes to the predictions of a request, off the event loop."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from simila.classifiers import decision_rules
from simila.classifiers.prototypes import Prototypes
from simila.domain.errors import LimitExceeded
from simila.domain.results import Prediction
from simila.domain.vectors import Float32, Float64

DecisionRule = Callable[[Float32, Prototypes], tuple[Float64, Float64]]


@dataclass(frozen=True)
class Classified:
    """Ranked predictions of each input, and the tokens that the inputs took."""

    predictions: list[list[Prediction]]
    tokens: int


def check_predictions(inputs: int, classes: int, top_k: int | None, *, limit: int) -> None:
    """Check how much a classification would answer.

    Raises:
        LimitExceeded: more than `limit` predictions.

    """
    predictions = inputs * min(classes, top_k or classes)
    if predictions > limit:
        raise LimitExceeded(
            f"{inputs} inputs and {classes} classes make {predictions} predictions, more than the limit of {limit}"
            " (SIMILA_LIMITS__MAX_PREDICTIONS); send a smaller top_k",
            param="top_k",
        )


async def rank(
    rule: DecisionRule, vectors: Float32, prototypes: Prototypes, top_k: int | None
) -> list[list[Prediction]]:
    """The `top_k` (or all) classes of each of `float32 [n, d], unit length`, most probable first."""

    def decide() -> list[list[Prediction]]:
        probabilities, cosines = rule(vectors, prototypes)
        return decision_rules.ranked(prototypes.labels, probabilities, cosines, top_k)

    return await asyncio.to_thread(decide)
