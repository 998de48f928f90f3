"""Which kind of index, from the number of vectors, their dimension and the memory there is."""

import math
from dataclasses import dataclass
from typing import Literal

# Product quantisation learns nothing from fewer, however little memory there is.
FEWEST_ROWS = 64
MEASURED_DEPTH = 10  # recall is promised, and tuned, for this many neighbours

# Exact search reads 7e9 float32 a second on one core (one query, AVX-512): this many take 3 ms.
FLAT_VALUES = 20_000_000
# A graph of this many takes a minute to build on one core, where cells take ten seconds.
_GRAPH_ROWS_PER_CORE = 200_000
_TRAINING_ROWS_PER_CELL = 39  # FAISS warns of fewer
_FEWEST_TRAINING_ROWS = 16_384


@dataclass(frozen=True)
class Recipe:
    """One kind of body: codes that FAISS searches, whose best are scored again by the stored vectors."""

    kind: str
    codes: str  # in the words of FAISS's index factory; {cells} is filled in
    effort_name: Literal["efSearch", "nprobe"]
    efforts: tuple[int, ...]
    rerank_factors: tuple[int, ...]  # candidates scored again for each neighbour wanted
    scan_candidates: int  # at least so many are scored again after a scan of few rows, whose cosines lie close together
    bytes_fixed: int  # a vector, beside its codes: graph links or a place in a list
    bits_per_dimension: float
    most_rows_per_core: int | None = None  # of the cores that build it

    def bytes_per_vector(self, dimension: int) -> int:
        """An estimate of memory and disk, the sequence (8 bytes) included."""
        return 8 + self.bytes_fixed + round(self.bits_per_dimension * dimension / 8)

    def factory(self, rows: int, dimension: int) -> str:
        """The description that FAISS builds an index of so many rows from."""
        return self.codes.format(cells=_cells(rows), subspaces=_subspaces(dimension))

    def training_rows(self, rows: int) -> int:
        """How many of the rows to train on."""
        return min(rows, max(_FEWEST_TRAINING_ROWS, _TRAINING_ROWS_PER_CELL * _cells(rows)))

    def fits(self, rows: int, dimension: int, memory_bytes: int | None, build_cores: int) -> bool:
        """Whether so many rows can be built in reasonable time, and fit."""
        if self.most_rows_per_core is not None and rows > self.most_rows_per_core * build_cores:
            return False
        return memory_bytes is None or rows * self.bytes_per_vector(dimension) <= memory_bytes


_CELL_EFFORTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

# From the one that finds most to the one that needs least memory.
RECIPES = (
    Recipe(
        kind="hnsw-sq8",
        codes="HNSW32,SQ8",
        effort_name="efSearch",
        efforts=(16, 32, 64, 128, 256, 512, 1024),
        rerank_factors=(1, 2, 4),
        scan_candidates=40,
        bytes_fixed=32 * 2 * 4 + 16,
        bits_per_dimension=8,
        most_rows_per_core=_GRAPH_ROWS_PER_CORE,
    ),
    Recipe(
        kind="ivf-sq8",
        codes="IVF{cells},SQ8",
        effort_name="nprobe",
        efforts=_CELL_EFFORTS,
        rerank_factors=(1, 2, 4),
        scan_candidates=40,
        bytes_fixed=8,
        bits_per_dimension=8.5,  # the half for centroids
    ),
    Recipe(
        kind="ivf-rabitq",
        codes="IVF{cells},RaBitQfs",
        effort_name="nprobe",
        efforts=_CELL_EFFORTS,
        rerank_factors=(4, 8, 16, 32),
        scan_candidates=1000,
        bytes_fixed=28,
        bits_per_dimension=1.5,
    ),
    Recipe(
        kind="ivf-pq",
        codes="IVF{cells},PQ{subspaces}x4fs",
        effort_name="nprobe",
        efforts=_CELL_EFFORTS,
        rerank_factors=(16, 32, 64),
        scan_candidates=1000,
        bytes_fixed=8,
        bits_per_dimension=1,
    ),
)


def suitable_recipes(
    rows: int, dimension: int, memory_bytes: int | None = None, build_cores: int = 1
) -> tuple[Recipe, ...]:
    """The kinds of body to try, in this order, until one meets its recall target; none where exact search is fast.

    The first is the best that fits the memory, the later ones find more and take more. A collection for which none
    meets the target stays flat, as does one that is small: all of it in the head.

    Args:
        rows: vectors to be found.
        dimension: of a vector.
        memory_bytes: what the body may take; None for as much as it likes.
        build_cores: how many build it side by side.

    """
    if rows < FEWEST_ROWS:
        return ()
    if rows * dimension <= FLAT_VALUES and (memory_bytes is None or rows * dimension * 4 <= memory_bytes):
        return ()
    fitting = [place for place, recipe in enumerate(RECIPES) if recipe.fits(rows, dimension, memory_bytes, build_cores)]
    first = fitting[0] if fitting else len(RECIPES) - 1
    return tuple(reversed(RECIPES[: first + 1]))


def recipe_of(kind: str) -> Recipe:
    """The recipe of this kind.

    Raises:
        KeyError: there is none.

    """
    return {recipe.kind: recipe for recipe in RECIPES}[kind]


def _cells(rows: int) -> int:
    """A power of two near 4 sqrt(rows), as FAISS's guidelines have it, that the rows suffice to train."""
    near = 1 << round(math.log2(4 * math.sqrt(rows)))
    most = 1 << max(0, (rows // _TRAINING_ROWS_PER_CELL).bit_length() - 1)
    return max(1, min(near, most))


def _subspaces(dimension: int) -> int:
    """As near to one for eight dimensions as divides the dimension."""
    return max(count for count in range(1, max(1, dimension // 8) + 1) if dimension % count == 0)
