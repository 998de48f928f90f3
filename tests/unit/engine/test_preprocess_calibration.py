import threading
import time

import pytest

from simila.engine.preprocess_calibration import answered_per_second, preprocess_threads

TURN_SECONDS = 0.02


def ignored(_number: int) -> None:
    time.sleep(0.0001)


def test_where_models_are_the_slower_stage_one_thread_is_enough() -> None:
    assert preprocess_threads(ignored, lambda: time.sleep(TURN_SECONDS) or 1.0, cores=4) == 1


def test_where_preparing_is_the_slower_stage_every_core_prepares() -> None:
    """Sleeping stands for work that other cores would do: twice the threads prepare twice as much."""

    def prepare(_number: int) -> None:
        time.sleep(0.002)

    assert preprocess_threads(prepare, lambda: time.sleep(10 * TURN_SECONDS) or 1e9, cores=4) == 4


def test_one_core_has_nothing_to_choose() -> None:
    assert preprocess_threads(ignored, lambda: pytest.fail("nothing is measured"), cores=1) == 1


def test_the_slower_stage_counts() -> None:
    def run_models() -> float:
        time.sleep(TURN_SECONDS)
        return 3.0

    assert answered_per_second(lambda _number: None, run_models, threads=1) == 3.0


def test_a_run_that_fails_leaves_no_thread_behind() -> None:
    before = threading.active_count()

    def fails() -> float:
        raise OSError("out of memory")

    with pytest.raises(OSError, match="out of memory"):
        answered_per_second(ignored, fails, threads=3)
    assert threading.active_count() == before
