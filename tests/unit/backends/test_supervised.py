"""A dead backend is told from a bad batch, says when it is tried again, and comes back."""

import logging
import threading
import time
import weakref

import numpy as np
import pytest

from simila.backends import BackendDied, nobody_waits
from simila.backends.supervised import Backoff, SupervisedBackend
from simila.domain.errors import DeadlineExceeded, InferenceServerDown, ModelError, NotReady, Overloaded

TIMEOUT_SECONDS = 60
CANARY = {"x": np.zeros((1, 2), dtype=np.float32)}
GOOD = {"x": np.ones((3, 2), dtype=np.float32)}
POISON = {"x": np.full((3, 2), np.inf, dtype=np.float32)}
NAME = "the text tower of tiny"


class Fake:
    """Gives its input plus one. Poison fails; once `dead` everything raises that; `off` is added to every vector."""

    def __init__(self, dead=None, off=0.0):
        self.dead = dead
        self.off = off
        self.runs = 0

    def run(self, tensors):
        self.runs += 1
        if self.dead:
            raise self.dead
        if np.isinf(tensors["x"]).any():
            raise ValueError("poison")
        return tensors["x"] + 1 + self.off


class Machine:
    """Makes the backends of a list one after another; an exception in it is raised. Time passes only in waits."""

    def __init__(self, *backends):
        self._left = list(backends)
        self.now = 1000.0
        self.waits = []
        self.may_restart = threading.Semaphore(0)

    def build(self):
        backend = self._left.pop(0)
        if isinstance(backend, Exception):
            raise backend
        return backend

    def wait(self, closing, seconds):
        self.waits.append(seconds)
        while not closing.is_set():
            if self.may_restart.acquire(timeout=0.01):
                self.now += seconds
                break
        return closing.is_set()


@pytest.fixture
def supervised(request, caplog):
    caplog.set_level(logging.CRITICAL, logger="simila.backends")

    def start(machine, **options):
        backend = SupervisedBackend(
            NAME, machine.build, CANARY, clock=lambda: machine.now, wait=machine.wait, **options
        )
        request.addfinalizer(backend.close)
        return backend

    return start


def until(condition):
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def is_up(backend):
    try:
        return backend.run(GOOD) is not None
    except NotReady:
        return False


def restart_threads():
    return [thread for thread in threading.enumerate() if thread.name == f"restart-{NAME}"]


def test_a_good_run_costs_no_canary(supervised):
    fake = Fake()
    backend = supervised(Machine(fake))
    for _ in range(10):
        np.testing.assert_array_equal(backend.run(GOOD), GOOD["x"] + 1)
    assert fake.runs == 1 + 10, "one canary at the start"


def test_an_error_of_the_batch_is_raised_as_it_is_and_the_backend_goes_on(supervised):
    fake = Fake()
    backend = supervised(Machine(fake))
    with pytest.raises(ValueError, match="poison"):
        backend.run(POISON)
    assert fake.runs == 3, "the canary at the start, the batch, the canary"
    assert is_up(backend)
    assert restart_threads() == []


@pytest.mark.parametrize(
    ("dead", "off", "reason"),
    [
        (RuntimeError("CUDA failure 700"), 0.0, "RuntimeError: CUDA failure 700"),
        (BackendDied("the device is gone"), 0.0, "BackendDied: the device is gone"),
        (None, 0.5, "it gives other vectors than were expected"),
        (None, np.nan, "it gives other vectors than were expected"),
    ],
)
def test_a_dead_backend_refuses_at_once_with_the_reason_and_is_replaced(supervised, dead, off, reason):
    first, second = Fake(), Fake()
    machine = Machine(first, second)
    backend = supervised(machine)
    first.dead, first.off = dead, off
    for _ in range(3):
        with pytest.raises(NotReady) as refused:
            backend.run(POISON)
        assert refused.value.message.startswith(f"{NAME} is down and is restarted in 0.1 s: ")
        assert refused.value.message.endswith(reason)
    runs = first.runs
    machine.may_restart.release()
    until(lambda: is_up(backend))
    assert first.runs == runs, "the dead one is not asked again"
    until(lambda: not restart_threads())


def test_backend_died_needs_no_canary(supervised):
    first = Fake()
    backend = supervised(Machine(first, Fake()))
    first.dead = BackendDied("gone")
    with pytest.raises(NotReady):
        backend.run(GOOD)
    assert first.runs == 2


@pytest.mark.parametrize("error", [Overloaded("the queue is full"), DeadlineExceeded("nobody waits")])
def test_an_error_of_the_moment_says_nothing_about_the_backend(supervised, error):
    fake = Fake()
    backend = supervised(Machine(fake))
    fake.dead = error
    with pytest.raises(type(error)) as raised:
        backend.run(GOOD)
    assert raised.value is error
    assert fake.runs == 2, "the canary at the start, the batch"
    fake.dead = None
    assert is_up(backend)


def test_a_server_that_is_down_is_called_so_until_it_is_back(supervised):
    first, down = Fake(), InferenceServerDown("Triton at example:8001: connection refused")
    machine = Machine(first, down, RuntimeError("another fault"), Fake())
    backend = supervised(machine)
    first.dead = down
    for expected in (InferenceServerDown, InferenceServerDown, NotReady):
        with pytest.raises(NotReady) as refused:
            backend.run(GOOD)
        assert type(refused.value) is expected
        waits = len(machine.waits)
        machine.may_restart.release()
        until(lambda waits=waits: len(machine.waits) > waits or is_up(backend))
    assert first.runs == 2, "no canary"
    until(lambda: is_up(backend))


def test_restarts_wait_twice_as_long_each_time_and_say_why(supervised):
    first = Fake()
    gone = OSError("no device")
    machine = Machine(first, gone, Fake(dead=gone), Fake(off=1.0), *[gone] * 7, Fake())
    backend = supervised(machine)
    first.dead = gone
    assert not is_up(backend)
    for _ in range(10):
        machine.may_restart.release()
    until(lambda: len(machine.waits) == 11)
    with pytest.raises(NotReady, match="OSError: no device"):
        backend.run(GOOD)
    machine.may_restart.release()
    until(lambda: is_up(backend))
    longest = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    assert len(machine.waits) == 11
    assert all(most / 2 <= wait <= most for wait, most in zip(machine.waits, longest, strict=True))


@pytest.mark.parametrize(("up_seconds", "longest"), [(1.0, 0.2), (31.0, 0.1)])
def test_a_backend_that_dies_again_soon_waits_longer(supervised, up_seconds, longest):
    first, second = Fake(), Fake()
    machine = Machine(first, second, Fake())
    backend = supervised(machine)
    first.dead = second_death = BackendDied("gone")
    assert not is_up(backend)
    machine.may_restart.release()
    until(lambda: is_up(backend))
    machine.now += up_seconds
    second.dead = second_death
    assert not is_up(backend)
    until(lambda: len(machine.waits) == 2)
    assert longest / 2 <= machine.waits[1] <= longest


def test_threads_that_fail_together_restart_it_once(supervised):
    first = Fake()
    machine = Machine(first, Fake())
    backend = supervised(machine)
    together = threading.Barrier(8)
    real_run = first.run

    def run(tensors):
        if tensors is GOOD:
            together.wait(TIMEOUT_SECONDS)
            first.dead = RuntimeError("gone")
        return real_run(tensors)

    first.run = run
    refusals = []

    def ask():
        with pytest.raises(NotReady) as refused:
            backend.run(GOOD)
        refusals.append(refused.value)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    assert len(refusals) == 8
    assert len(machine.waits) == 1
    assert len(restart_threads()) == 1


def test_a_poison_batch_of_the_old_backend_does_not_kill_the_new_one(supervised):
    """A thread whose run fails after another thread has seen to the restart finds nothing left to do."""
    first, second = Fake(), Fake()
    machine = Machine(first, second)
    backend = supervised(machine)
    entered, go_on = threading.Event(), threading.Event()

    def slow_run(_):
        entered.set()
        assert go_on.wait(TIMEOUT_SECONDS)
        raise BackendDied("gone")

    refused = []
    first.run = slow_run
    late = threading.Thread(target=lambda: refused.append(is_up(backend)))
    late.start()
    assert entered.wait(TIMEOUT_SECONDS)
    first.run = Fake(dead=BackendDied("gone")).run
    assert not is_up(backend)
    machine.may_restart.release()
    until(lambda: is_up(backend))
    go_on.set()
    late.join(TIMEOUT_SECONDS)
    assert refused == [False]
    assert is_up(backend)
    assert len(machine.waits) == 1


def test_closing_ends_the_thread_that_restarts(supervised):
    first = Fake()
    machine = Machine(first)
    backend = supervised(machine)
    first.dead = BackendDied("gone")
    assert not is_up(backend)
    assert len(restart_threads()) == 1
    backend.close()
    assert restart_threads() == []
    assert not is_up(backend)


def test_a_closed_one_lets_go_of_its_backend_and_refuses():
    left = [Fake()]
    reference = weakref.ref(left[0])
    backend = SupervisedBackend(NAME, left.pop, CANARY)
    assert reference() is not None
    backend.close()
    assert reference() is None
    with pytest.raises(NotReady, match="it is closed"):
        backend.run(GOOD)


def test_with_known_vectors_a_server_that_is_down_at_first_is_restarted(supervised):
    machine = Machine(InferenceServerDown("Triton at example:8001: connection refused"), Fake(off=0.5), Fake())
    backend = supervised(machine, expected=CANARY["x"] + 1)
    with pytest.raises(InferenceServerDown, match=r"is down and is restarted in .* connection refused"):
        backend.run(GOOD)
    for reason in ("other vectors", None):
        machine.may_restart.release()
        until(lambda reason=reason: reason in str(backend._not_ready()) if reason else is_up(backend))


def test_without_known_vectors_it_is_an_error(supervised):
    with pytest.raises(InferenceServerDown):
        supervised(Machine(InferenceServerDown("down")))
    assert restart_threads() == []


def test_a_device_that_gives_other_vectors_than_the_first_is_refused(supervised):
    with pytest.raises(ModelError, match="cannot run beside the others: it gives other vectors"):
        supervised(Machine(Fake(off=0.5)), expected=supervised(Machine(Fake())).expected)
    assert is_up(supervised(Machine(Fake()), expected=CANARY["x"] + 1))


def test_a_dead_backend_is_closed_by_the_thread_that_restarts_it_and_the_last_one_on_closing(supervised):
    closed = []

    class Closable(Fake):
        def close(self):
            closed.append((self, threading.current_thread().name))
            raise OSError("the connection is gone")

    first, second = Closable(), Closable()
    machine = Machine(first, second)
    backend = supervised(machine)
    first.dead = BackendDied("gone")
    assert not is_up(backend)
    machine.may_restart.release()
    until(lambda: is_up(backend))
    assert closed == [(first, f"restart-{NAME}")]
    backend.close()
    assert closed[1:] == [(second, threading.current_thread().name)]


def test_closing_does_not_wait_for_a_canary_that_hangs(supervised):
    first, second = Fake(), Fake()
    machine = Machine(first, second)
    backend = supervised(machine)
    hangs, given_up = threading.Event(), threading.Event()

    def hang(_):
        hangs.set()
        until(nobody_waits.get())
        given_up.set()
        raise InferenceServerDown("given up")

    first.dead, second.run = BackendDied("gone"), hang
    assert not is_up(backend)
    machine.may_restart.release()
    assert hangs.wait(TIMEOUT_SECONDS)
    backend.close()
    assert given_up.is_set()
    assert restart_threads() == []


def test_with_the_real_clock_it_is_back_within_a_moment(caplog):
    caplog.set_level(logging.WARNING, logger="simila.backends")
    first = Fake()
    machine = Machine(first, OSError("not yet"), Fake())
    backend = SupervisedBackend(NAME, machine.build, CANARY, backoff=Backoff(first_seconds=0.01))
    first.dead = BackendDied("gone")
    assert not is_up(backend)
    until(lambda: is_up(backend))
    backend.close()
    messages = [record.message for record in caplog.records if record.name == "simila.backends"]
    assert messages == [
        f"{NAME} died and will be restarted: BackendDied: gone",
        f"{NAME} could not be restarted: OSError: not yet",
        f"{NAME} is restarted",
    ]


@pytest.mark.parametrize("broken", [OSError("no file"), Fake(dead=OSError("no file"))])
def test_what_cannot_start_at_all_is_not_restarted(broken):
    with pytest.raises(OSError, match="no file"):
        SupervisedBackend(NAME, Machine(broken).build, CANARY)
    assert restart_threads() == []
