"""The least effort that meets a recall target, measured on held-out queries."""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from time import perf_counter

import numpy as np

from simila.domain.vectors import Float32, Int64
from simila.index.body import Body, Measured, Setting
from simila.index.body_builder import BuildWatch
from simila.index.body_search import search_body
from simila.index.exact_search import exact_on
from simila.index.neighbours import Neighbours
from simila.index.recipes import MEASURED_DEPTH
from simila.index.row_mask import RowMask
from simila.index.stored_vectors import StoredVectors

STORED, OUTSIDE = "stored", "outside"
_STORED_QUERIES = 512
_TIMED_QUERIES = 64
_SEED = 5
_NONE: Int64 = np.empty(0, np.int64)
# Cosines of one row from two kernels differ by less.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class _HeldOut:
    """Queries whose true neighbours are known."""

    queries: Float32  # [q, d], unit length
    own: Int64  # [q], the row that the query was taken from; -1 for none
    neighbours: Int64  # [q, 10], the true ones
    tenth_cosines: Float32  # [q], of the last true neighbour

    def recalls(self, found: Neighbours, gone: Int64) -> Float32:
        """Of each query, `float32 [q]`: the share of the true neighbours, or rows as near, that were found.

        Those among `int64 [n]`, which were deleted since, are not looked for.
        """
        others = np.where(found.sequences == self.own[:, np.newaxis], np.float32(-np.inf), found.scores)
        near = (others >= self.tenth_cosines[:, np.newaxis] - _ROUNDING).sum(axis=1)
        left = MEASURED_DEPTH - np.isin(self.neighbours, gone).sum(axis=1)
        recalls: Float32 = np.minimum((near / np.maximum(left, 1)).astype(np.float32), np.float32(1))
        return np.where(left, recalls, np.float32(1))


@dataclass(frozen=True)
class _Recall:
    mean: float
    standard_error: float


def tuned(body: Body, stored: StoredVectors, outside_queries: Float32, recall_target: float, watch: BuildWatch) -> Body:
    """The body with the fastest setting whose recall at 10 meets the target for every group of queries.

    The groups are a sample of the stored vectors, each without its own row, and the queries from outside: a quantised
    index may find the neighbours of images and lose those of texts. A group's recall counts less its standard error,
    so that the target holds for other queries too. If no setting meets the target, the best is taken, and
    `measured.meets_target` is False.

    Args:
        body: of more than 10 rows.
        stored: has the vectors of its rows.
        outside_queries: float32 [m, d], unit length; m may be 0.
        recall_target: from 0 to 1.
        watch: stops it between two settings.

    Raises:
        BuildCancelled: the caller asked for it.

    """
    groups = _held_out(body, stored, outside_queries)

    @cache
    def recalls(setting: Setting) -> Mapping[str, _Recall]:
        watch.check()
        return {name: _recall(replace(body, setting=setting), stored, group) for name, group in groups.items()}

    def meets_target(setting: Setting) -> bool:
        return all(recall.mean - recall.standard_error >= recall_target for recall in recalls(setting).values())

    meeting = []
    for rerank_factor in body.recipe.rerank_factors:
        settings = [Setting(effort, rerank_factor) for effort in body.efforts]
        place = bisect_left(settings, True, key=meets_target)  # more effort never finds less
        meeting += settings[place : place + 1]
    trials = meeting or [Setting(body.efforts[-1], body.recipe.rerank_factors[-1])]
    queries = np.concatenate([group.queries for group in groups.values()])
    milliseconds = {setting: _p50_milliseconds(replace(body, setting=setting), stored, queries) for setting in trials}
    best = min(trials, key=milliseconds.__getitem__)
    measured = Measured(
        recall_at_10={name: recall.mean for name, recall in recalls(best).items()},
        p50_milliseconds=milliseconds[best],
        bytes_per_vector=body.bytes_per_vector(),
        meets_target=bool(meeting),
    )
    return replace(body, setting=best, measured=measured)


def _held_out(body: Body, stored: StoredVectors, outside_queries: Float32) -> dict[str, _HeldOut]:
    rows = np.sort(np.random.default_rng(_SEED).permutation(len(body.sequences))[:_STORED_QUERIES])
    own, vectors = stored.vectors(body.sequences[rows])
    queries = np.ascontiguousarray(np.concatenate([vectors, outside_queries]), dtype=np.float32)
    own = np.concatenate([own, np.full(len(outside_queries), -1, np.int64)])
    # One pass over the store for all of them; one more than is asked for, because a stored row finds itself.
    everything = RowMask.all_of(len(body.sequences))
    truth, _ = exact_on(body, queries, MEASURED_DEPTH + 1, stored, everything)
    others = np.where(truth.sequences == own[:, np.newaxis], np.float32(-np.inf), truth.scores)
    nearest = Neighbours.best([Neighbours(others, truth.sequences)], MEASURED_DEPTH)
    tenth_cosines = nearest.scores[:, -1]
    split = len(vectors)
    groups = {STORED: _HeldOut(queries[:split], own[:split], nearest.sequences[:split], tenth_cosines[:split])}
    if len(outside_queries):
        groups[OUTSIDE] = _HeldOut(queries[split:], own[split:], nearest.sequences[split:], tenth_cosines[split:])
    return groups


def _recall(body: Body, stored: StoredVectors, held_out: _HeldOut) -> _Recall:
    everything = RowMask.all_of(len(body.sequences))
    found, search = search_body(body, held_out.queries, MEASURED_DEPTH + 1, stored, everything)
    true = np.unique(held_out.neighbours[held_out.neighbours >= 0]) if search.lacking else _NONE
    recalls = held_out.recalls(found, np.setdiff1d(true, stored.vectors(true)[0], assume_unique=True))
    return _Recall(float(recalls.mean()), float(recalls.std() / math.sqrt(len(recalls))))


def _p50_milliseconds(body: Body, stored: StoredVectors, queries: Float32) -> float:
    everything = RowMask.all_of(len(body.sequences))
    timed = np.random.default_rng(_SEED).permutation(len(queries))[:_TIMED_QUERIES]
    milliseconds = []
    for query in timed.tolist():
        started = perf_counter()
        search_body(body, queries[query : query + 1], MEASURED_DEPTH, stored, everything)
        milliseconds.append(1000 * (perf_counter() - started))
    return float(np.median(milliseconds))
