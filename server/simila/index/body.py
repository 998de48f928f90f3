"""The bulk of a collection: an immutable FAISS index over quantised vectors.

FAISS's type stubs lack what its Python layer adds: keywords of search parameters, and what `downcast_index` returns.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import faiss

from simila.domain.vectors import Float32, Int64
from simila.index.openmp import use_search_threads
from simila.index.recipes import Recipe
from simila.index.row_mask import RowMask


@dataclass(frozen=True)
class Setting:
    """How hard a body searches for `MEASURED_DEPTH` neighbours."""

    effort: int  # efSearch or nprobe
    rerank_factor: int  # candidates scored again for each neighbour wanted


@dataclass(frozen=True)
class Measured:
    """What a body did on held-out queries, by group: `stored` vectors, and `outside` ones such as text queries."""

    recall_at_10: Mapping[str, float]
    p50_milliseconds: float
    bytes_per_vector: float
    meets_target: bool


@dataclass(frozen=True)
class Body:
    """Codes of vectors at positions 0 to n - 1, by ascending sequence. Never changed, so any thread may search it."""

    index: faiss.Index
    sequences: Int64  # [n]
    recipe: Recipe
    setting: Setting
    measured: Measured | None = None

    @property
    def dimension(self) -> int:
        return int(self.index.d)

    @cached_property
    def highest_effort(self) -> int:
        """Past this, more effort finds nothing more."""
        return len(self.sequences) if self.recipe.effort_name == "efSearch" else int(_cells(self.index).nlist)

    def least_effort(self, candidates: int) -> int:
        """What it takes to come upon so many, in cells that are half as full as the mean."""
        if self.recipe.effort_name == "efSearch":
            return candidates
        return math.ceil(2 * candidates * self.highest_effort / len(self.sequences))

    @property
    def efforts(self) -> list[int]:
        """The efforts to choose from, ascending."""
        return sorted({min(effort, self.highest_effort) for effort in self.recipe.efforts})

    def write_index(self, write: Callable[[bytes], object]) -> None:
        """Hand the index to `write`, part by part, in FAISS's format; what `write` raises is raised."""
        failures: list[BaseException] = []

        def part_written(part: bytes) -> None:
            try:
                write(part)
            except BaseException as error:
                failures.append(error)
                raise

        try:
            faiss.write_index(self.index, faiss.PyCallbackIOWriter(part_written))  # type: ignore[attr-defined]
        except RuntimeError as error:  # FAISS makes one of its own of whatever a callback raises
            raise failures[0] if failures else error from None

    def bytes_per_vector(self) -> float:
        """Of the index and the sequences, in memory or on disk."""
        index_bytes = 0

        def count(part: bytes) -> None:
            nonlocal index_bytes
            index_bytes += len(part)

        self.write_index(count)
        return index_bytes / len(self.sequences) + self.sequences.itemsize

    def candidates(self, queries: Float32, count: int, effort: int) -> Int64:
        """Positions `int64 [q, count]` near contiguous `float32 [q, d], unit length`, the likeliest first.

        Where fewer are found, a row ends in -1.
        """
        if self.recipe.effort_name == "efSearch":
            parameters = faiss.SearchParametersHNSW(efSearch=max(effort, count))  # type: ignore[attr-defined]
        else:
            parameters = faiss.SearchParametersIVF(nprobe=effort)  # type: ignore[call-arg]
        return _searched(self.index, queries, count, parameters)

    def candidates_of_all(self, queries: Float32, count: int, mask: RowMask) -> Int64:
        """As `candidates`, from the codes of every row in the mask: as many as it holds, up to `count`."""
        selector = mask.selector()
        if self.recipe.effort_name == "nprobe":
            parameters = faiss.SearchParametersIVF(nprobe=self.highest_effort, sel=selector)  # type: ignore[call-arg]
            return _searched(self.index, queries, count, parameters)
        codes = faiss.downcast_index(faiss.downcast_index(self.index).storage)  # type: ignore[attr-defined]
        return _searched(codes, queries, count, faiss.SearchParameters(sel=selector))  # type: ignore[call-arg]


def _searched(index: faiss.Index, queries: Float32, count: int, parameters: faiss.SearchParameters) -> Int64:
    use_search_threads()
    positions: Int64
    _, positions = index.search(queries, count, params=parameters)
    return positions


def _cells(index: faiss.Index) -> faiss.IndexIVF:
    return faiss.extract_index_ivf(index)
