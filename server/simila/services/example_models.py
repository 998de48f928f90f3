"""What is learned of a collection's items, kept until the next write."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np

from simila.classifiers.class_sums import ClassSums
from simila.classifiers.labels import FEWEST_CLASSES, class_positions
from simila.classifiers.prototypes import Prototypes
from simila.domain.errors import LimitExceeded, NoExamples
from simila.index.collection import Collection
from simila.services.example_methods import Examples

# Half a gigabyte of float32, which is held while items are judged.
MOST_VALUES = 2**27
_CHUNK_ROWS = 8192
_MOST_KEPT = 16

T = TypeVar("T")


class ExampleModels:
    """Keeps, for each collection, what was made of its items as they are now. Thread-safe."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Collection, tuple[int, dict[Hashable, Any]]] = WeakKeyDictionary()

    def kept(self, collection: Collection, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` made under this key since the last write."""
        version = collection.version
        known = self._kept.get(collection)
        if known is None or known[0] != version:
            known = self._kept[collection] = version, {}
        made = known[1]
        if key not in made:
            value = make()
            if len(made) >= _MOST_KEPT:
                made.pop(next(iter(made)))
            made[key] = value
            return value
        return cast("T", made[key])

    def drop(self, collection: Collection) -> None:
        """Keep nothing of a collection."""
        self._kept.pop(collection, None)

    def means(self, collection: Collection) -> tuple[Prototypes, dict[str, int]]:
        """The mean of each class, and how many items it is of; read from the sums that are kept with the items.

        Raises:
            NoExamples: no item has a label.

        """
        means, counts = self.kept(collection, "means", lambda: _means(collection))
        if not counts:
            message = f"collection {collection.spec.name} has no labelled items to learn classes from"
            raise NoExamples(message, param="name")
        return means, counts

    def check_classes(self, collection: Collection) -> None:
        """Check that there are classes to tell apart.

        Raises:
            NoExamples: no item has a label, or all have the same.

        """
        _, counts = self.means(collection)
        if len(counts) < FEWEST_CLASSES:
            message = f"collection {collection.spec.name} has items of one class only; {FEWEST_CLASSES} are needed"
            raise NoExamples(message, param="name")

    def examples(self, collection: Collection) -> Examples:
        """All labelled items with their vectors, which are not kept.

        Raises:
            NoExamples: see `check_classes`.
            LimitExceeded: they are too many to be judged at once.

        """
        self.check_classes(collection)
        _, counts = self.means(collection)
        values = sum(counts.values()) * collection.spec.dimension
        if values > MOST_VALUES:
            raise LimitExceeded(
                f"the labelled items of collection {collection.spec.name} are {values} values, more than the"
                f" {MOST_VALUES} that can be judged at once; no setting moves this limit",
                param="name",
            )
        vectors, labels = [np.empty((0, collection.spec.dimension), np.float32)], []
        for chunk in collection.reader.scan(0, _CHUNK_ROWS):
            rows = [row for row, label in enumerate(chunk.labels) if label is not None]
            vectors.append(chunk.vectors[rows])
            labels += [label for label in chunk.labels if label is not None]
        classes, item_classes = class_positions(labels)
        return Examples(classes, np.concatenate(vectors), item_classes)


def _means(collection: Collection) -> tuple[Prototypes, dict[str, int]]:
    sums = ClassSums(collection.spec.dimension, collection.reader.class_sums())
    return sums.means(), sums.counts
