import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge

from memory_vectors import clustered_vectors
from simila.classifiers import ridge
from simila.classifiers.ridge import ridge_probe
from simila.domain.errors import InvalidInput, InvalidLabels, NoExamples
from simila.domain.vectors import unit_rows


@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("rows", [20, 500], ids=["fewer rows than dimensions", "more rows"])
def test_the_probe_is_scikit_learns_ridge(monkeypatch, penalty, rows):
    monkeypatch.setattr(ridge, "_ROWS_AT_A_TIME", 128)
    vectors = clustered_vectors(0, rows, 32)
    classes = np.arange(rows) % 3
    probe = ridge_probe(vectors, classes, "abc", penalty=penalty)
    reference = Ridge(alpha=penalty).fit(vectors.astype(np.float64), np.eye(3)[classes])
    np.testing.assert_allclose(probe.weights, reference.coef_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(probe.biases, reference.intercept_, rtol=0, atol=1e-9)
    assert probe.labels == ("a", "b", "c")


def test_the_smallest_penalty_leaves_the_shortest_weights_that_fit():
    vectors, classes = clustered_vectors(0, 20, 32), np.arange(20) % 3
    probe = ridge_probe(vectors, classes, "abc", penalty=1e-308)
    one_hot = np.eye(3)[classes]
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    shortest = np.linalg.lstsq(centred, one_hot - one_hot.mean(axis=0), rcond=1e-10)[0]
    np.testing.assert_allclose(probe.weights, shortest.T, rtol=0, atol=1e-3 * np.abs(shortest).max())


def test_the_probe_reads_digits_as_scikit_learns_does():
    table, digits = load_digits(return_X_y=True)
    vectors = unit_rows(table.astype(np.float32))
    probe = ridge_probe(vectors[:1000], digits[:1000], [str(digit) for digit in range(10)])
    reference = Ridge(alpha=1.0).fit(vectors[:1000].astype(np.float64), np.eye(10)[digits[:1000]])
    predicted = probe.scores(vectors[1000:]).argmax(axis=1)
    assert predicted.tolist() == reference.predict(vectors[1000:].astype(np.float64)).argmax(axis=1).tolist()
    assert np.mean(predicted == digits[1000:]) > 0.88


@pytest.mark.parametrize(
    ("classes", "labels", "penalty", "error", "message"),
    [
        ([0, 0], ["a"], 1.0, InvalidLabels, "at least 2 labels are needed, got 1"),
        ([0, 0], ["a", "b"], 1.0, NoExamples, "class 'b' has 0 items; at least 1 are needed"),
        ([0, 1], ["a", "b"], 0.0, InvalidInput, r"the penalty is 0.0; it must be above 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(classes, labels, penalty, error, message):
    with pytest.raises(error, match=message):
        ridge_probe(clustered_vectors(0, 2, 4), np.array(classes), labels, penalty=penalty)
