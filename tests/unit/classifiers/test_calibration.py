import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from simila.classifiers.calibration import LARGEST_SCALE, SMALLEST_SCALE, calibration, fitted_temperature
from simila.domain.errors import InvalidInput, NoExamples
from tolerances import FLOAT64_VALUES


def labelled_scores(seed, rows, classes, scale):
    """Scores whose true classes are drawn from their own softmax at `scale`."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(rows, classes))
    chances = softmax(scale * scores, axis=1)
    return scores, np.array([random.choice(classes, p=row) for row in chances])


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_error_is_a_loops_over_bins(bins):
    scores, truth = labelled_scores(0, 500, 4, 1.0)
    probabilities = softmax(2 * scores, axis=1)
    result, error = calibration(probabilities, truth, bins), 0.0
    for number in range(bins):
        members = [
            (row.max(), row.argmax() == true)
            for row, true in zip(probabilities, truth, strict=True)
            if number / bins < row.max() <= (number + 1) / bins
        ]
        assert result.counts[number] == len(members)
        if members:
            confidence, accuracy = np.mean(members, axis=0)
            assert result.confidences[number] == pytest.approx(confidence, abs=FLOAT64_VALUES)
            assert result.accuracies[number] == pytest.approx(accuracy, abs=FLOAT64_VALUES)
            error += len(members) / 500 * abs(confidence - accuracy)
    assert result.error == pytest.approx(error, abs=FLOAT64_VALUES)


def test_confidences_on_the_edges_of_bins_belong_below():
    probabilities = np.array([[0.5, 0.5], [1.0, 0.0], [0.75, 0.25]])
    result = calibration(probabilities, np.array([0, 0, 1]), 4)
    assert result.counts.tolist() == [0, 1, 1, 1]
    assert result.accuracies.tolist() == [0, 1, 0, 1]
    assert result.error == pytest.approx((0.5 + 0.75 + 0) / 3)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.05, 1.0, 20.0]), unit=st.sampled_from([0.01, 1.0, 100.0])
)
def test_the_temperature_is_where_scipy_finds_the_most_likely_one(seed, scale, unit):
    scores, truth = labelled_scores(seed, 80, 5, scale)
    scores *= unit
    fitted = fitted_temperature(scores, truth).scale
    if not SMALLEST_SCALE * 2 < fitted < LARGEST_SCALE / 2:
        return

    def loss(log_scale):
        return -log_softmax(np.exp(log_scale) * scores, axis=1)[np.arange(80), truth].mean()

    best = minimize_scalar(loss, bounds=(np.log(SMALLEST_SCALE), np.log(LARGEST_SCALE)), options={"xatol": 1e-10})
    assert loss(np.log(fitted)) <= best.fun + 1e-12


def test_a_fitted_temperature_mends_the_calibration():
    scores, truth = labelled_scores(1, 4000, 6, 1.5)
    fitted = fitted_temperature(scores[:2000] / 30, truth[:2000])
    assert fitted.scale == pytest.approx(45, rel=0.1)
    assert calibration(fitted(scores[2000:] / 30), truth[2000:]).error < 0.04
    assert calibration(softmax(10 * scores[2000:], axis=1), truth[2000:]).error > 0.2


@pytest.mark.parametrize(
    ("truth", "scale"), [([0, 1], LARGEST_SCALE), ([1, 0], SMALLEST_SCALE)], ids=["always right", "always wrong"]
)
def test_scores_that_no_temperature_fits_give_the_last_one(truth, scale):
    fitted = fitted_temperature(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array(truth)).scale
    assert np.log10(fitted) == pytest.approx(np.log10(scale), abs=5)
    assert (fitted > 10) == (scale > 1)


def test_what_cannot_be_calibrated_is_refused():
    with pytest.raises(NoExamples, match="without labelled inputs"):
        calibration(np.empty((0, 2)), np.empty(0, dtype=np.int64))
    with pytest.raises(InvalidInput, match="0 bins; at least one is needed"):
        calibration(np.ones((1, 1)), np.array([0]), 0)
    with pytest.raises(NoExamples, match="there are none"):
        fitted_temperature(np.empty((0, 2)), np.empty(0, dtype=np.int64))
    with pytest.raises(InvalidInput, match="scores that are not finite"):
        fitted_temperature(np.array([[0.0, -np.inf]]), np.array([0]))
