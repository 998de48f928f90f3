"""What a collection was searched by, so that its body is tuned on it."""

from collections import deque
from collections.abc import Callable

import numpy as np

from simila.domain.vectors import Float32
from simila.storage.collection_file import CollectionSpec

_KEPT = 256
_RARER = 16

SyntheticQueries = Callable[[CollectionSpec], Float32]


class AskedQueries:
    """The newest queries that came from outside, and vectors that stand in for those that have not come yet."""

    def __init__(self, spec: CollectionSpec, synthetic: SyntheticQueries | None) -> None:
        self._spec = spec
        self._synthetic = synthetic
        self._newest: deque[Float32] = deque(maxlen=_KEPT)
        self._asked = 0
        self._asked_until_tuning = _KEPT

    def add(self, queries: Float32) -> bool:
        """Keep `float32 [q, d]`; say whether to tune on what is kept: when there are enough, then ever more rarely."""
        self._newest.extend(queries[:_KEPT])
        self._asked += len(queries)
        if self._asked < self._asked_until_tuning:
            return False
        self._asked_until_tuning = self._asked * _RARER
        return True

    def clear(self) -> None:
        """Forget what was asked."""
        self._newest.clear()

    def vectors(self) -> Float32:
        """`float32 [n, d], unit length`: those kept, and the synthetic ones."""
        nothing = np.empty((0, self._spec.dimension), np.float32)
        synthetic = self._synthetic(self._spec) if self._synthetic else nothing
        return np.concatenate([nothing, *(query[np.newaxis] for query in list(self._newest)), synthetic])
