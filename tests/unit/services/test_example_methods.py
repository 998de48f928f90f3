"""Labelled items as classifiers, beside scikit-learn and beside models made afresh without each item."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, roc_auc_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from memory_vectors import unit_vectors
from simila.classifiers.activations import Activation
from simila.classifiers.calibration import fitted_temperature
from simila.classifiers.linear_scorer import NEAREST_MEAN_ACTIVATION
from simila.classifiers.prototypes import Prototypes
from simila.domain.errors import InvalidInput, LimitExceeded, NoExamples, NotReady
from simila.domain.vectors import unit_rows
from simila.services import evaluation
from simila.services.evaluation import HowToEvaluate, judge
from simila.services.example_classification import ByExamples
from simila.services.example_methods import Blend, Examples, NearestMean, NearestNeighbours, temperature_of
from tolerances import FLOAT64_VALUES

NAMES = tuple(f"digit {number}" for number in range(10))
DIGITS = load_digits()
EXAMPLES = Examples(NAMES, unit_rows(DIGITS.data[:300].astype(np.float32)), DIGITS.target[:300].astype(np.int64))
TEXTS = Prototypes(NAMES, unit_vectors(1, 10, 64))
LEAVE_ONE_OUT = HowToEvaluate(ByExamples())


def votes_by_cosine(distances):
    return np.exp((1 - distances) / 0.07)


@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_")  # of pixels that are always blank
def test_nearest_mean_judges_each_item_as_scikit_learn_does_without_it():
    expected = cross_val_predict(NearestCentroid(), EXAMPLES.vectors, EXAMPLES.item_classes, cv=LeaveOneOut())
    report = judge(EXAMPLES, NearestMean(), LEAVE_ONE_OUT)
    assert NearestMean().left_out(EXAMPLES).scores.argmax(axis=1).tolist() == expected.tolist()
    assert report.evaluation.confusion.tolist() == confusion_matrix(EXAMPLES.item_classes, expected).tolist()
    assert report.evaluation.accuracy == accuracy_score(EXAMPLES.item_classes, expected)
    assert report.evaluation.macro_f1 == pytest.approx(f1_score(EXAMPLES.item_classes, expected, average="macro"))


def test_neighbours_judge_each_item_as_scikit_learn_does_without_it():
    model = KNeighborsClassifier(5, metric="cosine", weights=votes_by_cosine)
    expected = cross_val_predict(model, EXAMPLES.vectors, EXAMPLES.item_classes, cv=LeaveOneOut())
    assert NearestNeighbours(5).left_out(EXAMPLES).scores.argmax(axis=1).tolist() == expected.tolist()


@pytest.mark.parametrize("weight", [None, 0.3])
def test_a_blend_judges_each_item_by_the_blend_of_all_others(weight):
    some = EXAMPLES.of(np.arange(0, 40))
    blend = Blend(TEXTS, Activation(scale=10.0), weight)
    left_out = blend.left_out(some)
    for row in (0, 7, 39):
        others = some.of(np.delete(np.arange(40), row))
        scored = blend.learned(others).scored(some.vectors[row : row + 1])
        np.testing.assert_allclose(left_out.scores[row], scored.scores[0], rtol=0, atol=FLOAT64_VALUES)


def test_without_weight_of_the_means_a_blend_is_of_the_texts_moved_to_the_items():
    blend = Blend(TEXTS, Activation(scale=10.0), 0.0)
    weights = blend.learned(EXAMPLES).scorer.weights
    means = np.stack([EXAMPLES.vectors[EXAMPLES.item_classes == n].mean(axis=0, dtype=np.float64) for n in range(10)])
    moved = TEXTS.vectors + (means - TEXTS.vectors).mean(axis=0)
    expected = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    np.testing.assert_allclose(weights, expected, rtol=0, atol=FLOAT64_VALUES)


def test_a_blend_without_the_text_of_a_class_that_was_written_since_can_be_asked_again():
    blend = Blend(Prototypes(NAMES[1:], TEXTS.vectors[1:]), NEAREST_MEAN_ACTIVATION)
    for judges in (blend.learned, blend.left_out):
        with pytest.raises(NotReady, match=r"^the classes of the collection changed .* send this again$"):
            judges(EXAMPLES)


def test_an_only_example_of_its_class_does_not_count_for_the_temperature():
    rows = np.concatenate([np.flatnonzero(EXAMPLES.item_classes < 3), np.flatnonzero(EXAMPLES.item_classes == 3)[:1]])
    some = EXAMPLES.of(rows)
    some = Examples(NAMES[:4], some.vectors, some.item_classes)
    left_out = NearestMean().left_out(some)
    assert np.isneginf(left_out.scores[-1, 3])
    expected = fitted_temperature(left_out.scores[:-1], some.item_classes[:-1])
    assert temperature_of(left_out, some.item_classes) == expected


def test_a_held_out_share_is_of_each_class_and_judged_by_the_rest():
    report = judge(EXAMPLES, NearestMean(), HowToEvaluate(ByExamples(), held_out=0.25, seed=3))
    counts = np.bincount(EXAMPLES.item_classes)
    assert report.evaluation.support.tolist() == [round(0.25 * count) for count in counts.tolist()]
    again = judge(EXAMPLES, NearestMean(), HowToEvaluate(ByExamples(), held_out=0.25, seed=3))
    other = judge(EXAMPLES, NearestMean(), HowToEvaluate(ByExamples(), held_out=0.25, seed=4))
    assert again.evaluation.confusion.tolist() == report.evaluation.confusion.tolist()
    assert other.evaluation.confusion.tolist() != report.evaluation.confusion.tolist()


def test_calibration_fits_the_temperature_and_lowers_the_error():
    plain = judge(EXAMPLES, NearestMean(Activation(scale=5.0)), LEAVE_ONE_OUT)
    fitted = judge(EXAMPLES, NearestMean(), HowToEvaluate(ByExamples(calibrated=True)))
    assert fitted.calibration.error < 0.05 < 0.3 < plain.calibration.error
    assert fitted.evaluation.confusion.tolist() == plain.evaluation.confusion.tolist()


@pytest.mark.parametrize("method", [NearestMean(), NearestNeighbours(5)])
def test_classes_that_are_held_out_are_told_by_familiarity(method):
    held = ("digit 0", "digit 6")
    report = judge(EXAMPLES, method, HowToEvaluate(ByExamples(), hold_out_classes=held))
    is_unknown = np.isin(EXAMPLES.item_classes, [0, 6])
    left = [label for label in NAMES if label not in held]
    known_rows = EXAMPLES.of(np.flatnonzero(~is_unknown))
    classes = np.array([left.index(NAMES[number]) for number in known_rows.item_classes])
    known = Examples(tuple(left), known_rows.vectors, classes)
    familiarity = np.concatenate(
        [method.left_out(known).familiarity, method.learned(known).scored(EXAMPLES.vectors[is_unknown]).familiarity]
    )
    truth = np.concatenate([np.ones(len(known.vectors)), np.zeros(is_unknown.sum())])
    assert report.labels == tuple(left)
    assert report.open_set.auroc == pytest.approx(roc_auc_score(truth, familiarity))
    assert report.open_set.unknown_items == is_unknown.sum()


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        (HowToEvaluate(ByExamples(), hold_out_classes=("ten",)), InvalidInput, "no item has the label 'ten'"),
        (HowToEvaluate(ByExamples(), hold_out_classes=NAMES[1:]), NoExamples, "1 classes are left to learn"),
        (HowToEvaluate(ByExamples("knn", k=300)), InvalidInput, "k is 300, more than the 299 items"),
        (HowToEvaluate(ByExamples(), held_out=0.001), NoExamples, "no class has enough items to hold out"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(how, error, words):
    method = NearestNeighbours(how.by.k) if how.by.k else NearestMean()
    with pytest.raises(error, match=words):
        judge(EXAMPLES, method, how)


def test_too_much_work_is_refused(monkeypatch):
    monkeypatch.setattr(evaluation, "MOST_PRODUCTS", 300 * 300 * 64 - 1)
    with pytest.raises(LimitExceeded, match="300 items take 5760000 products"):
        judge(EXAMPLES, NearestNeighbours(5), HowToEvaluate(ByExamples("knn")))
    monkeypatch.setattr(evaluation, "MOST_CLASSES", 9)
    with pytest.raises(LimitExceeded, match="10 classes are more than the 9"):
        judge(EXAMPLES, NearestMean(NEAREST_MEAN_ACTIVATION), LEAVE_ONE_OUT)
