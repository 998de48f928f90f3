"""Runs side by side, captures alone; and which of a bound session's batches are which."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import onnxruntime
import pytest

from simila.backends.bound_session import BoundSession
from simila.backends.capture_gate import CaptureGate
from simila.backends.shape_buckets import ShapeBuckets
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from tiny_encoders import DIMENSION, TinyEncoder

PATIENCE_SECONDS = 60


def test_runs_go_side_by_side():
    gate, both = CaptureGate(), threading.Barrier(2)

    def run():
        with gate.run():
            return both.wait(PATIENCE_SECONDS)  # neither is over before both have begun

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(run) for _ in range(2)]
        assert {one.result(PATIENCE_SECONDS) for one in runs} == {0, 1}


def test_a_capture_waits_for_runs_and_later_runs_and_captures_wait_for_it():
    gate, order = CaptureGate(), []

    def enter(name, way):
        with way():
            order.append(name)

    with ThreadPoolExecutor(3) as pool:
        with gate.run():
            capture = pool.submit(enter, "capture", gate.capture)
            while not gate._is_capturing:
                assert not capture.done()
            late = [pool.submit(enter, "run", gate.run), pool.submit(enter, "other capture", gate.capture)]
            assert order == []
        for one in (capture, *late):
            one.result(PATIENCE_SECONDS)
    assert order[0] == "capture"
    assert set(order) == {"capture", "run", "other capture"}


def test_what_fails_within_lets_others_in():
    gate = CaptureGate()
    for way in (gate.run, gate.capture):
        with pytest.raises(KeyError), way():
            raise KeyError
    with gate.capture():
        pass


class Recorder(CaptureGate):
    """What was let in, and how."""

    def __init__(self):
        super().__init__()
        self.seen = []

    @contextmanager
    def run(self):
        self.seen.append("run")
        yield

    @contextmanager
    def capture(self):
        self.seen.append("capture")
        yield


class Flaky:
    """A session whose next run fails, and which knows the threads of its runs."""

    def __init__(self, session):
        self.session = session
        self.threads = set()
        self.fails = False

    def __getattr__(self, name):
        return getattr(self.session, name)

    def run_with_iobinding(self, io, options):
        self.threads.add(threading.get_ident())
        if self.fails:
            self.fails = False
            raise RuntimeError("the capture was spoilt")
        self.session.run_with_iobinding(io, options)


@pytest.fixture
def bound(tmp_path):
    """A bound session of a tiny encoder on the host, with or without graphs."""
    manifest = TinyEncoder("tiny", 1).export(tmp_path)
    onnx = ModelRepository(tmp_path / "models").tower("tiny", Modality.TEXT).onnx
    buckets = ShapeBuckets.of_tower(manifest, Modality.TEXT, 4)

    def make(*, graphs):
        session, gate = Flaky(onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])), Recorder()
        return BoundSession(session, "embedding", DIMENSION, buckets, "cpu", 0, graphs=graphs, gate=gate), session, gate

    return make


def batch(rows, tokens):
    return {"input_ids": np.ones((rows, tokens), np.int64), "attention_mask": np.ones((rows, tokens), np.int64)}


def test_the_first_batch_of_a_bucket_captures_and_larger_ones_never_do(bound):
    session, _, gate = bound(graphs=True)
    for rows, tokens in [(1, 5), (1, 9), (1, 17), (3, 5), (4, 16), (1, 16), (9, 5)]:
        session.run(batch(rows, tokens))
    assert gate.seen == ["capture", "run", "capture", "capture", "run", "run", "run"]


def test_without_graphs_nothing_is_captured(bound):
    session, _, gate = bound(graphs=False)
    session.run(batch(1, 5))
    assert gate.seen == ["run"]


def test_a_capture_that_failed_is_tried_again(bound):
    session, inner, gate = bound(graphs=True)
    inner.fails = True
    with pytest.raises(RuntimeError, match="the capture was spoilt"):
        session.run(batch(1, 5))
    expected = TinyEncoder("tiny", 1).vector("green")
    np.testing.assert_allclose(session.run(batch(1, 5))[0], expected, atol=1e-6)
    assert gate.seen == ["capture", "capture"]


def test_all_batches_run_in_one_thread_whoever_sends_them(bound):
    session, inner, _ = bound(graphs=True)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(session.run, [batch(1, 5)] * 9))
    assert len(inner.threads) == 1
    assert threading.get_ident() not in inner.threads


def test_closing_lets_go_of_the_session_as_a_run(bound):
    session, _, gate = bound(graphs=True)
    session.run(batch(1, 5))
    for _ in range(2):
        session.close()
    assert gate.seen == ["capture", "run", "run"]
    assert session._session is None
    assert session._bindings == {}
