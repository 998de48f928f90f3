"""Metrics, for Prometheus."""

from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TOWER = ("encoder", "tower")

HTTP_SECONDS = Histogram("simila_http_seconds", "Time to answer a request.", ("route", "status"), buckets=SECONDS)
GRPC_SECONDS = Histogram("simila_grpc_seconds", "Time to answer a call of gRPC.", ("call", "status"), buckets=SECONDS)
PREPROCESS_SECONDS = Histogram("simila_preprocess_seconds", "Decoding or tokenising a request.", TOWER, buckets=SECONDS)
QUEUE_SECONDS = Histogram("simila_queue_seconds", "Until a request's first row began to run.", TOWER, buckets=SECONDS)
INFERENCE_SECONDS = Histogram("simila_inference_seconds", "From then until its last was done.", TOWER, buckets=SECONDS)
BATCH_ROWS = Histogram("simila_batch_rows", "Rows in a batch.", TOWER, buckets=ROWS)
BATCH_SECONDS = Histogram("simila_batch_seconds", "Time to run a batch.", TOWER, buckets=SECONDS)
WORK_IN_FLIGHT = Gauge("simila_work_in_flight", "Tokens or images that are taken on and not done.", TOWER)
BATCH_UNITS = Counter("simila_batch_units", "Tokens or images that batches computed, padding too.", TOWER)
PADDING_UNITS = Counter("simila_padding_units", "Tokens of them that were padding.", TOWER)
QUEUE_ROWS = Gauge("simila_queue_rows", "Rows that wait for a batch.", TOWER)
CACHE_LOOKUPS = Counter("simila_cache_lookups", "Inputs looked for in the cache, by what came of it.", ("outcome",))
ERRORS = Counter("simila_errors", "Requests that were refused, failed or dropped, by the error's code.", ("code",))
LOG_LINES_DROPPED = Counter("simila_log_lines_dropped", "Log lines that could not be written in time.")
INDEX_BUILDS = Counter("simila_index_builds", "Indexes built or tuned, by what came of it.", ("outcome",))
INDEX_BUILD_SECONDS = Histogram(
    "simila_index_build_seconds", "Time to build and tune an index.", buckets=(0.1, 1, 10, 60, 300, 1800, 7200)
)
# A rise is seen only from a value that was there before.
for _outcome in ("done", "failed", "cancelled"):
    INDEX_BUILDS.labels(_outcome)

Measure = Callable[[], float]
Watched = dict[tuple[str, str], tuple[Measure, ...]]
# While one version of an encoder takes over from another, both have work.
_WORK_IN_FLIGHT_OF: Watched = {}
_QUEUE_ROWS_OF: Watched = {}


class TowerMetrics:
    """The metrics of one tower, found once."""

    def __init__(self, encoder: str, tower: str) -> None:
        self._key = (encoder, tower)
        self._preprocess_seconds = PREPROCESS_SECONDS.labels(encoder, tower)
        self._queue_seconds = QUEUE_SECONDS.labels(encoder, tower)
        self._inference_seconds = INFERENCE_SECONDS.labels(encoder, tower)
        self._batch_rows = BATCH_ROWS.labels(encoder, tower)
        self._batch_seconds = BATCH_SECONDS.labels(encoder, tower)
        self._batch_units = BATCH_UNITS.labels(encoder, tower)
        self._padding_units = PADDING_UNITS.labels(encoder, tower)
        self._queue_rows = QUEUE_ROWS.labels(encoder, tower)
        self._work_in_flight = WORK_IN_FLIGHT.labels(encoder, tower)

    def watch(self, *, work_in_flight: Measure, queue_rows: Measure) -> None:
        """Count these towards the encoder's, until `unwatch`."""
        _watch(self._work_in_flight, _WORK_IN_FLIGHT_OF, self._key, work_in_flight)
        _watch(self._queue_rows, _QUEUE_ROWS_OF, self._key, queue_rows)

    def unwatch(self, *, work_in_flight: Measure, queue_rows: Measure) -> None:
        _unwatch(_WORK_IN_FLIGHT_OF, self._key, work_in_flight)
        _unwatch(_QUEUE_ROWS_OF, self._key, queue_rows)

    def request(self, *, preprocess_seconds: float, queue_seconds: float, inference_seconds: float) -> None:
        self._preprocess_seconds.observe(preprocess_seconds)
        self._queue_seconds.observe(queue_seconds)
        self._inference_seconds.observe(inference_seconds)

    def batch(self, *, rows: int, padded_length: int, length: int, seconds: float) -> None:
        self._batch_rows.observe(rows)
        self._batch_seconds.observe(seconds)
        self._batch_units.inc(padded_length)
        self._padding_units.inc(padded_length - length)


def _watch(gauge: Gauge, watched: Watched, key: tuple[str, str], one: Measure) -> None:
    watched[key] = (*watched.get(key, ()), one)
    gauge.set_function(lambda: sum(measure() for measure in watched[key]))


def _unwatch(watched: Watched, key: tuple[str, str], one: Measure) -> None:
    watched[key] = tuple(measure for measure in watched.get(key, ()) if measure != one)
