"""The sums of all classes: nearest mean that learns and forgets item by item (Janson et al. 2022)."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from simila.classifiers.prototypes import Prototypes
from simila.domain.class_sum import ClassSum, changed_sums, sums_by_class
from simila.domain.vectors import Float32


class ClassSums:
    """A `ClassSum` a label. A class whose last item is removed is gone, as if it had never been."""

    def __init__(self, dimension: int, sums: Mapping[str, ClassSum] | None = None) -> None:
        self._dimension = dimension
        self._sums = dict(sums or {})

    @property
    def counts(self) -> dict[str, int]:
        return {label: self._sums[label].count for label in sorted(self._sums)}

    def add(self, vectors: Float32, labels: Sequence[str | None]) -> None:
        """Count `float32 [n, d], unit length` to their classes; those without a label belong to none.

        Raises:
            InvalidVector, LimitExceeded: see `ClassSum.added`; then nothing has changed.

        """
        self._sums.update(changed_sums(self._sums, sums_by_class(vectors, labels), {}))

    def remove(self, vectors: Float32, labels: Sequence[str | None]) -> None:
        """Take `float32 [n, d], unit length` out of their classes.

        Raises:
            InvalidVector, InvalidInput: see `ClassSum.removed`; then nothing has changed.

        """
        changed = changed_sums(self._sums, {}, sums_by_class(vectors, labels))
        self._sums.update(changed)
        for label in changed:
            if not self._sums[label].count:
                del self._sums[label]

    def means(self) -> Prototypes:
        """The mean of each class `float64 [c, d]`, classes in alphabetical order."""
        labels = tuple(sorted(self._sums))
        means = [self._sums[label].mean() for label in labels]
        return Prototypes(labels, np.array(means, dtype=np.float64).reshape(-1, self._dimension))

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """Each label and its sum's bytes, in alphabetical order: the same items give the same rows."""
        for label in sorted(self._sums):
            yield label, self._sums[label].to_bytes()
