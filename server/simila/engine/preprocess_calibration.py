"""Measure how many threads should prepare inputs while the models run: both want the same cores."""

import threading
from collections.abc import Callable
from itertools import count
from statistics import median
from time import perf_counter

ROUNDS = 3
AS_GOOD_AS_THE_BEST = 0.97  # wins with fewer threads, because they leave the cores to the models


def preprocess_threads(prepare: Callable[[int], object], run_models: Callable[[], float], cores: int) -> int:
    """The fewest threads with which a server would answer as much as with any number up to one a core.

    Args:
        prepare: makes the input of this number ready.
        run_models: runs batches for a while, in the layout that was chosen, and returns their rows a second.
        cores: as many threads are tried at most.

    """
    candidates = [threads for threads in range(1, cores + 1) if threads == cores or threads & (threads - 1) == 0]
    if len(candidates) == 1:
        return cores
    rounds = [
        {threads: answered_per_second(prepare, run_models, threads) for threads in candidates} for _ in range(ROUNDS)
    ]
    rates = {threads: median(one[threads] for one in rounds) for threads in candidates}
    return next(threads for threads in candidates if rates[threads] >= AS_GOOD_AS_THE_BEST * max(rates.values()))


def answered_per_second(prepare: Callable[[int], object], run_models: Callable[[], float], threads: int) -> float:
    """What the slower of the two stages does while they run side by side."""
    finished = threading.Event()
    prepared = [0] * threads

    def work(number: int) -> None:
        for entry in count(number, threads):
            if finished.is_set():
                return
            prepare(entry)
            prepared[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    began_at = perf_counter()
    for worker in workers:
        worker.start()
    try:
        run_per_second = run_models()
    finally:
        seconds = perf_counter() - began_at
        finished.set()
        for worker in workers:
            worker.join()
    return min(run_per_second, sum(prepared) / seconds)
