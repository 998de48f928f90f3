"""Prototypes that learn from unlabelled items what the classifier itself says of them (Menghini et al. 2023)."""

import numpy as np

from simila.classifiers.activations import Activation
from simila.classifiers.linear_scorer import cosine_scorer
from simila.classifiers.prototypes import Prototypes, moved_prototypes
from simila.domain.errors import InvalidInput, NoExamples
from simila.domain.vectors import Float32, Float64, Int64

ROUNDS = 5
# Under `simila-lite`, these gained 2 points on the clothing photographs; items that weigh as much as prompts, none.
SHARE_OF_ITEMS = 0.8
ITEM_WEIGHT = 0.5


def refined_by_pseudo_labels(
    prototypes: Prototypes,
    vectors: Float32,
    activation: Activation,
    *,
    share: float = SHARE_OF_ITEMS,
    item_weight: float = ITEM_WEIGHT,
    rounds: int = ROUNDS,
) -> Prototypes:
    """Move unit prototypes `[c, d]` to the items `float32 [n, d], unit length` that are most surely theirs.

    In each round every class takes the same number of items, those of its highest probability, and becomes the
    direction of its prototype as given plus `item_weight` times the direction of their mean. The number grows from
    round to round, few and sure ones first, until `share` of the items is taken. Equal numbers keep one class from
    taking all. The result is `float64 [c, d], unit length`.

    Raises:
        NoExamples: there are no items.
        InvalidInput: `share` is not within 0 and 1, excluding 0, `item_weight` is negative, or `rounds` is less than 1.

    """
    if not len(vectors):
        raise NoExamples("prototypes are refined by unlabelled items, and there are none")
    if not (0 < share <= 1 and item_weight >= 0 and rounds >= 1):
        raise InvalidInput(
            f"share is {share}, item_weight {item_weight} and rounds {rounds};"
            " there must be 0 < share <= 1, item_weight >= 0 and rounds >= 1"
        )
    current = prototypes
    for round_number in range(1, rounds + 1):
        items_a_class = int(np.ceil(share * len(vectors) * round_number / rounds / len(prototypes.labels)))
        probabilities = activation(cosine_scorer(current).scores(vectors))
        surest = _surest(probabilities, items_a_class)
        current = moved_prototypes(prototypes, vectors[surest].mean(axis=1, dtype=np.float64), item_weight)
    return current


def _surest(probabilities: Float64, items_a_class: int) -> Int64:
    """Rows `int64 [c, items_a_class]` of the highest probability of each class."""
    return np.argsort(-probabilities, axis=0, kind="stable")[:items_a_class].T
