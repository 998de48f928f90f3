"""Choices on measurements that are given, and one real calibration that is short."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from simila.backends.onnx_runtime import CpuRuntime
from simila.domain.errors import ModelError
from simila.domain.manifest import Modality
from simila.engine import calibration as calibration_module
from simila.engine.calibration import (
    FINAL_ROUNDS,
    FIRST_ROUNDS,
    Candidate,
    Measured,
    calibrate,
    choose,
    measure,
    rows_per_second,
    thread_layouts,
)
from simila.engine.tuning import keep_tuning, tuning_for
from simila.engine.workloads import cut, text_lengths, workload_of
from simila_models.catalogue import bundled_manifests

LITE0, MINILM = "efficientnet-lite0", "all-minilm-l6-v2"


def measured(budget, *rounds):
    return Measured(Candidate(2, 1, budget), list(rounds))


def ignore_steps(done, total):
    pass


@pytest.mark.parametrize(
    ("cores", "layouts"),
    [
        (1, [(1, 1)]),
        (2, [(2, 1), (1, 2)]),
        (6, [(6, 1), (3, 2), (1, 6)]),
        (8, [(8, 1), (4, 2), (2, 4), (1, 8)]),
    ],
)
def test_layouts_reach_from_one_thread_a_run_to_one_run(cores, layouts):
    assert thread_layouts(cores) == layouts


def test_the_best_median_wins_over_the_best_round():
    lucky, steady = measured(8, 90, 300, 80), measured(16, 110, 120, 100)
    assert choose([lucky, steady]) is steady


def test_of_those_within_three_percent_the_smallest_batch_wins():
    small, large, largest = measured(4, 96.9), measured(8, 97.1), measured(16, 100.0)
    assert choose([small, large, largest]) is large


def test_of_equal_batches_the_faster_layout_wins():
    one, other = measured(8, 98), measured(8, 100)
    assert choose([one, other]) is other


def test_who_was_not_in_the_final_rounds_cannot_win():
    early, finalist = measured(4, 200, 200), measured(8, 100, 100, 100)
    assert choose([early, finalist]) is finalist


def test_climbing_ends_where_larger_batches_are_slow():
    speeds = {1: 110.0, 4: 120.0, 8: 85.0, 16: 200.0}
    levels = [[Candidate(2, 1, budget)] for budget in speeds]
    tried = {**{one.candidate.budget: one.rounds for one in measure(levels, lambda c: speeds[c.budget], ignore_steps)}}
    assert tried == {
        1: [110.0] * (FIRST_ROUNDS + FINAL_ROUNDS),
        4: [120.0] * (FIRST_ROUNDS + FINAL_ROUNDS),
        8: [85.0] * FIRST_ROUNDS,
    }


def test_steps_reach_their_total():
    steps = []
    measure([[Candidate(1, 1, 1)], [Candidate(1, 1, 4)]], lambda _: 1.0, lambda *step: steps.append(step))
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]


class Timed(threading.local):
    """A row takes a hundredth of a second, on a clock of each thread's own."""

    seconds = 0.0

    def run(self, tensors):
        self.seconds += 0.01 * len(tensors["x"])


def test_throughput_counts_the_rows_of_all_workers(monkeypatch):
    backend = Timed()
    monkeypatch.setattr(calibration_module, "perf_counter", lambda: backend.seconds)
    batches = [{"x": np.zeros((rows, 1))} for rows in (1, 2, 3)]
    assert rows_per_second(backend, batches, worker_threads=4) == pytest.approx(400)


def test_lengths_of_texts_are_those_of_real_ones():
    lengths = np.array(text_lengths(1000))
    assert np.median(lengths) == 20
    assert 26 <= lengths.mean() <= 29
    assert (lengths.min(), lengths.max() > 256) == (3, True)


def test_batches_are_cut_by_items_and_by_padded_length():
    assert cut([3, 3, 4, 10, 30], max_items=2, max_padded_length=20) == [[3, 3], [4, 10], [30]]
    assert cut([1] * 5, max_items=4, max_padded_length=4) == [[1, 1, 1, 1], [1]]


@pytest.mark.parametrize("budget", [128, 512])
def test_texts_to_measure_with_fill_the_budget_and_are_masked(exported_repository, budget):
    manifest = bundled_manifests()[MINILM]
    files = exported_repository.tower(MINILM, Modality.TEXT)
    batches = workload_of(manifest, Modality.TEXT, files).batches(64, budget)
    masks = [batch[manifest.text.mask_name] for batch in batches]
    assert 40 <= sum(map(len, masks)) <= 90
    for batch, mask in zip(batches, masks, strict=True):
        ids = batch[manifest.text.ids_name]
        assert mask.size <= max(budget, manifest.text.context_length_tokens)
        assert mask[-1].all(), "the longest text is not padded"
        np.testing.assert_array_equal(ids > 0, mask == 1)
    assert np.median([mask.size for mask in masks]) > 0.7 * budget


def test_a_real_calibration_is_kept_and_found(copied_tower, monkeypatch):
    monkeypatch.setitem(calibration_module.BUDGETS, Modality.IMAGE, (1, 2))
    monkeypatch.setattr(calibration_module, "FEWEST_ROWS", 2)
    files = copied_tower(LITE0, Modality.IMAGE)
    calibration = calibrate(
        bundled_manifests()[LITE0], Modality.IMAGE, files, cores=2, on_step=ignore_steps, seconds=0.01
    )
    tuning = calibration.tuning
    assert {(2, 1), (1, 2)} == {(m.candidate.worker_threads, m.candidate.threads_per_run) for m in calibration.measured}
    assert (tuning.cores, tuning.worker_threads * tuning.threads_per_run) == (2, 2)
    assert tuning.max_batch_items == calibration.chosen.candidate.budget
    assert tuning.rows_per_second == pytest.approx(calibration.chosen.rows_per_second, abs=0.1)
    assert tuning.rows_per_second > 1
    assert tuning.preprocess_threads in (1, 2)
    keep_tuning(files, tuning)
    assert tuning_for(files, Modality.IMAGE, cores=2) == tuning


class Rival:
    """ONNX Runtime under another name, with vectors turned by `angle` from the reference's."""

    uses_host_cores = True

    def __init__(self, angle=0.0, error=None):
        self.angle, self.error = angle, error

    def start(self, graph, device_number, threads):
        if self.error:
            raise self.error
        backend = CpuRuntime().start(graph, device_number, threads)
        turn = np.eye(384, dtype=np.float32)
        turn[:2, :2] = [[np.cos(self.angle), -np.sin(self.angle)], [np.sin(self.angle), np.cos(self.angle)]]
        return SimpleNamespace(run=lambda tensors: backend.run(tensors) @ turn)


def test_a_rival_is_measured_only_if_it_gives_the_references_vectors(exported_repository, monkeypatch):
    monkeypatch.setitem(calibration_module.BUDGETS, Modality.TEXT, (64,))
    files = exported_repository.tower(MINILM, Modality.TEXT)
    rivals = {"same": Rival(), "turned": Rival(angle=1.5), "broken": Rival(error=ModelError("no such operator"))}
    calibration = calibrate(
        bundled_manifests()[MINILM], Modality.TEXT, files, 1, rivals=rivals, on_step=ignore_steps, seconds=0.01
    )
    assert {one.candidate.runtime for one in calibration.measured} == {"cpu", "same"}
    assert calibration.tuning.runtime == calibration.chosen.candidate.runtime
