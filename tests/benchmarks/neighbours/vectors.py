"""What is stored and what is searched for: clusters, and clouds around real CLIP text vectors."""

from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

DIMENSION = 384
QUERIES = 2000
CLUSTERED = "clustered"
NEIGHBOURS = 10
_SEED = 11
_ROWS_PER_CLUSTER = 250
_SPREAD = 0.7  # the length of the noise, where that of a centre is 1
_CHUNK_ROWS = 65_536


@dataclass(frozen=True)
class Corpus:
    """Vectors `float32 [n, d]` and queries `float32 [q, d]`, both of unit length. Row i has the payload `i % 1000`."""

    name: str
    vectors: Float32
    queries: Float32

    @property
    def slug(self) -> str:
        """The name as that of a folder."""
        return self.name.lower().replace(" ", "-")

    def buckets(self) -> Int64:
        return np.arange(len(self.vectors), dtype=np.int64) % 1000

    def true_neighbours(self, most_bucket: int = 1000) -> Int64:
        """The rows of the nearest to each query, `int64 [q, 10]`, of those whose bucket is below `most_bucket`."""
        allowed = np.flatnonzero(self.buckets() < most_bucket)
        _, found = faiss.knn(self.queries, self.vectors[allowed], NEIGHBOURS, metric=faiss.METRIC_INNER_PRODUCT)
        return allowed[found]


def clusters(rows: int) -> Corpus:
    """Gaussian clusters of about 250 rows each; queries are new points of the same clusters."""
    random = np.random.default_rng(_SEED)
    centres = _unit(random.standard_normal((max(1, rows // _ROWS_PER_CLUSTER), DIMENSION), dtype=np.float32))
    return Corpus(f"{rows} {CLUSTERED}", _around(centres, rows, random), _around(centres, QUERIES, random))


def clip_texts(file: Path, rows: int) -> Corpus:
    """Clouds around real CLIP text vectors; the queries are the real ones."""
    random = np.random.default_rng(_SEED)
    real = _unit(np.load(file).astype(np.float32))
    return Corpus(f"{rows} around CLIP texts", _around(real, rows, random), real)


def _around(centres: Float32, rows: int, random: np.random.Generator) -> Float32:
    vectors = np.empty((rows, centres.shape[1]), np.float32)
    for start in range(0, rows, _CHUNK_ROWS):
        part = vectors[start : start + _CHUNK_ROWS]
        noise = _unit(random.standard_normal(part.shape, dtype=np.float32))
        part[:] = _unit(centres[random.integers(len(centres), size=len(part))] + _SPREAD * noise)
    return vectors


def _unit(rows: Float32) -> Float32:
    unit: Float32 = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
