"""k nearest neighbours: a vector's scores are the votes of the labelled items around it."""

from dataclasses import dataclass

import numpy as np

from simila.classifiers.top_k import top_k_columns
from simila.domain.errors import InvalidInput, NoExamples
from simila.domain.vectors import Float32, Float64, Int64

VOTE_TEMPERATURE = 0.07  # Wu et al. 2018
MOST_NEIGHBOURS = 1000  # of one request's choice, because memory grows with their number
_ROWS_AT_A_TIME = 256


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest items of each vector, nearest first; -1 and -inf where fewer than k exist."""

    positions: Int64  # [n, k]
    cosines: Float64  # [n, k]


def find_neighbours(vectors: Float32, items: Float32, k: int, *, leave_one_out: bool = False) -> Neighbours:
    """The `k` nearest of `items float32 [m, d]` to each of `float32 [n, d]`, all unit length, by exact search.

    With `leave_one_out`, `vectors` are `items` and none is its own neighbour. Equal cosines keep the order of items.

    Raises:
        InvalidInput: `k` is less than 1.
        NoExamples: there are no items.

    """
    if k < 1:
        raise InvalidInput(f"k is {k}; at least one neighbour is needed", param="k")
    if len(items) <= leave_one_out:
        raise NoExamples(f"{len(items)} items are too few to have neighbours")
    positions = np.full((len(vectors), k), -1, np.int64)
    cosines = np.full((len(vectors), k), -np.inf)
    for start in range(0, len(vectors), _ROWS_AT_A_TIME):
        products = (vectors[start : start + _ROWS_AT_A_TIME] @ items.T).astype(np.float64)
        if leave_one_out:
            rows = np.arange(len(products))
            products[rows, start + rows] = -np.inf
        available = min(k, len(items) - leave_one_out)
        nearest = top_k_columns(products, available)
        positions[start : start + len(products), :available] = nearest
        cosines[start : start + len(products), :available] = np.take_along_axis(products, nearest, axis=1)
    return Neighbours(positions, cosines)


def neighbour_votes(
    neighbours: Neighbours, item_classes: Int64, classes: int, *, temperature: float | None = VOTE_TEMPERATURE
) -> Float64:
    """Each class's share of the votes `float64 [n, c]`; a row sums to 1, or to 0 where it has no neighbours.

    An item of class `item_classes int64 [m]` votes with exp(cosine / temperature) (Wu et al. 2018), or with 1 if there
    is no temperature (Cover and Hart 1967).

    Raises:
        InvalidInput: the temperature is not above 0.

    """
    if temperature is not None and not temperature > 0:
        raise InvalidInput(f"the temperature is {temperature}; it must be above 0", param="temperature")
    is_there = neighbours.positions >= 0
    # Relative to the nearest, so that no power overflows.
    distances = neighbours.cosines[:, :1] - np.where(is_there, neighbours.cosines, 0)
    weights = is_there if temperature is None else np.where(is_there, np.exp(-distances / temperature), 0)
    votes = np.zeros((len(weights), classes))
    rows = np.broadcast_to(np.arange(len(weights))[:, np.newaxis], weights.shape)
    np.add.at(votes, (rows, item_classes[neighbours.positions]), weights)
    totals = votes.sum(axis=1, keepdims=True)
    return votes / np.where(totals > 0, totals, 1)


def class_cosines(neighbours: Neighbours, item_classes: Int64, classes: int) -> Float64:
    """The cosine `float64 [n, c]` of the nearest neighbour of each class; -1 where the class has none among the k."""
    cosines = np.full((len(neighbours.positions), classes), -1.0)
    rows = np.broadcast_to(np.arange(len(cosines))[:, np.newaxis], neighbours.positions.shape)
    np.maximum.at(cosines, (rows, item_classes[neighbours.positions]), neighbours.cosines)
    return cosines
