"""Labels that spread from item to similar item (Zhou et al. 2004)."""

from dataclasses import dataclass

import numpy as np

from simila.classifiers.nearest_neighbours import Neighbours, find_neighbours
from simila.classifiers.prototypes import Prototypes, class_totals, moved_prototypes
from simila.domain.errors import InvalidInput
from simila.domain.vectors import Float32, Float64, Int64

SPREAD = 0.9
# Of the refinement: tried on digits and on the clothing photographs, from names and from 1 to 8 labelled items a class.
NEIGHBOURS = 10
REFINEMENT_SPREAD = 0.7
ITEM_WEIGHT = 2.0
MOST_ITERATIONS = 1000
CHANGE_TOLERANCE = 1e-8
_TERMS_AT_A_TIME = 2**22


@dataclass(frozen=True, eq=False)
class SimilarityGraph:
    """A symmetric graph of n items, `D^-1/2 W D^-1/2` by rows: the edges of item i are `starts[i] : starts[i + 1]`."""

    starts: Int64  # [n + 1]
    targets: Int64  # [edges]
    weights: Float64  # [edges]

    def spread(self, values: Float64) -> Float64:
        """The product of the graph's matrix and `float64 [n, c]`."""
        result = np.zeros_like(values)
        terms_a_row = max(1, len(self.targets) * values.shape[1] // max(1, len(values)))
        rows_at_a_time = max(1, _TERMS_AT_A_TIME // terms_a_row)
        for first in range(0, len(values), rows_at_a_time):
            starts = self.starts[first : first + rows_at_a_time + 1]
            edges = slice(int(starts[0]), int(starts[-1]))
            if edges.start == edges.stop:
                continue
            has_edges = np.flatnonzero(np.diff(starts))
            terms = self.weights[edges, np.newaxis] * values[self.targets[edges]]
            result[first + has_edges] = np.add.reduceat(terms, starts[has_edges] - edges.start, axis=0)
        return result


@dataclass(frozen=True, eq=False)
class PropagatedLabels:
    """How much each item belongs to each class `float64 [n, c]`, in no unit: the largest of a row is its class."""

    scores: Float64
    iterations: int
    converged: bool


def similarity_graph(neighbours: Neighbours) -> SimilarityGraph:
    """Join items that are among each other's nearest, either way, by their cosine; cosines below 0 join none.

    `neighbours` are of each of n items among the same n, itself left out (`find_neighbours`, leave_one_out).
    """
    count = len(neighbours.positions)
    sources = np.repeat(np.arange(count), neighbours.positions.shape[1])
    targets, cosines = neighbours.positions.ravel(), neighbours.cosines.ravel()
    joins = (targets >= 0) & (cosines > 0)
    sources, targets, cosines = sources[joins], targets[joins], cosines[joins]
    keys = np.concatenate([sources * count + targets, targets * count + sources])
    keys, first = np.unique(keys, return_index=True)
    weights = np.concatenate([cosines, cosines])[first]
    rows, columns = np.divmod(keys, count)
    degrees = np.bincount(rows, weights=weights, minlength=count)
    starts = np.searchsorted(rows, np.arange(count + 1))
    return SimilarityGraph(starts, columns, weights / np.sqrt(degrees[rows] * degrees[columns]))


def zero_shot_seeds(probabilities: Float64) -> Float64:
    """Seeds `float64 [n, c]` of a zero-shot classifier's probabilities `float64 [n, c]` (Fu et al. 2015).

    Each class's mean is taken off: what all items share would gather at those with many neighbours, and there the class
    that is likeliest everywhere would win.
    """
    seeds: Float64 = probabilities - probabilities.mean(axis=0)
    return seeds


def propagated_labels(
    graph: SimilarityGraph, seeds: Float64, *, spread: float = SPREAD, most_iterations: int = MOST_ITERATIONS
) -> PropagatedLabels:
    """Spread `seeds float64 [n, c]` over the graph: F = spread S F + (1 - spread) seeds, until it stays.

    Seeds are one-hot for labelled items and 0 for others, or `zero_shot_seeds`. `converged` if the last step changed no
    score by more than 1e-8 of the largest seed.

    Raises:
        InvalidInput: `spread` is not within 0 and 1, excluding 1, or there are not as many seeds as items.

    """
    if not 0 <= spread < 1:
        raise InvalidInput(f"spread is {spread}; it must be at least 0 and below 1", param="spread")
    if len(seeds) != len(graph.starts) - 1:
        raise InvalidInput(f"{len(seeds)} seeds for a graph of {len(graph.starts) - 1} items", param="seeds")
    scores = seeds
    tolerance = CHANGE_TOLERANCE * float(np.abs(seeds).max(initial=0))
    for iteration in range(1, most_iterations + 1):
        following = spread * graph.spread(scores) + (1 - spread) * seeds
        change = float(np.abs(following - scores).max(initial=0))
        scores = following
        if change <= tolerance:
            return PropagatedLabels(scores, iteration, converged=True)
    return PropagatedLabels(scores, most_iterations, converged=False)


def refined_by_propagation(
    prototypes: Prototypes,
    vectors: Float32,
    seeds: Float64,
    *,
    neighbours: int = NEIGHBOURS,
    spread: float = REFINEMENT_SPREAD,
    item_weight: float = ITEM_WEIGHT,
) -> Prototypes:
    """Move unit prototypes `[c, d]` to the items `float32 [n, d], unit length` that the seeds `float64 [n, c]` reach.

    Each item is of the class that reaches it most, and each class becomes the direction of its prototype plus
    `item_weight` times that of its items' mean; one without items stays. The result is `float64 [c, d], unit length`.

    Raises:
        InvalidInput: see `find_neighbours` and `propagated_labels`.
        NoExamples: there is but one item, or none.

    """
    graph = similarity_graph(find_neighbours(vectors, vectors, neighbours, leave_one_out=True))
    scores = propagated_labels(graph, seeds, spread=spread).scores
    is_reached = scores.max(axis=1) > 0
    totals = class_totals(vectors[is_reached], scores[is_reached].argmax(axis=1), len(prototypes.labels))
    return moved_prototypes(prototypes, totals, item_weight)
