"""Sequences to positions."""

import numpy as np

from simila.domain.vectors import Int64


def positions_of(wanted: Int64, sequences: Int64) -> Int64:
    """Where those of `int64 [n]` that are among `sequences` lie in it; both ascend."""
    if not len(sequences):
        return np.empty(0, np.int64)
    inside = wanted[slice(*np.searchsorted(wanted, [sequences[0], sequences[-1] + 1]))]
    places = np.searchsorted(sequences, inside)
    found: Int64 = places[sequences[places] == inside]
    return found
