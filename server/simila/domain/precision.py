"""The numbers that an exported graph computes with, and how near to the reference's its vectors must be."""

from enum import StrEnum


class Precision(StrEnum):
    """`fp32` is the reference, of which the others are made."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8_DYNAMIC = "int8-dynamic"
    """Weights of 8 bits; activations are scaled anew in every run."""
    INT8_STATIC = "int8-static"
    """Weights of 8 bits; activations by scales that were calibrated at export."""

    @property
    def parity_floor(self) -> float:
        """Least cosine of a golden input's vector to the reference library's."""
        return PARITY_FLOORS[self]

    @property
    def keeps_space(self) -> bool:
        """Whether its vectors may lie in a collection beside those of the reference."""
        return self.parity_floor >= SAME_SPACE_COSINE


PARITY_FLOORS = {
    Precision.FP32: 0.9999,
    Precision.FP16: 0.999,
    Precision.INT8_DYNAMIC: 0.99,
    Precision.INT8_STATIC: 0.99,
}
# Vectors this near move a score by at most 0.045 and by less than 0.002 as a rule; ranks change among near-ties alone.
SAME_SPACE_COSINE = 0.999
