import threading
import time

import pytest

from simila.engine.preprocess_calibration import answered_per_second, preprocess_threads

TURN_SECONDS = 0.2
PATIENCE_SECONDS = 60
CORES = 4


class SlowModels:
    """A row in a thousand seconds. Inputs are prepared at once; models run until one is, however long that takes."""

    rows_per_second = 0.001

    def __init__(self) -> None:
        self._begun = threading.Semaphore(0)

    def prepare(self, _number: int) -> None:
        self._begun.release()

    def run(self) -> float:
        self._begun = threading.Semaphore(0)
        for _ in range(CORES + 1):  # a thread that begins another input has finished one
            assert self._begun.acquire(timeout=PATIENCE_SECONDS)
        return self.rows_per_second


def test_where_models_are_the_slower_stage_one_thread_is_enough() -> None:
    models = SlowModels()
    assert preprocess_threads(models.prepare, models.run, CORES) == 1


def test_where_preparing_is_the_slower_stage_every_core_prepares() -> None:
    """Sleeping stands for work that other cores would do: twice the threads prepare twice as much."""

    def prepare(_number: int) -> None:
        time.sleep(0.002)

    assert preprocess_threads(prepare, lambda: time.sleep(TURN_SECONDS) or 1e9, CORES) == CORES


def test_one_core_has_nothing_to_choose() -> None:
    assert preprocess_threads(lambda _: None, lambda: pytest.fail("nothing is measured"), cores=1) == 1


def test_the_slower_stage_counts() -> None:
    models = SlowModels()
    assert answered_per_second(models.prepare, models.run, threads=1) == models.rows_per_second


def test_a_run_that_fails_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())

    def fails() -> float:
        raise OSError("out of memory")

    with pytest.raises(OSError, match="out of memory"):
        answered_per_second(lambda _: None, fails, threads=3)
    assert set(threading.enumerate()) <= before
