"""Label shift: classes are as they were learned, and more or less frequent (Saerens et al. 2002)."""

from dataclasses import dataclass

import numpy as np

from simila.domain.errors import InvalidInput, NoExamples
from simila.domain.vectors import Float64

MOST_ITERATIONS = 10_000
# Half a minute of a laptop's: many inputs of many classes may stop before the priors stay.
MOST_TERMS = 2**32
CHANGE_TOLERANCE = 1e-9
_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class EstimatedPriors:
    """How frequent classes are in a stream `float64 [c]`; `converged` if the last step changed none by over 1e-9."""

    priors: Float64
    iterations: int
    converged: bool


def estimated_priors(
    probabilities: Float64, training_priors: Float64, *, most_iterations: int = MOST_ITERATIONS
) -> EstimatedPriors:
    """Estimate the class priors of unlabelled inputs from their calibrated probabilities `float64 [n, c]`.

    Expectation-maximisation: correct the probabilities by the priors, and average them to the next priors, starting at
    the `training_priors float64 [c]`. Each step raises the likelihood of the inputs; it is concave in the priors.

    Raises:
        NoExamples: there are no inputs.
        InvalidInput: the training priors are not above 0 and do not sum to 1, or there are not as many as classes.

    """
    _check_priors(training_priors, probabilities)
    if not len(probabilities):
        raise NoExamples("class priors are estimated from inputs, and there are none")
    priors = training_priors
    most_iterations = min(most_iterations, max(1, MOST_TERMS // probabilities.size))
    for iteration in range(1, most_iterations + 1):
        following = corrected_probabilities(probabilities, training_priors, priors).mean(axis=0)
        change = np.abs(following - priors).max()
        priors = following
        if change <= CHANGE_TOLERANCE:
            return EstimatedPriors(priors, iteration, converged=True)
    return EstimatedPriors(priors, most_iterations, converged=False)


def corrected_probabilities(probabilities: Float64, training_priors: Float64, priors: Float64) -> Float64:
    """Probabilities `float64 [n, c]` as they would be if classes were as frequent as `priors float64 [c]`.

    Raises:
        InvalidInput: see `estimated_priors`.

    """
    _check_priors(training_priors, probabilities)
    weighted = probabilities * (priors / training_priors)
    corrected: Float64 = weighted / weighted.sum(axis=1, keepdims=True)
    return corrected


def _check_priors(priors: Float64, probabilities: Float64) -> None:
    classes = probabilities.shape[1]
    if priors.shape != (classes,):
        raise InvalidInput(f"{len(priors)} priors for {classes} classes; each class needs one", param="priors")
    if not (priors > 0).all() or abs(priors.sum() - 1) > _SUM_TOLERANCE:
        raise InvalidInput("priors must be above 0 and sum to 1", param="priors")
