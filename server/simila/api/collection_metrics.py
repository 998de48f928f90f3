"""What each collection holds, for Prometheus."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily

from simila.index.collection_state import Available, Unavailable


class CollectionMetrics:
    """A collector of metrics of the collections in `states`, by name."""

    def __init__(self, states: Mapping[str, Available | Unavailable]) -> None:
        self._states = states

    def collect(self) -> Iterator[GaugeMetricFamily]:
        one = ("collection",)
        available = GaugeMetricFamily("simila_collection_available", "1 if it can be read.", labels=one)
        items = GaugeMetricFamily("simila_collection_items", "Items.", labels=one)
        disk = GaugeMetricFamily("simila_collection_disk_bytes", "What its files take.", labels=one)
        head = GaugeMetricFamily("simila_collection_head_rows", "Vectors that are compared exactly.", labels=one)
        building = GaugeMetricFamily("simila_collection_building", "1 while an index is built.", labels=one)
        recall = GaugeMetricFamily(
            "simila_collection_recall_at_10", "As measured of the index, by group of queries.", labels=(*one, "queries")
        )
        for name, state in self._states.items():
            available.add_metric([name], float(isinstance(state, Available)))
            if isinstance(state, Unavailable):
                continue
            statistics = state.statistics
            items.add_metric([name], statistics.items)
            disk.add_metric([name], statistics.disk_bytes)
            head.add_metric([name], statistics.index.head_rows)
            building.add_metric([name], float(statistics.index.building is not None))
            if statistics.index.measured:
                for queries, share in statistics.index.measured.recall_at_10.items():
                    recall.add_metric([name, queries], share)
        yield from (available, items, disk, head, building, recall)
