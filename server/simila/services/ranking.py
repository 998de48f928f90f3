"""What a classification answers: predictions, decisions, and how much of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simila.domain.errors import LimitExceeded
from simila.domain.results import Ranking


@dataclass(frozen=True)
class Decision:
    """What an input is said to be: None where it is rejected. `details` are what a rule adds to the answer."""

    prediction: str | None
    score: float
    predictions: Ranking
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Classified:
    """Ranked predictions of each input, and the tokens that the inputs took.

    Without `decisions` each input is of its best class; `priors` are those that corrected the probabilities.
    """

    predictions: list[Ranking]
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
