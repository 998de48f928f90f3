"""Measure which layout of threads and which size of a batch give most rows a second on this machine.

Budgets are tried from the smallest up until doubling one has made all layouts slower. Those near the best then take
turns in further rounds, so that a noisy neighbour disturbs all alike, as in successive halving (Jamieson and Talwalkar
2016).
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from statistics import fmean, median
from threading import Barrier
from time import perf_counter

from simila.backends import Backend, Runtime, TowerGraph
from simila.backends.onnx_runtime import CpuRuntime
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import TowerFiles
from simila.engine.preprocess_calibration import preprocess_threads
from simila.engine.rival_runtimes import agreeing
from simila.engine.tuning import Tuning, batch_limits
from simila.engine.workloads import Batch, Workload, workload_of

BUDGETS: Mapping[Modality, tuple[int, ...]] = {
    Modality.TEXT: (256, 512, 1024, 2048),  # padded tokens
    Modality.IMAGE: (1, 4, 8, 16, 32),
}
SECONDS = 4.0  # of calibration a tower, about
FEWEST_ROWS, MOST_ROWS = 16, 512
FIRST_ROUNDS, FINAL_ROUNDS = 2, 3
NEAR_THE_BEST = 0.85  # may turn out to be the best: rounds on a shared machine differ as much
REFERENCE = "cpu"
AS_GOOD_AS_THE_BEST = 0.97  # wins if its batch is smaller, because others wait less for it


@dataclass(frozen=True)
class Candidate:
    """Threads that run batches side by side, threads within each run, padded tokens or images of a batch, a runtime."""

    worker_threads: int
    threads_per_run: int
    budget: int
    runtime: str = REFERENCE


@dataclass(frozen=True)
class Measured:
    """A candidate and its rows a second, round by round."""

    candidate: Candidate
    rounds: list[float] = field(default_factory=list)

    @property
    def rows_per_second(self) -> float:
        return median(self.rounds)


@dataclass(frozen=True)
class Calibration:
    """All that was measured of a tower, which of it was chosen, and what follows for the server."""

    measured: Sequence[Measured]
    chosen: Measured
    tuning: Tuning


def calibrate(
    manifest: Manifest,
    modality: Modality,
    files: TowerFiles,
    cores: int,
    *,
    rivals: Mapping[str, Runtime] = {},
    on_step: Callable[[int, int], None],
    seconds: float = SECONDS,
) -> Calibration:
    """Measure a tower for about `seconds`; `on_step` is told how many of how many steps are done.

    `rivals` are measured beside ONNX Runtime on the CPU, as far as they give its vectors.

    Raises:
        ModelError: the graph or the tokenizer cannot be loaded.

    """
    workload = workload_of(manifest, modality, files)
    graph, layouts, budgets = (
        TowerGraph(manifest, modality, files, files.onnx),
        thread_layouts(cores),
        BUDGETS[modality],
    )
    words = {REFERENCE: CpuRuntime(), **agreeing(rivals, graph, workload.batches(FEWEST_ROWS, budgets[0]))}
    backends = {(word, each): words[word].start(graph, 0, each) for word in words for _, each in layouts}
    turn_seconds = seconds / (FIRST_ROUNDS + 1) / (len(backends) * len(budgets))
    rows = _affordable_rows(backends[REFERENCE, 1], workload, budgets[0], turn_seconds)

    @cache
    def warm(word: str, threads: int, budget: int) -> list[Batch]:
        """Batches that the backend has run once: some compile a kernel for every new shape."""
        batches = workload.batches(rows, budget)
        for batch in batches:
            backends[word, threads].run(batch)
        return batches

    def run(candidate: Candidate) -> float:
        which = (candidate.runtime, candidate.threads_per_run)
        return rows_per_second(backends[which], warm(*which, candidate.budget), candidate.worker_threads)

    levels = [[Candidate(*layout, budget, word) for layout in layouts for word in words] for budget in budgets]
    measured = measure(levels, run, on_step)
    best = choose(measured)
    feeders = preprocess_threads(workload.prepare, partial(run, best.candidate), cores)
    return Calibration(measured, best, _tuning(best, modality, cores, feeders))


def _tuning(best: Measured, modality: Modality, cores: int, preprocess_threads: int) -> Tuning:
    items, tokens = batch_limits(modality, best.candidate.budget)
    return Tuning(
        cores=cores,
        worker_threads=best.candidate.worker_threads,
        threads_per_run=best.candidate.threads_per_run,
        max_batch_items=items,
        max_batch_tokens=tokens,
        rows_per_second=round(best.rows_per_second, 1),
        preprocess_threads=preprocess_threads,
        runtime=best.candidate.runtime,
    )


def thread_layouts(cores: int) -> list[tuple[int, int]]:
    """Pairs of workers and threads of each run that together fill the cores, from one thread a run to one run."""
    threads = [2**power for power in range(cores.bit_length()) if cores % 2**power == 0]
    return [(cores // each, each) for each in sorted({*threads, cores})]


def measure(
    levels: Sequence[Sequence[Candidate]], run: Callable[[Candidate], float], on_step: Callable[[int, int], None]
) -> list[Measured]:
    """Climb from level to level while one of its candidates is near the best; run those near the best again."""
    measured: list[Measured] = []
    for done, level in enumerate(levels):
        on_step(done, len(levels) + 1)
        tried = [Measured(candidate) for candidate in level]
        _take_turns(tried, FIRST_ROUNDS, run)
        measured += tried
        if not any(one in tried for one in near_the_best(measured)):
            break
    on_step(len(levels), len(levels) + 1)
    _take_turns(near_the_best(measured), FINAL_ROUNDS, run)
    on_step(len(levels) + 1, len(levels) + 1)
    return measured


def near_the_best(measured: Sequence[Measured]) -> list[Measured]:
    least = NEAR_THE_BEST * max(one.rows_per_second for one in measured)
    return [one for one in measured if one.rows_per_second >= least]


def choose(measured: Sequence[Measured]) -> Measured:
    """The fastest of those that went through all rounds, or one almost as fast with a smaller batch."""
    rounds = max(len(one.rounds) for one in measured)
    finalists = [one for one in measured if len(one.rounds) == rounds]
    least = AS_GOOD_AS_THE_BEST * max(one.rows_per_second for one in finalists)
    good = (one for one in finalists if one.rows_per_second >= least)
    return min(good, key=lambda one: (one.candidate.budget, -one.rows_per_second))


def rows_per_second(backend: Backend, batches: Sequence[Batch], worker_threads: int) -> float:
    """Throughput of workers of which each runs all batches, beginning at another, so that all are busy to the end."""
    together = Barrier(worker_threads)

    def work(number: int) -> float:
        start = number * len(batches) // worker_threads
        together.wait()
        began_at = perf_counter()
        for batch in (*batches[start:], *batches[:start]):
            backend.run(batch)
        return perf_counter() - began_at

    with ThreadPoolExecutor(worker_threads) as pool:
        seconds = fmean(pool.map(work, range(worker_threads)))
    return worker_threads * sum(map(_rows, batches)) / seconds


def _take_turns(candidates: Sequence[Measured], rounds: int, run: Callable[[Candidate], float]) -> None:
    for one in [*candidates] * rounds:
        one.rounds.append(run(one.candidate))


def _affordable_rows(backend: Backend, workload: Workload, budget: int, seconds: float) -> int:
    """How many rows one thread runs in a turn of so many seconds."""
    batches = workload.batches(FEWEST_ROWS, budget)
    backend.run(batches[0])  # the first run allocates
    return min(MOST_ROWS, max(FEWEST_ROWS, int(seconds * rows_per_second(backend, batches, worker_threads=1))))


def _rows(batch: Batch) -> int:
    return len(next(iter(batch.values())))
