import numpy as np
import pytest
from scipy import special

from memory_vectors import unit_vectors
from simila.classifiers import decision_rules, screening
from simila.classifiers.activations import Activation
from simila.classifiers.decision_rules import above_thresholds, predict, ranked
from simila.classifiers.linear_scorer import NEAREST_MEAN_ACTIVATION, cosine_scorer, nearest_mean_scorer
from simila.classifiers.prototypes import Prototypes
from simila.domain.errors import InvalidInput
from simila.domain.results import Ranking
from simila.domain.vectors import unit_rows
from tolerances import FLOAT64_VALUES

LABELS = ("east", "north", "up")
AXES = cosine_scorer(Prototypes(LABELS, np.eye(3)))


def units(rows):
    return unit_rows(np.asarray(rows, dtype=np.float32))


@pytest.mark.parametrize("scores_at_a_time", [1, 25, 10**6])
def test_predictions_are_ordered_by_score_with_their_probabilities_and_cosines(monkeypatch, scores_at_a_time):
    monkeypatch.setattr(decision_rules, "_SCORES_AT_A_TIME", scores_at_a_time)
    vectors, prototypes = unit_vectors(0, 7, 16), unit_vectors(1, 10, 16)
    cosines = vectors.astype(np.float64) @ prototypes.T.astype(np.float64)
    probabilities = special.softmax(50 * cosines, axis=1)
    scorer = cosine_scorer(Prototypes(tuple("abcdefghij"), prototypes))
    for row, predictions in enumerate(predict(scorer, Activation(scale=50), vectors, 4)):
        order = np.argsort(-cosines[row])[:4]
        assert [prediction.label for prediction in predictions] == ["abcdefghij"[position] for position in order]
        np.testing.assert_allclose([one.score for one in predictions], probabilities[row, order], atol=FLOAT64_VALUES)
        np.testing.assert_allclose([one.cosine for one in predictions], cosines[row, order], atol=1e-7)


def test_many_labels_screened_or_not_are_ranked_alike(monkeypatch):
    vectors = unit_vectors(0, 5, 64)
    scorer = cosine_scorer(Prototypes(tuple(map(str, range(3000))), unit_vectors(1, 3000, 64)))
    exact = predict(scorer, Activation(scale=100), vectors, 7)
    monkeypatch.setattr(screening, "FEWEST_WEIGHTS_TO_SCREEN", 0)
    for screened_row, exact_row in zip(predict(scorer, Activation(scale=100), vectors, 7), exact, strict=True):
        assert [one.label for one in screened_row] == [one.label for one in exact_row]
        for screened_one, exact_one in zip(screened_row, exact_row, strict=True):
            assert screened_one.score == pytest.approx(exact_one.score, rel=1e-4)
            assert screened_one.cosine == pytest.approx(exact_one.cosine, abs=1e-6)


def test_no_vectors_have_no_predictions():
    assert predict(AXES, Activation(), np.empty((0, 3), dtype=np.float32), 1) == []


def test_the_nearest_mean_is_the_most_probable():
    scorer = nearest_mean_scorer(Prototypes(("far", "near"), np.array([[0.0, 1.0], [0.5, 0.0]])))
    ((first, second),) = predict(scorer, NEAREST_MEAN_ACTIVATION, units([[1, 0]]))
    odds = np.exp(-40 / 2 * np.array([0.25, 2]))  # by squared distances
    assert (first.label, second.label) == ("near", "far")
    np.testing.assert_allclose([first.score, second.score], odds / odds.sum(), atol=FLOAT64_VALUES)


def test_one_class_is_certain():
    scorer = nearest_mean_scorer(Prototypes(("only",), np.array([[0.0, -1.0]])))
    assert predict(scorer, NEAREST_MEAN_ACTIVATION, units([[0, -1]])) == [Ranking(["only"], [1.0], [1.0])]


def test_scores_decide_where_the_sigmoid_is_full():
    (row,) = predict(AXES, Activation(100, kind="sigmoid"), units([[0.5, 0.6, 0.0]]))
    assert row.scores[:2] == [1.0, 1.0]
    assert row.labels == ["north", "east", "up"]


def test_ranked_keeps_labels_probabilities_and_cosines_together():
    scores = np.array([[1.0, 3.0, 2.0], [3.0, 1.0, 2.0]])
    probabilities = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])
    cosines = np.array([[-0.1, 0.6, 0.3], [0.9, 0.1, 0.4]])
    assert ranked(LABELS, scores, probabilities, cosines, None) == [
        Ranking(["north", "up", "east"], [0.7, 0.2, 0.1], [0.6, 0.3, -0.1]),
        Ranking(["east", "up", "north"], [0.5, 0.3, 0.2], [0.9, 0.4, 0.1]),
    ]


def test_each_label_has_its_own_threshold():
    probabilities = np.array([[0.2, 0.6, 0.5], [0.9, 0.4, 0.1]])
    assert above_thresholds(probabilities, np.array([0.9, 0.5, 0.5])).tolist() == [
        [False, True, True],
        [True, False, False],
    ]


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [([0.5], "1 thresholds for 2 labels; each label needs one"), ([0.5, np.nan], "a threshold is no number")],
)
def test_thresholds_that_do_not_fit_are_refused(thresholds, message):
    with pytest.raises(InvalidInput, match=message):
        above_thresholds(np.zeros((1, 2)), np.array(thresholds))
