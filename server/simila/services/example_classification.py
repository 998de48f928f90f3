"""Use case: which of a collection's labels is this?"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from simila.classifiers.activations import Activation
from simila.classifiers.labels import FEWEST_CLASSES
from simila.classifiers.linear_scorer import nearest_mean_scorer
from simila.classifiers.prototypes import Prototypes
from simila.classifiers.rejection import rejection_threshold
from simila.domain.errors import CannotServe, InvalidInput
from simila.domain.inputs import Source, View
from simila.domain.vectors import Float64, Int64
from simila.engine.model_pool import ModelPool
from simila.index.catalogue import Catalogue
from simila.index.collection import Collection
from simila.index.filters import compile_filter
from simila.services.class_models import ClassModel, LinearModel, Scored
from simila.services.decisions import DecisionRules, decide
from simila.services.example_methods import (
    Blend,
    ExampleMethod,
    MethodName,
    NearestMean,
    NearestNeighbours,
    positions_among,
    temperature_of,
    thresholds_of,
)
from simila.services.example_models import ExampleModels
from simila.services.image_views import check_views, vectors_in_views
from simila.services.indexed_neighbours import IndexedNeighbours, labelled
from simila.services.label_scorers import LabelScorers
from simila.services.label_sets import Classes, LabelSet
from simila.services.ranking import Classified, check_predictions
from simila.services.source_vectors import SourceVectors
from simila.services.zero_shot import chosen_templates, own_activation

K = 10
UNFITTED_THRESHOLD = 0.5  # of a class with one item, which cannot be judged by others of its class


@dataclass(frozen=True)
class ByExamples:
    """By which method labelled items classify. `k` and `filter` are of knn, `weight` and the templates of a blend."""

    method: MethodName = "nearest_mean"
    k: int | None = None
    filter: Any = None
    weight: float | None = None
    templates: tuple[str, ...] | None = None
    template_set: str | None = None
    calibrated: bool = False

    def check(self) -> None:
        """Check that no option is given to a method that has none such.

        Raises:
            InvalidInput: naming the option.

        """
        of_method = {"k": "knn", "filter": "knn", "weight": "blend", "templates": "blend", "template_set": "blend"}
        for option, method in of_method.items():
            if getattr(self, option) is not None and self.method != method:
                raise InvalidInput(f"{option} is an option of the method {method}, not of {self.method}", param=option)
        if self.calibrated and self.method == "knn":
            message = "shares of votes have no temperature to fit: calibrated is of nearest_mean and blend"
            raise InvalidInput(message, param="calibrated")


_NEAREST_MEAN = ByExamples()
_RANK_ALL = DecisionRules()


class ExampleClassificationService:
    """Learns classes from the labels of a collection's items."""

    def __init__(
        self,
        pool: ModelPool,
        catalogue: Catalogue,
        models: ExampleModels,
        scorers: LabelScorers,
        *,
        most_predictions: int,
    ) -> None:
        self._source_vectors = SourceVectors(pool)
        self._catalogue = catalogue
        self._models = models
        self._scorers = scorers
        self._most_predictions = most_predictions

    async def classify(
        self,
        name: str,
        sources: Sequence[Source],
        by: ByExamples = _NEAREST_MEAN,
        *,
        views: Sequence[View] = (),
        rules: DecisionRules = _RANK_ALL,
        false_rejection_rate: float | None = None,
        fit_thresholds: bool = False,
    ) -> Classified:
        """Decide for each input by the items that have labels; images are seen in `views`, and these averaged.

        With `false_rejection_rate`, inputs are rejected that are less familiar than all but so many of the items, each
        judged as if it were not there. With `fit_thresholds`, inputs have all labels above the thresholds under which
        the items, judged so, have the largest F1.

        Raises:
            NoExamples: no item has a label, or all have the same and there is no unknown to tell them from.
            InvalidInput: an option is not of the method, `k` is more than there are items, or a rule that is of all
                items meets a filter.
            CannotServe: a blend is wanted of an encoder without a text tower.
            LimitExceeded: see `check_predictions`.
            NotReady: classes were written while this was computed.

        """
        collection = self._catalogue.get(name)
        by.check()
        check_views(views)
        spec = collection.spec
        encoder = partial(self._source_vectors.encoder, spec)
        vectors, tokens = await vectors_in_views(encoder, spec.dimension, sources, views)
        method = await self.method(collection, by)
        model = await asyncio.to_thread(self._model, collection, by, method)
        if len(model.labels) < FEWEST_CLASSES and rules.unknown_below is None:
            self._models.check_classes(collection)
        check_predictions(len(sources), len(model.labels), rules.top_k, limit=self._most_predictions)
        rules.check(model.labels)
        if rules.priors is not None:
            _check_unfiltered(by, "priors are")
        if false_rejection_rate is not None:
            threshold = await asyncio.to_thread(self._threshold, collection, by, method, false_rejection_rate)
            rules = replace(rules, unknown_below=threshold)
        if fit_thresholds:
            labels, thresholds = await asyncio.to_thread(self._thresholds, collection, by, method)
            fitted = thresholds[positions_among(labels, model.labels)]
            rules = replace(rules, thresholds=dict(zip(model.labels, fitted.tolist(), strict=True)))
        return await decide(model, rules, vectors, tokens)

    async def method(self, collection: Collection, by: ByExamples) -> ExampleMethod:
        """The method with all it needs beside the items.

        Raises:
            NoExamples, CannotServe, InvalidInput: see `classify`.

        """
        method: NearestMean | NearestNeighbours | Blend
        if by.method == "knn":
            return NearestNeighbours(by.k or K)
        method = NearestMean() if by.method == "nearest_mean" else await self._blend(collection, by)
        if not by.calibrated:
            return method
        activation = await asyncio.to_thread(self._temperature, collection, by, method)
        return replace(method, activation=activation)

    async def _blend(self, collection: Collection, by: ByExamples) -> Blend:
        await asyncio.to_thread(self._models.check_classes, collection)
        manifest = self._source_vectors.encoder(collection.spec).manifest
        if manifest.text is None:
            message = f"encoder {manifest.name} has no text tower, so label names cannot be blended in"
            raise CannotServe(message, param="method")
        means, _ = self._models.means(collection)
        templates = chosen_templates(manifest, by.templates, by.template_set) or ("{}",)
        label_set = LabelSet(manifest, Classes(means.labels), templates)
        await self._scorers.check(label_set)
        texts = Prototypes(means.labels, (await self._scorers.scorer(label_set)).weights)
        return Blend(texts, own_activation(manifest), by.weight)

    def _model(self, collection: Collection, by: ByExamples, method: ExampleMethod) -> ClassModel:
        means, counts = self._models.means(collection)
        if isinstance(method, NearestNeighbours):
            where = labelled(None if by.filter is None else compile_filter(by.filter))
            return IndexedNeighbours.of(collection, counts, method.k, where, is_given=by.k is not None)
        if isinstance(method, Blend):
            return method.of_means(means, counts)
        assert isinstance(method, NearestMean)
        scorer = self._models.kept(collection, "scorer", lambda: nearest_mean_scorer(means))
        return LinearModel(scorer, method.activation)

    def _temperature(self, collection: Collection, by: ByExamples, method: NearestMean | Blend) -> Activation:
        def fitted() -> Activation:
            return temperature_of(*self._left_out(collection, method))

        return self._models.kept(collection, ("temperature", replace(by, filter=None)), fitted)

    def _threshold(self, collection: Collection, by: ByExamples, method: ExampleMethod, rate: float) -> float:
        _check_unfiltered(by, "a false_rejection_rate is")
        known = self._models.kept(
            collection, ("familiarity", by), lambda: self._left_out(collection, method)[0].familiarity
        )
        return rejection_threshold(np.asarray(known), rate)

    def _thresholds(
        self, collection: Collection, by: ByExamples, method: ExampleMethod
    ) -> tuple[tuple[str, ...], Float64]:
        """The labels that the items have, and the threshold `float64 [c]` of each."""

        def fitted() -> tuple[tuple[str, ...], Float64]:
            left_out, item_classes = self._left_out(collection, method)
            thresholds = thresholds_of(left_out, item_classes)
            return left_out.labels, np.where(np.isnan(thresholds), UNFITTED_THRESHOLD, thresholds)

        _check_unfiltered(by, "fitted thresholds are")
        return self._models.kept(collection, ("thresholds", by), fitted)

    def _left_out(self, collection: Collection, method: ExampleMethod) -> tuple[Scored, Int64]:
        examples = self._models.examples(collection)
        return method.left_out(examples), examples.item_classes


def _check_unfiltered(by: ByExamples, what: str) -> None:
    if by.filter is not None:
        raise InvalidInput(f"{what} of all items: leave the filter out", param="filter")
