"""One input seen several ways: crops, flips or rotations of an image."""

import numpy as np

from simila.domain.errors import InvalidInput
from simila.domain.vectors import Float32, unit_rows


def average_views(view_vectors: Float32) -> Float32:
    """Average each input's views `float32 [views, n, d], unit length` to `float32 [n, d], unit length`.

    Linear scores of the mean are the mean of the views' scores, as Lee et al. 2020 average them, up to its length.

    Raises:
        InvalidInput: there is no view.

    """
    if not len(view_vectors):
        raise InvalidInput("at least one view is needed", param="views")
    return unit_rows(view_vectors.mean(axis=0, dtype=np.float64).astype(np.float32))
