import asyncio
import threading
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, softmax

from simila.classifiers import decision_rules
from simila.classifiers.activations import Activation
from simila.classifiers.label_metric import label_metric
from simila.classifiers.label_tree import label_tree
from simila.classifiers.linear_scorer import LinearScorer
from simila.domain.errors import CannotServe, InvalidInput, InvalidLabels, LimitExceeded
from simila.services import class_models, decisions
from simila.services.class_models import LinearModel, NeighbourModel
from simila.services.decisions import DecisionRules, decide

LABELS = ("cat", "dog", "car")
MODEL = LinearModel(LinearScorer(LABELS, np.eye(3), np.zeros(3)), Activation(scale=2.0, bias=0.5))
INPUTS = np.array([[0.8, 0.6, 0.0], [0.0, 0.6, 0.8], [0.6, -0.8, 0.0]], np.float32)
PROBABILITIES = softmax(2.0 * INPUTS, axis=1)


def decided(rules, inputs=INPUTS, model=MODEL):
    return asyncio.run(decide(model, rules, inputs, 7))


def test_without_rules_classes_are_ranked():
    classified = decided(DecisionRules(top_k=1))
    assert [[entry.label for entry in row] for row in classified.predictions] == [["cat"], ["car"], ["cat"]]
    assert (classified.decisions, classified.tokens) == (None, 7)


@pytest.mark.parametrize(("most_products", "in_the_loop"), [(27, True), (26, False)])
def test_only_what_takes_time_is_ranked_in_a_thread(monkeypatch, most_products, in_the_loop):
    monkeypatch.setattr(class_models, "MOST_PRODUCTS_AT_ONCE", most_products)
    threads = []

    def predict(*arguments):
        threads.append(threading.current_thread())
        return decision_rules.predict(*arguments)

    monkeypatch.setattr(class_models, "predict", predict)
    assert [row.labels[0] for row in decided(DecisionRules()).predictions] == ["cat", "car", "cat"]
    assert (threads == [threading.main_thread()]) == in_the_loop


def test_what_is_less_familiar_than_the_threshold_is_rejected():
    classified = decided(DecisionRules(unknown_below=1.9))
    assert [entry.prediction for entry in classified.decisions] == ["cat", "car", None]
    assert [entry.details["rejected"] for entry in classified.decisions] == [False, False, True]
    familiarity = [entry.details["familiarity"] for entry in classified.decisions]
    np.testing.assert_allclose(familiarity, 2 * INPUTS.max(axis=1) + 0.5)
    assert classified.decisions[2].score == pytest.approx(PROBABILITIES[2, 0])


@pytest.mark.parametrize(
    ("thresholds", "labels"),
    [
        (0.3, [["cat", "dog"], ["car", "dog"], ["cat"]]),
        ({"cat": 0.9, "dog": 0.3, "car": 0.2}, [["dog"], ["car", "dog"], ["car"]]),
    ],
)
def test_an_input_has_all_labels_above_their_thresholds(thresholds, labels):
    classified = decided(DecisionRules(thresholds=thresholds, top_k=1))
    assert [entry.details["labels"] for entry in classified.decisions] == labels


def test_the_frechet_mean_may_be_a_label_that_was_not_seen():
    metric = label_metric([*LABELS, "pet"], [[0, 2, 9, 1], [2, 0, 9, 1], [9, 9, 0, 9], [1, 1, 9, 0]])
    nearly_even = np.array([[0.7, 0.7, -0.14]], np.float32)
    (decision,) = decided(DecisionRules(metric=metric), nearly_even).decisions
    seen = softmax(2.0 * nearly_even, axis=1)[0]
    assert (decision.prediction, decision.score) == ("pet", 0.0)
    assert decision.details["expected_squared_distance"] == pytest.approx(seen @ [1, 1, 81])
    assert [entry.label for entry in decision.predictions] == list(LABELS)


def test_a_tree_answers_with_the_deepest_label_that_is_certain_enough():
    tree = label_tree({"thing": None, "animal": "thing", "cat": "animal", "dog": "animal", "car": "thing"})
    first, _, third = decided(DecisionRules(tree=tree, confidence=0.6)).decisions
    assert (first.prediction, first.score) == ("animal", pytest.approx(PROBABILITIES[0, :2].sum()))
    assert (third.prediction, third.score) == ("cat", pytest.approx(PROBABILITIES[2, 0]))


def test_a_tree_over_independent_classes_adds_up_to_no_more_than_one():
    tree = label_tree({"thing": None, "animal": "thing", "cat": "animal", "dog": "animal", "car": "thing"})
    model = LinearModel(MODEL.scorer, Activation(scale=2.0, kind="sigmoid"))
    (decision, *_) = decided(DecisionRules(tree=tree, confidence=0.9), model=model).decisions
    cat, dog, _ = expit(2.0 * INPUTS[0])
    assert cat < 0.9
    assert (decision.prediction, decision.score) == ("animal", pytest.approx(1 - (1 - cat) * (1 - dog)))


def test_distances_are_expected_by_the_shares_of_independent_classes():
    metric = label_metric(LABELS, [[0, 2, 9], [2, 0, 9], [9, 9, 0]])
    model = LinearModel(MODEL.scorer, Activation(scale=2.0, kind="sigmoid"))
    (decision, *_) = decided(DecisionRules(metric=metric), model=model).decisions
    own = expit(2.0 * INPUTS[0])
    assert (decision.prediction, decision.score) == ("cat", pytest.approx(own[0]))
    assert decision.details["expected_squared_distance"] == pytest.approx(own @ [0, 4, 81] / own.sum())


def test_given_priors_weigh_the_probabilities():
    classified = decided(DecisionRules(priors={"cat": 1, "dog": 8, "car": 1}))
    weighted = PROBABILITIES * [0.1, 0.8, 0.1]
    expected = weighted / weighted.sum(axis=1, keepdims=True)
    assert [entry.prediction for entry in classified.decisions] == ["dog", "dog", "cat"]
    np.testing.assert_allclose([entry.score for entry in classified.decisions], expected.max(axis=1))
    assert classified.priors == pytest.approx({"cat": 0.1, "dog": 0.8, "car": 0.1})


def test_what_was_learned_of_unequal_classes_is_corrected_from_there():
    learned = np.array([0.6, 0.3, 0.1])
    probe = replace(MODEL, item_shares=learned)
    classified = decided(DecisionRules(priors={"cat": 1, "dog": 8, "car": 1}), model=probe)
    weighted = PROBABILITIES * ([0.1, 0.8, 0.1] / learned)
    for row, decision in zip(weighted / weighted.sum(axis=1, keepdims=True), classified.decisions, strict=True):
        served = {entry.label: entry.score for entry in decision.predictions}
        assert [served[label] for label in LABELS] == pytest.approx(row.tolist())
    voters = NeighbourModel(("a", "b"), np.eye(4, dtype=np.float32), np.array([0, 0, 0, 1]), 1)
    assert voters.training_priors.tolist() == [0.75, 0.25]


def test_priors_are_estimated_from_the_batch():
    mostly_cats = np.repeat(INPUTS, [20, 1, 1], axis=0)
    classified = decided(DecisionRules(priors="estimate"), mostly_cats)
    assert classified.priors["cat"] > 0.9
    assert sum(classified.priors.values()) == pytest.approx(1)


def test_priors_need_classes_that_exclude_each_other():
    model = LinearModel(MODEL.scorer, Activation(kind="sigmoid"))
    with pytest.raises(CannotServe, match="exclude each other"):
        decided(DecisionRules(priors="estimate"), model=model)


def test_neighbours_vote_and_the_kth_says_how_familiar_an_input_is():
    items = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1]], np.float32)
    model = NeighbourModel(("a", "b"), items, np.array([0, 1, 1]), k=2)
    (decision,) = decided(DecisionRules(unknown_below=0.9), np.array([[1, 0, 0]], np.float32), model).decisions
    votes = np.exp(np.array([1, 0.8]) / 0.07)
    assert [entry.label for entry in decision.predictions] == ["a", "b"]
    assert decision.score == pytest.approx(votes[0] / votes.sum(), rel=1e-5)
    assert (decision.prediction, decision.details["familiarity"]) == (None, pytest.approx(0.8))


@pytest.mark.parametrize(
    ("rules", "error", "param"),
    [
        ({"thresholds": {"cat": 0.5}}, InvalidInput, "multi_label.thresholds"),
        ({"priors": {"cat": 0.5, "dog": 0.5, "car": 1, "cow": 1}}, InvalidInput, "priors"),
        ({"metric": label_metric(["cat", "dog"], [[0, 1], [1, 0]])}, InvalidLabels, "label_metric"),
        ({"tree": label_tree({"cat": None, "dog": "cat"})}, InvalidLabels, "label_tree"),
    ],
)
def test_rules_that_lack_a_label_are_refused(rules, error, param):
    with pytest.raises(error) as refused:
        DecisionRules(**rules).check(LABELS)
    assert refused.value.param == param


@pytest.mark.parametrize("given", [(1e308, 1e308, 1e308), (1e308, 1e-308, 1e-308)])
def test_priors_of_any_size_leave_probabilities_that_are_numbers(given):
    items = np.eye(3, dtype=np.float32)
    nearest = NeighbourModel(LABELS, items, np.arange(3), k=1)
    (decision,) = decided(DecisionRules(priors=dict(zip(LABELS, given, strict=True))), items[1:2], nearest).decisions
    assert (decision.prediction, decision.score) == ("dog", 1.0)


def test_priors_that_are_none_are_refused():
    with pytest.raises(InvalidInput, match="above 0"):
        decided(DecisionRules(priors={"cat": 1, "dog": 0, "car": 1}))


def test_more_scores_than_rules_take_at_once_are_refused(monkeypatch):
    monkeypatch.setattr(decisions, "MOST_SCORES", 8)
    with pytest.raises(LimitExceeded, match="3 inputs and 3 classes are more than 8 scores"):
        decided(DecisionRules(unknown_below=0.0))
