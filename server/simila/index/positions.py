"""Sequences to positions."""

import numpy as np

from simila.domain.vectors import Int64

# More than one in so many is found faster by a table of the whole span than one by one,
_TABLE_SHARE = 20
# unless the span is mostly gaps.
_TABLE_SPAN = 8


def positions_of(wanted: Int64, sequences: Int64) -> Int64:
    """Where those of `int64 [n]` that are among `sequences` lie in it; both ascend."""
    if not len(sequences):
        return np.empty(0, np.int64)
    first, last = sequences[0], sequences[-1]
    inside = wanted[slice(*np.searchsorted(wanted, [first, last + 1]))]
    span = int(last - first) + 1
    if len(inside) * _TABLE_SHARE > len(sequences) and span <= _TABLE_SPAN * len(sequences):
        is_wanted = np.zeros(span, np.bool_)
        is_wanted[inside - first] = True
        return np.flatnonzero(is_wanted[sequences - first])
    places = np.searchsorted(sequences, inside)
    found: Int64 = places[sequences[places] == inside]
    return found
