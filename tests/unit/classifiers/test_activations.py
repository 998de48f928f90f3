import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from simila.classifiers.activations import Activation, sigmoid, softmax
from tolerances import FLOAT64_VALUES


@pytest.mark.parametrize(
    "logits", [[[0.0, 0.0]], [[1e4, -1e4, 0.0]], [[-800.0, -801.0]], [[5.0]], [[1.0, 2.0], [3.0, -4.0]]]
)
def test_softmax_and_sigmoid_are_scipys(logits):
    array = np.array(logits)
    np.testing.assert_allclose(softmax(array), special.softmax(array, axis=1), atol=FLOAT64_VALUES)
    np.testing.assert_allclose(sigmoid(array), special.expit(array), rtol=FLOAT64_VALUES)


@pytest.mark.parametrize(
    ("logit", "probability"), [(0.0, 0.5), (1e6, 1.0), (-1e6, 0.0), (40.0, 1.0), (-700.0, np.exp(-700.0))]
)
def test_sigmoid_at_its_extremes(logit, probability):
    np.testing.assert_allclose(sigmoid(np.array([[logit]])), [[probability]], rtol=FLOAT64_VALUES)


@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(0.01, 200),
    bias=st.floats(-20, 20),
    kind=st.sampled_from(["softmax", "sigmoid"]),
)
def test_an_activation_scales_and_shifts_first(seed, scale, bias, kind):
    scores = np.random.default_rng(seed).uniform(-1, 1, size=(7, 5))
    logits = scale * scores + bias
    expected = special.softmax(logits, axis=1) if kind == "softmax" else special.expit(logits)
    np.testing.assert_allclose(Activation(scale, bias, kind)(scores), expected, atol=FLOAT64_VALUES)


@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(0.01, 200),
    bias=st.floats(-20, 20),
    kind=st.sampled_from(["softmax", "sigmoid"]),
    k=st.integers(1, 5),
)
def test_the_best_alone_have_the_probabilities_that_they_have_among_all(seed, scale, bias, kind, k):
    scores = np.random.default_rng(seed).uniform(-1, 1, size=(7, 5))
    columns = np.argsort(-scores, axis=1)[:, :k]
    activation, best = Activation(scale, bias, kind), np.take_along_axis(scores, columns, axis=1)
    expected = np.take_along_axis(activation(scores), columns, axis=1)
    np.testing.assert_allclose(activation.of_best(best, columns, scores), expected, atol=FLOAT64_VALUES)


def test_a_certain_class_is_certain_among_rough_scores():
    scores, rough = np.array([[0.3, 0.1]]), np.array([[0.1, 0.3000001, -0.9]], dtype=np.float32)
    probabilities = Activation(scale=1000).of_best(scores, np.array([[1, 0]]), rough)
    np.testing.assert_allclose(probabilities, [[1, np.exp(-200)]], rtol=FLOAT64_VALUES)
