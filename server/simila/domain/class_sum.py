"""The sum of a class's vectors, from which items can be taken out again as if they had never been in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simila.domain.errors import InvalidInput, InvalidVector, LimitExceeded, NoExamples
from simila.domain.vectors import Float32, Float64, Int64

FRACTION_BITS = 40
# Values of unit vectors may pass 1 by their own rounding. As many items of such values are just within an int64.
LARGEST_VALUE = 1.0 + 2.0**-16
MOST_ITEMS_A_CLASS = 2**23 - 2**7


@dataclass(frozen=True, eq=False)
class ClassSum:
    """How many unit vectors, and their sum as `int64 [d]` multiples of 2**-40.

    Sums of integers do not depend on their order, so what is added and removed cancels to the last bit. Each value is
    rounded by at most 2**-41, so the mean is within 5e-13 of the one of the vectors themselves.
    """

    count: int
    units: Int64

    @staticmethod
    def empty(dimension: int) -> "ClassSum":
        return ClassSum(0, np.zeros(dimension, np.int64))

    def added(self, vectors: Float32) -> "ClassSum":
        """The sum with `float32 [n, d], unit length` more.

        Raises:
            InvalidVector: a value that no unit vector has.
            LimitExceeded: more than `MOST_ITEMS_A_CLASS` items.

        """
        return self.plus(ClassSum(len(vectors), fixed_point(vectors).sum(axis=0)))

    def removed(self, vectors: Float32) -> "ClassSum":
        """The sum without `float32 [n, d], unit length` that were added before.

        Raises:
            InvalidVector: a value that no unit vector has.
            InvalidInput: these vectors are not all in the sum, as far as it can tell.

        """
        return self.minus(ClassSum(len(vectors), fixed_point(vectors).sum(axis=0)))

    def plus(self, other: "ClassSum") -> "ClassSum":
        """Both sums as one.

        Raises:
            LimitExceeded: more than `MOST_ITEMS_A_CLASS` items.

        """
        count = self.count + other.count
        if count > MOST_ITEMS_A_CLASS:
            raise LimitExceeded(
                f"a class of {count} items is more than the {MOST_ITEMS_A_CLASS} that its exact sum can hold;"
                " no setting moves this limit"
            )
        return ClassSum(count, self.units + other.units)

    def minus(self, other: "ClassSum") -> "ClassSum":
        """The sum without the vectors of another.

        Raises:
            InvalidInput: they are not all in it, as far as it can tell.

        """
        count = self.count - other.count
        units = self.units - other.units
        if count < 0 or (not count and units.any()):
            raise InvalidInput(f"{other.count} vectors cannot be taken out of a sum of {self.count} that lacks them")
        return ClassSum(count, units)

    def mean(self) -> Float64:
        """The mean `float64 [d]`.

        Raises:
            NoExamples: the class has no items.

        """
        if not self.count:
            raise NoExamples("a class without items has no mean")
        return np.ldexp(self.units / self.count, -FRACTION_BITS)

    def to_bytes(self) -> bytes:
        """The count and the sums as little-endian int64: equal sums are equal bytes."""
        return np.concatenate([[self.count], self.units]).astype("<i8").tobytes()

    @staticmethod
    def from_bytes(content: bytes, dimension: int) -> "ClassSum":
        """Read what `to_bytes` wrote.

        Raises:
            InvalidInput: it is no sum of `dimension` values.

        """
        if len(content) != 8 * (1 + dimension):
            raise InvalidInput(f"{len(content)} bytes are no class sum of {dimension} dimensions")
        numbers = np.frombuffer(content, dtype="<i8").astype(np.int64)
        if not 0 <= numbers[0] <= MOST_ITEMS_A_CLASS:
            raise InvalidInput(f"a class sum cannot be of {numbers[0]} items")
        return ClassSum(int(numbers[0]), numbers[1:])


def sums_by_class(vectors: Float32, labels: Sequence[str | None]) -> dict[str, ClassSum]:
    """The sum of each label's vectors, of `float32 [n, d], unit length`; those without a label are in none.

    Raises:
        InvalidVector: see `fixed_point`.

    """
    rows_of: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        if label is not None:
            rows_of.setdefault(label, []).append(row)
    return {label: ClassSum(len(rows), fixed_point(vectors[rows]).sum(axis=0)) for label, rows in rows_of.items()}


def changed_sums(
    sums: Mapping[str, ClassSum], gained: Mapping[str, ClassSum], lost: Mapping[str, ClassSum]
) -> dict[str, ClassSum]:
    """What is new for the classes that gained or lost vectors; an empty sum where a class has none left.

    Raises:
        LimitExceeded: see `ClassSum.plus`.
        InvalidInput: see `ClassSum.minus`.

    """
    changed = {}
    for label in sorted({*gained, *lost}):
        total = sums.get(label) or ClassSum.empty(len((gained.get(label) or lost[label]).units))
        total = total.minus(lost[label]) if label in lost else total
        changed[label] = total.plus(gained[label]) if label in gained else total
    return changed


def fixed_point(vectors: Float32) -> Int64:
    """`float32 [n, d], unit length` as `int64 [n, d]` multiples of 2**-40, to the nearest.

    Raises:
        InvalidVector: a value that no unit vector has: not a number, or its size is more than 1.

    """
    if vectors.size and not np.abs(vectors).max() <= LARGEST_VALUE:
        raise InvalidVector("only unit vectors can be summed: a value is more than 1, or no number")
    return np.rint(np.ldexp(vectors.astype(np.float64), FRACTION_BITS)).astype(np.int64)
