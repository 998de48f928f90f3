import subprocess
import sys

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from memory_vectors import clustered_vectors
from simila.classifiers.logistic_regression import logistic_probe
from simila.domain.errors import InvalidInput, InvalidLabels, NoExamples
from simila.domain.vectors import unit_rows


@pytest.mark.parametrize("classes", [2, 10])
def test_probabilities_are_scikit_learns(classes):
    table, digits = load_digits(return_X_y=True)
    taught = digits < classes
    vectors = unit_rows(table[taught].astype(np.float32))
    probe = logistic_probe(vectors[::2], digits[taught][::2], [str(digit) for digit in range(classes)], penalty=0.1)
    reference = LogisticRegression(C=10, max_iter=1000).fit(vectors[::2].astype(np.float64), digits[taught][::2])
    probabilities = softmax(probe.scorer.scores(vectors[1::2]), axis=1)
    np.testing.assert_allclose(probabilities, reference.predict_proba(vectors[1::2].astype(np.float64)), atol=1e-9)
    assert probe.converged


def test_too_few_iterations_are_told():
    probe = logistic_probe(clustered_vectors(0, 90, 8), np.arange(90) % 3, "abc", penalty=1e-6, most_iterations=3)
    assert (probe.iterations, probe.converged) == (3, False)


@pytest.mark.parametrize(
    ("classes", "labels", "penalty", "error", "message"),
    [
        ([0, 0], ["a"], 1.0, InvalidLabels, "at least 2 labels are needed, got 1"),
        ([0, 0], ["a", "b"], 1.0, NoExamples, "class 'b' has 0 items; at least 1 are needed"),
        ([0, 1], ["a", "b"], -1.0, InvalidInput, r"the penalty is -1.0; it must be above 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(classes, labels, penalty, error, message):
    with pytest.raises(error, match=message):
        logistic_probe(clustered_vectors(0, 2, 4), np.array(classes), labels, penalty=penalty)


def test_serving_does_not_import_scikit_learn():
    program = """
import pkgutil, sys, importlib, simila.app, simila.classifiers as package
for module in pkgutil.iter_modules(package.__path__):
    if module.name != "logistic_regression":
        importlib.import_module(f"simila.classifiers.{module.name}")
print(sorted({"sklearn", "scipy"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
