import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.classifiers.activations import Activation, softmax
from simila.classifiers.prototypes import Prototypes
from simila.classifiers.pseudo_labels import refined_by_pseudo_labels
from simila.domain.errors import InvalidInput, NoExamples
from simila.domain.vectors import unit_rows
from tolerances import FLOAT64_VALUES

SHARP = Activation(scale=20)


def crowds(seed, sizes, dimension=12, spread=0.8):
    centres = unit_vectors(seed, len(sizes), dimension)
    classes = np.repeat(np.arange(len(sizes)), sizes)
    return centres, unit_rows(centres[classes] + spread * unit_vectors(seed + 1, len(classes), dimension)), classes


def test_a_refinement_is_a_loops():
    start, items = unit_vectors(5, 3, 12), crowds(0, [10, 20, 30])[1]
    refined = refined_by_pseudo_labels(
        Prototypes(tuple("abc"), start), items, SHARP, share=0.5, item_weight=0.7, rounds=4
    )
    current = anchors = start.astype(np.float64)
    for number in (3, 5, 8, 10):  # of half of 60, by quarters, a third for each class, rounded up
        probabilities = softmax(20 * items.astype(np.float64) @ current.T)
        rows = []
        for position in range(3):
            mean = items[np.argsort(-probabilities[:, position])[:number]].astype(np.float64).mean(axis=0)
            row = anchors[position] + 0.7 * mean / np.linalg.norm(mean)
            rows.append(row / np.linalg.norm(row))
        current = np.array(rows)
    np.testing.assert_allclose(refined.vectors, current, atol=FLOAT64_VALUES)
    assert refined.labels == ("a", "b", "c")


def test_prototypes_that_are_a_little_off_classify_better_afterwards():
    centres, items, classes = crowds(3, [100] * 5, spread=1.5)
    off = unit_rows(centres + 1.1 * unit_vectors(9, 5, 12))
    refined = refined_by_pseudo_labels(Prototypes(tuple("abcde"), off), items, SHARP)
    before = np.mean((items @ off.T).argmax(axis=1) == classes)
    after = np.mean((items @ refined.vectors.T).argmax(axis=1) == classes)
    assert after > before + 0.05


@pytest.mark.parametrize(
    ("items", "options", "error", "message"),
    [
        (0, {}, NoExamples, "prototypes are refined by unlabelled items, and there are none"),
        (5, {"share": 0}, InvalidInput, "there must be 0 < share <= 1, item_weight >= 0 and rounds >= 1"),
        (5, {"share": 1.5}, InvalidInput, "there must be 0 < share <= 1, item_weight >= 0 and rounds >= 1"),
        (5, {"item_weight": -1}, InvalidInput, "there must be 0 < share <= 1, item_weight >= 0 and rounds >= 1"),
        (5, {"rounds": 0}, InvalidInput, "there must be 0 < share <= 1, item_weight >= 0 and rounds >= 1"),
    ],
)
def test_what_cannot_refine_is_refused(items, options, error, message):
    prototypes = Prototypes(("a", "b"), unit_vectors(0, 2, 4))
    with pytest.raises(error, match=message):
        refined_by_pseudo_labels(prototypes, unit_vectors(1, items, 4), SHARP, **options)
