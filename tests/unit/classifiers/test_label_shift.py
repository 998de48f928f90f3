import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax

from simila.classifiers import label_shift
from simila.classifiers.label_shift import corrected_probabilities, estimated_priors
from simila.domain.errors import InvalidInput, NoExamples
from tolerances import FLOAT64_VALUES

TRAINING = np.array([0.25, 0.25, 0.5])
CENTRES = 1.2 * np.eye(3)


def stream(seed, counts):
    """Inputs of Gaussian classes, their classes, and their exact probabilities under the training priors."""
    random = np.random.default_rng(seed)
    classes = np.repeat(np.arange(3), counts)
    inputs = CENTRES[classes] + random.normal(size=(len(classes), 3))
    logits = -((inputs[:, np.newaxis] - CENTRES) ** 2).sum(axis=2) / 2 + np.log(TRAINING)
    return classes, softmax(logits, axis=1)


def test_the_estimate_is_where_scipy_finds_the_most_likely_priors():
    _, probabilities = stream(0, [300, 60, 40])
    estimated = estimated_priors(probabilities, TRAINING)
    assert estimated.converged

    def loss(logits):
        return -np.log(probabilities @ (softmax(logits) / TRAINING)).mean()

    best = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14, "maxiter": 4000})
    np.testing.assert_allclose(estimated.priors, softmax(best.x), atol=1e-6)


def test_a_shift_is_found_and_its_correction_helps():
    classes, probabilities = stream(1, [1600, 200, 200])
    estimated = estimated_priors(probabilities, TRAINING)
    np.testing.assert_allclose(estimated.priors, [0.8, 0.1, 0.1], atol=0.05)
    corrected = corrected_probabilities(probabilities, TRAINING, estimated.priors)
    before, after = (np.mean(table.argmax(axis=1) == classes) for table in (probabilities, corrected))
    assert after > before + 0.1


def test_a_correction_is_bayes_rule():
    priors = np.array([0.6, 0.3, 0.1])
    probabilities = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    corrected = corrected_probabilities(probabilities, TRAINING, priors)
    for row in range(2):
        joint = [probabilities[row, c] * priors[c] / TRAINING[c] for c in range(3)]
        np.testing.assert_allclose(corrected[row], np.array(joint) / sum(joint), atol=FLOAT64_VALUES)


def test_without_a_shift_the_priors_stay_and_correct_nothing():
    probabilities = np.tile(TRAINING, (5, 1))
    estimated = estimated_priors(probabilities, TRAINING)
    assert (estimated.iterations, estimated.converged) == (1, True)
    np.testing.assert_allclose(
        corrected_probabilities(probabilities, TRAINING, estimated.priors), probabilities, atol=FLOAT64_VALUES
    )


def test_too_few_iterations_are_told():
    _, probabilities = stream(0, [300, 60, 40])
    estimated = estimated_priors(probabilities, TRAINING, most_iterations=3)
    assert (estimated.iterations, estimated.converged) == (3, False)


@pytest.mark.parametrize(
    ("priors", "message"),
    [
        ([0.5, 0.5], "2 priors for 3 classes; each class needs one"),
        ([0.5, 0.5, 0.0], "priors must be above 0 and sum to 1"),
        ([0.5, 0.5, 0.5], "priors must be above 0 and sum to 1"),
        ([0.5, 0.5, np.nan], "priors must be above 0 and sum to 1"),
    ],
)
def test_what_are_no_priors_is_refused(priors, message):
    with pytest.raises(InvalidInput, match=message):
        estimated_priors(np.full((1, 3), 1 / 3), np.array(priors))


def test_no_inputs_have_no_priors():
    with pytest.raises(NoExamples, match="there are none"):
        estimated_priors(np.empty((0, 3)), TRAINING)


def test_many_inputs_take_no_more_terms_than_a_request_may(monkeypatch):
    monkeypatch.setattr(label_shift, "MOST_TERMS", 50)
    probabilities = np.tile([[0.7, 0.3], [0.4, 0.6]], (5, 1))
    estimated = estimated_priors(probabilities, np.array([0.5, 0.5]))
    assert (estimated.iterations, estimated.converged) == (2, False)
