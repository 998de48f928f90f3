"""k nearest neighbours of a collection, found by its index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simila.classifiers.decision_rules import ranked
from simila.classifiers.nearest_neighbours import Neighbours, class_cosines, neighbour_votes
from simila.classifiers.rejection import kth_neighbour_cosine
from simila.domain.errors import InvalidInput, NoExamples
from simila.domain.results import Ranking
from simila.domain.vectors import Float32, Float64, Int64
from simila.index.collection import Collection, SearchQuery
from simila.services.class_models import Scored, class_shares
from simila.storage.where import Where


@dataclass(frozen=True, eq=False)
class IndexedNeighbours:
    """A `ClassModel` of the `k` nearest items that match; familiarity is the cosine of the k-th (Sun et al. 2022).

    `counts` are of all items of each label, those that do not match too.
    """

    collection: Collection
    counts: Mapping[str, int]
    k: int
    where: Where

    @classmethod
    def of(
        cls, collection: Collection, counts: Mapping[str, int], k: int, where: Where, *, is_given: bool
    ) -> "IndexedNeighbours":
        """With `k`, or as many items as there are where the caller has not given it.

        Raises:
            NoExamples: no labelled item matches.
            InvalidInput: there are fewer than the `k` that was given.

        """
        items = collection.reader.count(where)
        if not items:
            raise NoExamples(f"no labelled item of collection {collection.spec.name} matches", param="filter")
        if is_given and k > items:
            raise InvalidInput(f"k is {k}, more than the {items} labelled items that match", param="k")
        return cls(collection, counts, min(k, items), where)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.counts)

    @property
    def training_priors(self) -> Float64:
        return class_shares(np.array(list(self.counts.values()), dtype=np.int64))

    @property
    def is_exclusive(self) -> bool:
        return True

    def ranks_at_once(self, inputs: int) -> bool:  # noqa: ARG002
        return False

    def scored(self, vectors: Float32) -> Scored:
        neighbours, item_classes = self._found(vectors)
        votes = neighbour_votes(neighbours, item_classes, len(self.labels))
        cosines = class_cosines(neighbours, item_classes, len(self.labels))
        return Scored(self.labels, votes, votes, cosines, kth_neighbour_cosine(neighbours))

    def ranked(self, vectors: Float32, top_k: int | None) -> Sequence[Ranking]:
        scored = self.scored(vectors)
        return ranked(self.labels, scored.scores, scored.probabilities, scored.cosines, top_k)

    def _found(self, vectors: Float32) -> tuple[Neighbours, Int64]:
        """Neighbours whose positions count the hits themselves, and the class of each hit."""
        position_of = {label: position for position, label in enumerate(self.labels)}
        positions = np.full((len(vectors), self.k), -1, np.int64)
        cosines = np.full((len(vectors), self.k), -np.inf)
        classes: list[int] = []
        hits_of = self.collection.search(SearchQuery(vectors, self.k, self.where)).hits
        for row, hits in enumerate(hits_of):
            # A label that was written after the classes were read is of none of them.
            known = [hit for hit in hits if hit.label in position_of]
            positions[row, : len(known)] = np.arange(len(classes), len(classes) + len(known))
            cosines[row, : len(known)] = [hit.score for hit in known]
            classes += [position_of[hit.label] for hit in known if hit.label is not None]
        return Neighbours(positions, cosines), np.array(classes, dtype=np.int64)


def labelled(where: Where | None) -> Where:
    """The condition of items that have a label, and match."""
    if where is None:
        return Where("items.label IS NOT NULL")
    return Where(f"({where.sql}) AND items.label IS NOT NULL", where.parameters)
