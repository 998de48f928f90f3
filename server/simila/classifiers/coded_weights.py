"""Weights in 8 bits: a quarter of the bytes to read, and a bound on how far that puts each score off."""

from dataclasses import dataclass

import numpy as np

from simila.backends.integer_product import LARGEST_DIGIT, IntegerProduct
from simila.domain.vectors import Float32, Float64

LARGEST_DIMENSION = 2048
"""Of a sum of products that 32 bits hold."""

_LARGEST_CODE = 127
_BASE = 2 * LARGEST_DIGIT  # of the two digits that a value of a vector is written with
_LARGEST_NUMBER = (LARGEST_DIGIT - 1) * _BASE  # a half more of the base, and it is rounded up to no larger digit
_CLASSES_A_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class CodedWeights:
    """The weights `w` of each of c classes as `centre + step * code`, codes within 127 of 0.

    Vectors of text have a few values that are large in all of them: the mean takes those away.
    """

    centre: Float64  # [d]
    steps: Float32  # [c]
    errors: Float32  # [c], the length of what is left of `w`
    largest_length: float  # of a `step * code`
    product: IntegerProduct

    def scores(self, vectors: Float32) -> tuple[Float32, float]:
        """Products `float32 [n, c]` of `float32 [n, d]` and the weights, and how far off they are.

        A product is off by at most the class's `errors` times the vector's length, and the second of what is returned:
        what two digits a value leave of the vectors, and float32's roundings, six of them.
        """
        rows = vectors.astype(np.float64)
        units = np.abs(rows).max(axis=1, keepdims=True, initial=np.finfo(np.float32).tiny) / _LARGEST_NUMBER
        numbers = np.rint(rows / units)
        high = np.rint(numbers / _BASE)
        products = self.product(np.concatenate((high, numbers - _BASE * high)).astype(np.int32))
        of_centre = rows @ self.centre
        scores = np.empty((len(rows), len(self.steps)), dtype=np.float32)
        for row, unit in enumerate(units[:, 0].astype(np.float32)):  # one by one they stay in the cache
            whole = products[row] * _BASE
            whole += products[row + len(rows)]
            np.multiply(whole, self.steps * unit, out=scores[row], dtype=np.float32, casting="unsafe")
            scores[row] += np.float32(of_centre[row])
        left = float(np.linalg.norm(rows - units * numbers, axis=1).max(initial=0.0))
        longest = float(np.linalg.norm(rows, axis=1).max(initial=0.0)) + left
        largest = self.largest_length * longest + float(np.abs(of_centre).max(initial=0.0))
        return scores, self.largest_length * left + 6 * 2.0**-24 * largest


def coded_weights(weights: Float32 | Float64) -> CodedWeights:
    """The codes of `[c, d]`, d at most `LARGEST_DIMENSION`."""
    centre = weights.mean(axis=0, dtype=np.float64)
    classes, dimension = weights.shape
    codes = np.empty((dimension, classes), dtype=np.int8)
    steps, errors = np.empty((2, classes), dtype=np.float32)
    largest_length = 0.0
    for start in range(0, classes, _CLASSES_A_BLOCK):
        block = slice(start, start + _CLASSES_A_BLOCK)
        offsets = weights[block] - centre
        steps[block] = np.abs(offsets).max(axis=1) / _LARGEST_CODE
        step = steps[block, np.newaxis].astype(np.float64)
        code = np.rint(np.divide(offsets, step, out=np.zeros_like(offsets), where=step > 0))
        np.clip(code, -_LARGEST_CODE, _LARGEST_CODE, out=code)
        codes[:, block] = code.T
        code *= step
        errors[block] = np.nextafter(np.linalg.norm(offsets - code, axis=1).astype(np.float32), np.float32(np.inf))
        largest_length = max(largest_length, float(np.linalg.norm(code, axis=1).max()))
    return CodedWeights(centre, steps, errors, largest_length, IntegerProduct(codes))
