"""Batches go where the least work is."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from simila.backends.least_loaded import LeastLoadedBackend
from simila.domain.errors import NotReady

TIMEOUT_SECONDS = 60


class Replica:
    """Gives its number for every row; waits at `gate`, says `entered`, raises `error`."""

    def __init__(self, number):
        self.number = number
        self.rows = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.error = None

    def run(self, tensors):
        rows = len(tensors["x"])
        self.rows.append(rows)
        self.entered.release()
        assert self.gate.wait(TIMEOUT_SECONDS)
        if self.error:
            raise self.error
        return np.full((rows, 1), self.number, dtype=np.float32)


def batch(rows):
    return {"x": np.zeros((rows, 4), dtype=np.float32)}


@pytest.fixture
def replicas():
    return [Replica(number) for number in range(3)]


@pytest.fixture
def backend(replicas):
    return LeastLoadedBackend(replicas)


def test_idle_replicas_take_turns(backend):
    assert [int(backend.run(batch(2))[0, 0]) for _ in range(6)] == [0, 1, 2, 0, 1, 2]


def test_a_batch_goes_to_the_replica_with_the_least_work(backend, replicas):
    for replica in replicas:
        replica.gate.clear()
    with ThreadPoolExecutor(5) as pool:
        waiting = []
        for replica, rows in zip(replicas, (9, 3, 5), strict=True):
            waiting.append(pool.submit(backend.run, batch(rows)))
            assert replica.entered.acquire(timeout=TIMEOUT_SECONDS)
        waiting.append(pool.submit(backend.run, batch(4)))  # beside 3 rows: 7
        assert replicas[1].entered.acquire(timeout=TIMEOUT_SECONDS)
        waiting.append(pool.submit(backend.run, batch(1)))  # beside 5
        assert replicas[2].entered.acquire(timeout=TIMEOUT_SECONDS)
        for replica in replicas:
            replica.gate.set()
        assert [int(one.result()[0, 0]) for one in waiting] == [0, 1, 2, 1, 2]
    assert [replica.rows for replica in replicas] == [[9], [3, 4], [5, 1]]


def test_a_replica_that_is_down_leaves_its_batch_to_another(backend, replicas):
    replicas[0].error = NotReady("down")
    assert [int(backend.run(batch(1))[0, 0]) for _ in range(4)] == [1, 2, 1, 2]
    for replica in replicas:
        replica.error = NotReady(f"{replica.number} is down")
    with pytest.raises(NotReady, match="is down"):
        backend.run(batch(1))


def test_another_error_belongs_to_the_batch_and_leaves_no_work_behind(backend, replicas):
    replicas[0].error = ValueError("bad row")
    with pytest.raises(ValueError, match="bad row"):
        backend.run(batch(100))
    replicas[0].error = None
    assert sorted(int(backend.run(batch(1))[0, 0]) for _ in range(3)) == [0, 1, 2]
