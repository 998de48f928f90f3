"""From vectors and a scorer of classes to the predictions of a request, off the event loop."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simila.classifiers.activations import Activation
from simila.classifiers.decision_rules import predict
from simila.classifiers.linear_scorer import LinearScorer
from simila.domain.errors import LimitExceeded
from simila.domain.results import Prediction
from simila.domain.vectors import Float32


@dataclass(frozen=True)
class Decision:
    """What an input is said to be: None where it is rejected. `details` are what a rule adds to the answer."""

    prediction: str | None
    score: float
    predictions: list[Prediction]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Classified:
    """Ranked predictions of each input, and the tokens that the inputs took.

    Without `decisions` each input is of its best class; `priors` are those that corrected the probabilities.
    """

    predictions: list[list[Prediction]]
    tokens: int
    decisions: Sequence[Decision] | None = None
    priors: Mapping[str, float] | None = None


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
    scorer: LinearScorer, activation: Activation, vectors: Float32, top_k: int | None
) -> list[list[Prediction]]:
    """The `top_k` (or all) classes of each of `float32 [n, d], unit length`, most probable first."""
    return await asyncio.to_thread(predict, scorer, activation, vectors, top_k)
