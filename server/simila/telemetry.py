"""Logs and metrics."""

import logging
from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
QUIET = ("uvicorn", "httpx", "faiss")
# Warnings are about inputs, for instance damaged EXIF in an image that can be decoded all the same.
SILENT = "py.warnings"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TOWER = ("encoder", "tower")

HTTP_SECONDS = Histogram("simila_http_seconds", "Time to answer a request.", ("route", "status"), buckets=SECONDS)
PREPROCESS_SECONDS = Histogram("simila_preprocess_seconds", "Decoding or tokenising a request.", TOWER, buckets=SECONDS)
QUEUE_SECONDS = Histogram("simila_queue_seconds", "Until a request's first row began to run.", TOWER, buckets=SECONDS)
INFERENCE_SECONDS = Histogram("simila_inference_seconds", "From then until its last was done.", TOWER, buckets=SECONDS)
BATCH_ROWS = Histogram("simila_batch_rows", "Rows in a batch.", TOWER, buckets=ROWS)
BATCH_SECONDS = Histogram("simila_batch_seconds", "Time to run a batch.", TOWER, buckets=SECONDS)
WORK_IN_FLIGHT = Gauge("simila_work_in_flight", "Tokens or images that are taken on and not done.", TOWER)
CACHE_LOOKUPS = Counter("simila_cache_lookups", "Inputs looked for in the cache, by what came of it.", ("outcome",))


Measure = Callable[[], float]
# While one version of an encoder takes over from another, both have work.
_WORK_IN_FLIGHT_OF: dict[tuple[str, str], tuple[Measure, ...]] = {}


class TowerMetrics:
    """The metrics of one tower, found once."""

    def __init__(self, encoder: str, tower: str) -> None:
        self._key = (encoder, tower)
        self._preprocess_seconds = PREPROCESS_SECONDS.labels(encoder, tower)
        self._queue_seconds = QUEUE_SECONDS.labels(encoder, tower)
        self._inference_seconds = INFERENCE_SECONDS.labels(encoder, tower)
        self._batch_rows = BATCH_ROWS.labels(encoder, tower)
        self._batch_seconds = BATCH_SECONDS.labels(encoder, tower)
        self._work_in_flight = WORK_IN_FLIGHT.labels(encoder, tower)

    def watch(self, work_in_flight: Measure) -> None:
        """Count this towards the encoder's work in flight, until `unwatch`."""
        _WORK_IN_FLIGHT_OF[self._key] = (*_WORK_IN_FLIGHT_OF.get(self._key, ()), work_in_flight)
        self._work_in_flight.set_function(lambda: sum(measure() for measure in _WORK_IN_FLIGHT_OF[self._key]))

    def unwatch(self, work_in_flight: Measure) -> None:
        watched = _WORK_IN_FLIGHT_OF.get(self._key, ())
        _WORK_IN_FLIGHT_OF[self._key] = tuple(one for one in watched if one != work_in_flight)

    def request(self, *, preprocess_seconds: float, queue_seconds: float, inference_seconds: float) -> None:
        self._preprocess_seconds.observe(preprocess_seconds)
        self._queue_seconds.observe(queue_seconds)
        self._inference_seconds.observe(inference_seconds)

    def batch(self, rows: int, seconds: float) -> None:
        self._batch_rows.observe(rows)
        self._batch_seconds.observe(seconds)


def configure_logging(level: str) -> None:
    """Send records of at least `level` to standard error; other libraries speak up from warnings on."""
    logging.basicConfig(level=level.upper(), format=LINE, force=True)
    logging.captureWarnings(True)
    logging.getLogger(SILENT).setLevel(logging.ERROR)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
