"""From a request's vectors and a model of classes to one decision an input, by the rules that the request names."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from simila.classifiers.decision_rules import above_thresholds, ranked
from simila.classifiers.label_metric import LabelMetric
from simila.classifiers.label_shift import corrected_probabilities, estimated_priors
from simila.classifiers.label_tree import LabelTree
from simila.classifiers.rejection import reject
from simila.domain.errors import CannotServe, InvalidInput, LimitExceeded, quoted
from simila.domain.vectors import Float32, Float64
from simila.services.class_models import ClassModel, Scored
from simila.services.ranking import Classified, Decision

# Rules other than the ranking look at every score; so many take a gigabyte at their worst.
MOST_SCORES = 2**24
# Of a prior and the largest. Products of less and a probability may all be 0, with nothing to divide by.
SMALLEST_RATIO = 1e-100


@dataclass(frozen=True, eq=False)
class DecisionRules:
    """How scores become decisions; by default the classes are ranked, and the best is predicted.

    `thresholds` make it multi-label: one probability for all labels, or one each. Inputs of less familiarity than
    `unknown_below` are rejected. `priors` are of the inputs as they come, or estimated from this batch of them.
    """

    top_k: int | None = None
    thresholds: float | Mapping[str, float] | None = None
    unknown_below: float | None = None
    priors: Mapping[str, float] | Literal["estimate"] | None = None
    metric: LabelMetric | None = None
    tree: LabelTree | None = None
    confidence: float = 0.5

    @property
    def only_rank(self) -> bool:
        rules = (self.thresholds, self.unknown_below, self.priors, self.metric, self.tree)
        return all(rule is None for rule in rules)

    def check(self, labels: Sequence[str]) -> None:
        """Check that each label has what the rules need of it.

        Raises:
            InvalidInput: a label has no threshold or no prior, or a label of those is none; two geometries are given.
            InvalidLabels: a label is not in the metric or the tree.

        """
        if self.metric and self.tree:
            raise InvalidInput("give label_metric or label_tree, not both", param="label_tree")
        for name, values in (("multi_label.thresholds", self.thresholds), ("priors", self.priors)):
            if isinstance(values, Mapping) and (odd := set(values) ^ set(labels)):
                raise InvalidInput(f"{name} must have one number a label; at odds: {quoted(min(odd))}", param=name)
        nothing = np.zeros((0, len(labels)))
        if self.metric:
            self.metric.frechet_scores(labels, nothing)
        if self.tree:
            self.tree.masses(labels, nothing)


async def decide(model: ClassModel, rules: DecisionRules, vectors: Float32, tokens: int) -> Classified:
    """Classify `float32 [n, d], unit length`, off the event loop unless it is done sooner than handed over.

    Raises:
        LimitExceeded: the rules would look at more than `MOST_SCORES` scores.
        InvalidInput: see `corrected_probabilities` and `above_thresholds`.
        CannotServe: priors are wanted of a model whose classes do not exclude each other.

    """
    if rules.only_rank:
        if model.ranks_at_once(len(vectors)):
            return Classified(list(model.ranked(vectors, rules.top_k)), tokens)
        return Classified(list(await asyncio.to_thread(model.ranked, vectors, rules.top_k)), tokens)
    if len(vectors) * len(model.labels) > MOST_SCORES:
        raise LimitExceeded(
            f"{len(vectors)} inputs and {len(model.labels)} classes are more than {MOST_SCORES} scores, the most that"
            " decision rules take at once; no setting moves this limit, so send fewer inputs a request",
            param="input",
        )
    return await asyncio.to_thread(_decided, model, rules, vectors, tokens)


def _decided(model: ClassModel, rules: DecisionRules, vectors: Float32, tokens: int) -> Classified:
    scored, priors = model.scored(vectors), None
    if rules.priors is not None:
        if not model.is_exclusive:
            raise CannotServe("priors are of classes that exclude each other; this model's do not", param="priors")
        scored, priors = _under_priors(scored, model.training_priors, rules.priors)
    predictions = ranked(scored.labels, scored.scores, scored.probabilities, scored.cosines, rules.top_k)
    decisions = [Decision(row.labels[0], row.scores[0], row) for row in predictions]
    if rules.metric:
        decisions = _by_metric(decisions, scored, rules.metric, exclusive=model.is_exclusive)
    if rules.tree:
        masses = rules.tree.masses(scored.labels, scored.probabilities, exclusive=model.is_exclusive)
        decisions = _by_tree(decisions, masses, rules.tree, rules.confidence)
    if rules.thresholds is not None:
        decisions = _multi_label(decisions, scored, rules.thresholds)
    if rules.unknown_below is not None:
        decisions = _unknown(decisions, scored, rules.unknown_below)
    return Classified(predictions, tokens, decisions, priors)


def _under_priors(
    scored: Scored, training: Float64, given: Mapping[str, float] | Literal["estimate"]
) -> tuple[Scored, Mapping[str, float]]:
    if given == "estimate":
        priors = estimated_priors(scored.probabilities, training).priors
    else:
        priors = np.array([given[label] for label in scored.labels])
        if not (priors > 0).all() or not np.isfinite(priors).all():
            raise InvalidInput("priors must be above 0", param="priors")
        # By the largest first: the sum of such numbers may be infinite.
        priors = np.maximum(priors / priors.max(), SMALLEST_RATIO)
        priors = priors / priors.sum()
    probabilities = corrected_probabilities(scored.probabilities, training, priors)
    shifted = replace(scored, scores=probabilities, probabilities=probabilities)
    return shifted, dict(zip(scored.labels, priors.tolist(), strict=True))


def _by_metric(
    decisions: Sequence[Decision], scored: Scored, metric: LabelMetric, *, exclusive: bool
) -> list[Decision]:
    """The label with the least expected squared distance; its score is its own probability, 0 where it was not seen.

    An expectation needs probabilities of sum 1: those of classes that do not exclude each other are divided by theirs.
    """
    sums = 1.0 if exclusive else np.maximum(scored.probabilities.sum(axis=1, keepdims=True), SMALLEST_RATIO)
    scores = metric.frechet_scores(scored.labels, scored.probabilities / sums)
    column_of = {label: column for column, label in enumerate(scored.labels)}
    answers = []
    for row, best in enumerate(scores.argmax(axis=1).tolist()):
        label = metric.labels[best]
        score = float(scored.probabilities[row, column_of[label]]) if label in column_of else 0.0
        details = {"expected_squared_distance": -float(scores[row, best])}
        answers.append(replace(decisions[row], prediction=label, score=score, details=details))
    return answers


def _by_tree(decisions: Sequence[Decision], masses: Float64, tree: LabelTree, confidence: float) -> list[Decision]:
    """The deepest label that is certain enough; its score is the probability of it or any below it."""
    chosen = tree.deepest_confident(masses, confidence).tolist()
    return [
        replace(decision, prediction=tree.labels[position], score=float(masses[row, position]))
        for row, (decision, position) in enumerate(zip(decisions, chosen, strict=True))
    ]


def _multi_label(decisions: Sequence[Decision], scored: Scored, given: float | Mapping[str, float]) -> list[Decision]:
    thresholds: Float64 = np.array(
        [given[label] if isinstance(given, Mapping) else given for label in scored.labels], dtype=np.float64
    )
    has = above_thresholds(scored.probabilities, thresholds)
    best_first = np.argsort(-scored.scores, axis=1, kind="stable")
    return [
        replace(
            decision,
            details={**decision.details, "labels": [scored.labels[column] for column in order if has[row, column]]},
        )
        for row, (decision, order) in enumerate(zip(decisions, best_first.tolist(), strict=True))
    ]


def _unknown(decisions: Sequence[Decision], scored: Scored, threshold: float) -> list[Decision]:
    rejection = reject(scored.familiarity, threshold)
    answers = []
    for row, decision in enumerate(decisions):
        rejected, familiarity = bool(rejection.rejected[row]), float(rejection.familiarity[row])
        details = {**decision.details, "rejected": rejected, "familiarity": familiarity}
        answers.append(replace(decision, prediction=None if rejected else decision.prediction, details=details))
    return answers
