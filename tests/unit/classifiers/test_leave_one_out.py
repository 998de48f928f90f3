import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.classifiers.leave_one_out import nearest_mean_scores_without_own
from simila.classifiers.linear_scorer import nearest_mean_scorer
from simila.classifiers.prototypes import class_means
from simila.domain.errors import NoExamples
from tolerances import FLOAT64_VALUES

LABELS = list("aabbbbbccca")
CLASSES = np.array(["abc".index(label) for label in LABELS])


def test_scores_are_those_of_means_learned_without_the_item():
    vectors = unit_vectors(0, len(LABELS), 6)
    scores = nearest_mean_scores_without_own(vectors, CLASSES, 3)
    for item in range(len(LABELS)):
        others = [other for other in range(len(LABELS)) if other != item]
        means = class_means(vectors[others], [LABELS[other] for other in others])
        expected = nearest_mean_scorer(means).scores(vectors[[item]])[0]
        np.testing.assert_allclose(scores[item], expected, atol=FLOAT64_VALUES)


def test_an_only_example_cannot_be_of_its_class():
    scores = nearest_mean_scores_without_own(unit_vectors(0, 3, 4), np.array([0, 0, 1]), 2)
    assert np.isneginf(scores).tolist() == [[False, False], [False, False], [False, True]]


def test_a_class_without_items_is_refused():
    with pytest.raises(NoExamples, match="class '1' has 0 items"):
        nearest_mean_scores_without_own(unit_vectors(0, 2, 4), np.array([0, 2]), 3)
