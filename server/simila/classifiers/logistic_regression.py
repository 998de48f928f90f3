"""Linear probe by logistic regression; the only module that imports scikit-learn, so that serving does without."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from simila.classifiers.linear_scorer import LinearScorer
from simila.classifiers.probe_checks import PENALTY, check_probe
from simila.domain.vectors import Float32, Int64

MOST_ITERATIONS = 1000


@dataclass(frozen=True)
class LogisticProbe:
    """Scores whose softmax is the probability; `converged` says whether `MOST_ITERATIONS` were enough."""

    scorer: LinearScorer
    iterations: int
    converged: bool


def logistic_probe(
    vectors: Float32,
    item_classes: Int64,
    labels: Sequence[str],
    *,
    penalty: float = PENALTY,
    most_iterations: int = MOST_ITERATIONS,
) -> LogisticProbe:
    """Fit multinomial logistic regression to `float32 [n, d]` with classes `int64 [n]` among `labels`, in float64.

    `penalty` is scikit-learn's 1 / C. Weights and biases are float64 [c, d] and [c], for two classes as for more.

    Raises:
        InvalidLabels: see `check_labels`.
        NoExamples: a class has no items.
        InvalidInput: the penalty is not above 0.

    """
    check_probe(item_classes, labels, penalty)
    model = LogisticRegression(C=1 / penalty, max_iter=most_iterations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(vectors.astype(np.float64), item_classes)
    weights, biases = model.coef_, model.intercept_
    if len(labels) == 2:  # of which scikit-learn gives the second's odds against the first
        weights, biases = np.concatenate([-weights, weights]) / 2, np.concatenate([-biases, biases]) / 2
    iterations = int(model.n_iter_.max())
    return LogisticProbe(LinearScorer(tuple(labels), weights, biases), iterations, iterations < most_iterations)
