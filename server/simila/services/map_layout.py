"""Where the items of a collection lie on a plane: laid out once, then kept up with what is written and deleted."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from simila.classifiers.plane import Plane, PlaneFit
from simila.domain.vectors import Float32, Int64
from simila.index.clusters import cluster_centres, nearest_centres
from simila.index.collection import Collection
from simila.storage.map_file import StoredMap

# Each item is looked up in the index, which takes about a millisecond of one core where it is approximate.
MOST_COMPARED = 200_000
MOST_CLUSTERS = 8  # as many as colours that people tell apart

_CHUNK_ROWS = 8192
_COMPARED_AT_ONCE = 512
_CLUSTERED_SAMPLE = 8192

Advance = Callable[[int], None]
"""Is told how many rows more are done; what it raises ends the work."""


def laid_out(collection: Collection, advance: Advance) -> StoredMap:
    """Lay all items out afresh, by the two principal components of their vectors; two or three steps a row."""
    reader = collection.reader
    every = -(-max(reader.count(), 1) // _CLUSTERED_SAMPLE)
    fit = PlaneFit(collection.spec.dimension)
    sample = [np.empty((0, collection.spec.dimension), np.float32)]
    for chunk in reader.scan(0, _CHUNK_ROWS):
        fit.add(chunk.vectors)
        sample.append(chunk.vectors[::every])
        advance(len(chunk.vectors))
    plane, sampled = fit.plane(), np.concatenate(sample)
    clusters = min(MOST_CLUSTERS, max(1, round((len(sampled) / 2) ** 0.5)))  # by a rule of thumb (Mardia et al. 1979)
    centres = cluster_centres(sampled, clusters) if len(sampled) else sampled
    none = np.empty(0, np.int64)
    no_places, no_cosines = np.empty((0, 2), np.float32), np.empty(0, np.float32)
    empty = StoredMap(plane.mean, plane.axes, centres, none, no_places, none, none, no_cosines)
    return caught_up(empty, collection, advance)


def caught_up(stored: StoredMap, collection: Collection, advance: Advance) -> StoredMap:
    """The map with the items that came since, and without those that went; nothing is laid out anew."""
    reader = collection.reader
    plane = Plane(stored.mean, stored.axes)
    parts = [_rows(stored, np.isin(stored.sequences, reader.sequences()))]
    for chunk in reader.scan(int(stored.sequences[-1]) if len(stored.sequences) else 0, _CHUNK_ROWS):
        unknown = np.full(len(chunk.sequences), -1, np.int64)
        clusters = nearest_centres(chunk.vectors, stored.centres) if len(stored.centres) else unknown
        parts.append((chunk.sequences, plane.places(chunk.vectors), clusters, unknown, unknown.astype(np.float32)))
        advance(len(chunk.sequences))
    sequences, places, clusters, neighbours, cosines = (np.concatenate(column) for column in zip(*parts, strict=True))
    grown = replace(
        stored, sequences=sequences, places=places, clusters=clusters, neighbours=neighbours, cosines=cosines
    )
    return grown if len(sequences) > MOST_COMPARED else _compared(grown, collection, advance)


def _rows(stored: StoredMap, kept: np.ndarray) -> tuple[Int64, Float32, Int64, Int64, Float32]:
    columns = (stored.sequences, stored.places, stored.clusters, stored.neighbours, stored.cosines)
    sequences, places, clusters, neighbours, cosines = (column[kept] for column in columns)
    return sequences, places, clusters, neighbours, cosines


def _compared(stored: StoredMap, collection: Collection, advance: Advance) -> StoredMap:
    """The map with the nearest other of each item that has none, or none any more."""
    neighbours, cosines = stored.neighbours.copy(), stored.cosines.copy()
    lacking = np.flatnonzero(~np.isin(neighbours, stored.sequences))
    for start in range(0, len(lacking), _COMPARED_AT_ONCE):
        sequences, vectors = collection.reader.vectors(stored.sequences[lacking[start : start + _COMPARED_AT_ONCE]])
        found, nearest = _nearest_others(sequences, vectors, collection)
        rows = np.searchsorted(stored.sequences, sequences)
        neighbours[rows], cosines[rows] = found, nearest
        _tell_them(stored.sequences, sequences, found, nearest, neighbours, cosines)
        advance(len(sequences))
    return replace(stored, neighbours=neighbours, cosines=cosines)


def _nearest_others(sequences: Int64, vectors: Float32, collection: Collection) -> tuple[Int64, Float32]:
    """The nearest item to each but itself, and their cosine; -1 and -1 of a lone one."""
    near = collection.nearest(vectors, 2)
    first = (near.sequences != sequences[:, None]).argmax(axis=1)
    rows = np.arange(len(sequences))
    return near.sequences[rows, first], np.clip(near.scores[rows, first], -1, 1)


def _tell_them(
    all_sequences: Int64, sequences: Int64, found: Int64, nearest: Float32, neighbours: Int64, cosines: Float32
) -> None:
    """To be someone's nearest other is to be near: where that is nearer than what they had, it is theirs."""
    position = np.searchsorted(all_sequences, found).clip(max=len(all_sequences) - 1)
    nearer = np.flatnonzero((all_sequences[position] == found) & (nearest > cosines[position]))
    nearer = nearer[np.argsort(nearest[nearer], kind="stable")]  # of several the last assignment holds, the nearest
    neighbours[position[nearer]], cosines[position[nearer]] = sequences[nearer], nearest[nearer]
