"""How a collection stands."""

from dataclasses import dataclass

from simila.index.statistics import CollectionStatistics
from simila.storage.collection_file import CollectionSpec


@dataclass(frozen=True)
class Available:
    """A collection that serves."""

    spec: CollectionSpec
    statistics: CollectionStatistics


@dataclass(frozen=True)
class Unavailable:
    """A collection that cannot be read."""

    reason: str
