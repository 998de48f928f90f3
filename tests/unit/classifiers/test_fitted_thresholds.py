import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_curve

from simila.classifiers.fitted_thresholds import fitted_thresholds
from tolerances import FLOAT64_VALUES


@pytest.mark.parametrize("levels", [10_000, 7])
def test_no_threshold_of_scikit_learns_curve_has_a_larger_f1(levels):
    random = np.random.default_rng(levels)
    has = random.random((200, 6)) < np.linspace(0.05, 0.9, 6)
    probabilities = np.round(np.clip(0.3 * has + 0.7 * random.random((200, 6)), 0, 1) * levels) / levels
    for column, threshold in enumerate(fitted_thresholds(probabilities, has)):
        precision, recall, _ = precision_recall_curve(has[:, column], probabilities[:, column])
        best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
        f1 = f1_score(has[:, column], probabilities[:, column] >= threshold)
        assert f1 == pytest.approx(best, abs=FLOAT64_VALUES)


def test_a_threshold_is_halfway_between_those_who_get_the_label_and_those_who_do_not():
    probabilities = np.array([[0.9], [0.7], [0.4], [0.1]])
    assert fitted_thresholds(probabilities, np.array([[True], [True], [False], [False]])) == pytest.approx([0.55])
    assert fitted_thresholds(probabilities, np.full((4, 1), fill_value=True)) == pytest.approx([0.05])
    assert np.isnan(fitted_thresholds(probabilities, np.zeros((4, 1), dtype=np.bool_))).all()


def test_no_inputs_tell_no_threshold():
    assert np.isnan(fitted_thresholds(np.empty((0, 3)), np.empty((0, 3), dtype=np.bool_))).tolist() == [True] * 3
