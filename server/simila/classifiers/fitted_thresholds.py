"""Where to draw the line for each label of inputs that may have several."""

import numpy as np
from numpy.typing import NDArray

from simila.domain.vectors import Float64


def fitted_thresholds(probabilities: Float64, has: NDArray[np.bool_]) -> Float64:
    """The threshold `float64 [c]` of each label under which its F1 is largest; NaN for one that no input has.

    `probabilities float64 [n, c]` are of inputs that were not learned, `has bool [n, c]` says which labels they have. A
    threshold is halfway between the last input that gets the label and the first that does not (Lipton et al. 2014).
    Of equally good ones the highest is taken.
    """
    if not len(probabilities):
        return np.full(probabilities.shape[1], np.nan)
    order = np.argsort(-probabilities, axis=0, kind="stable")
    descending = np.take_along_axis(probabilities, order, axis=0)
    right = np.cumsum(np.take_along_axis(has, order, axis=0), axis=0)
    given = np.arange(1, len(probabilities) + 1)[:, np.newaxis]
    f1 = 2 * right / (given + has.sum(axis=0))
    following = np.vstack([descending[1:], np.zeros(probabilities.shape[1])])
    # Equal inputs get a label all or none.
    f1[:-1][descending[:-1] == following[:-1]] = -1
    best = f1.argmax(axis=0)[np.newaxis]
    last, first = (np.take_along_axis(values, best, axis=0)[0] for values in (descending, following))
    return np.where(has.any(axis=0), (last + first) / 2, np.nan)
