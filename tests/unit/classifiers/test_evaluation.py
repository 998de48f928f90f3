"""Figures against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support, roc_auc_score

from simila.classifiers.evaluation import REJECTED, evaluate, open_set_auroc
from simila.domain.errors import NoExamples
from tolerances import FLOAT64_VALUES


@given(
    pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60),
    classes=st.integers(5, 7),
)
def test_figures_are_scikit_learns(pairs, classes):
    truth, predicted = np.array(pairs).T
    figures, labels = evaluate(truth, predicted, classes), range(classes)
    expected = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    for figure, reference in zip(
        (figures.precision, figures.recall, figures.f1, figures.support), expected, strict=True
    ):
        np.testing.assert_allclose(figure, reference, atol=FLOAT64_VALUES)
    assert figures.confusion.tolist() == confusion_matrix(truth, predicted, labels=labels).tolist()
    assert figures.accuracy == pytest.approx(accuracy_score(truth, predicted), abs=FLOAT64_VALUES)
    assert figures.macro_f1 == pytest.approx(
        f1_score(truth, predicted, labels=labels, average="macro", zero_division=0), abs=FLOAT64_VALUES
    )


def test_rejected_inputs_are_wrong_and_in_no_column():
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, REJECTED, 1, 0])
    figures = evaluate(truth, predicted, 2)
    assert figures.confusion.tolist() == [[1, 0], [1, 1]]
    assert figures.rejected.tolist() == [1, 0]
    assert figures.accuracy == 0.5
    expected = precision_recall_fscore_support(truth, predicted, labels=[0, 1], zero_division=0)
    for figure, reference in zip(
        (figures.precision, figures.recall, figures.f1, figures.support), expected, strict=True
    ):
        np.testing.assert_allclose(figure, reference, atol=FLOAT64_VALUES)


@given(
    known=st.lists(st.sampled_from([0.0, 0.2, 0.2, 0.7, 1.0]), min_size=1, max_size=30),
    unknown=st.lists(st.sampled_from([-0.5, 0.0, 0.2, 0.7]), min_size=1, max_size=30),
)
def test_the_auroc_is_scikit_learns(known, unknown):
    expected = roc_auc_score([1] * len(known) + [0] * len(unknown), known + unknown)
    assert open_set_auroc(np.array(known), np.array(unknown)) == pytest.approx(expected, abs=FLOAT64_VALUES)


def test_nothing_cannot_be_evaluated():
    nothing = np.empty(0, dtype=np.int64)
    with pytest.raises(NoExamples, match="there is nothing to evaluate"):
        evaluate(nothing, nothing, 2)
    with pytest.raises(NoExamples, match="needs inputs of known classes and of unknown ones"):
        open_set_auroc(np.array([1.0]), np.empty(0))
