"""Use case: which of a collection's labels is this?"""

import asyncio
from collections.abc import Sequence

from simila.classifiers.class_sums import ClassSums
from simila.classifiers.linear_scorer import NEAREST_MEAN_ACTIVATION, LinearScorer, nearest_mean_scorer
from simila.domain.errors import NoExamples
from simila.domain.inputs import Source
from simila.engine.model_pool import ModelPool
from simila.index.catalogue import Catalogue
from simila.index.collection import Collection
from simila.services.ranking import Classified, check_predictions, rank
from simila.services.source_vectors import SourceVectors


class NearestMeanService:
    """Learns classes from the labels of a collection's items."""

    def __init__(self, pool: ModelPool, catalogue: Catalogue, *, most_predictions: int) -> None:
        self._source_vectors = SourceVectors(pool)
        self._catalogue = catalogue
        self._most_predictions = most_predictions
        self._scorers: dict[str, tuple[int, LinearScorer]] = {}

    async def classify(self, name: str, sources: Sequence[Source], *, top_k: int | None = None) -> Classified:
        """Rank the collection's labels for each input, by nearest mean.

        Raises:
            NoExamples: no item has a label.
            LimitExceeded: see `check_predictions`.

        """
        collection = self._catalogue.get(name)
        names = [f"input[{position}]" for position in range(len(sources))]
        vectors, tokens = await self._source_vectors.of(collection.spec, sources, names)
        scorer = await asyncio.to_thread(self._scorer, collection)
        check_predictions(len(sources), len(scorer.labels), top_k, limit=self._most_predictions)
        return Classified(await rank(scorer, NEAREST_MEAN_ACTIVATION, vectors, top_k), tokens)

    def _scorer(self, collection: Collection) -> LinearScorer:
        """By the means of the labelled items as they are now, read afresh after each write."""
        store_id, version = collection.spec.store_id, collection.version
        known = self._scorers.get(store_id)
        if known is None or known[0] != version:
            sums = ClassSums(collection.spec.dimension, collection.reader.class_sums())
            known = self._scorers[store_id] = version, nearest_mean_scorer(sums.means())
        if not known[1].labels:
            raise NoExamples(f"collection {collection.spec.name} has no labelled items to learn classes from")
        return known[1]
