"""Rows a second of an encoder's towers on several devices, which take turns in one run.

    python tests/benchmarks/devices.py all-minilm-l6-v2 --device cpu --device cuda --device torch

`torch` is torch.compile in CUDA graphs. Each device must have what it needs, see `simila models build`. Batches are as
large as the server makes them there, and rows go from host memory to vectors in host memory.
"""

import argparse
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from simila.backends import Backend, TowerGraph
from simila.backends.device_choice import Choice, choose_devices
from simila.backends.least_loaded import LeastLoadedBackend
from simila.backends.registry import runtimes
from simila.backends.triton import TritonOptions
from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository
from simila.engine.calibration import rows_per_second
from simila.engine.cores import usable_cores
from simila.engine.tuning import Tuning, accelerator_tuning, tuning_for
from simila.engine.workloads import workload_of
from simila.settings import Settings
from simila_models.catalogue import find_manifest

ROUNDS = 5
ROWS = 512


@dataclass(frozen=True)
class Candidate:
    """A tower on a device, with batches as the server would make them there."""

    device: Choice
    backend: Backend
    worker_threads: int
    batches: Sequence[Any]

    def rows_per_second(self) -> float:
        return rows_per_second(self.backend, self.batches, self.worker_threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("--device", action="append", required=True)
    parser.add_argument("--rows", type=int, default=ROWS)
    arguments = parser.parse_args()
    settings = Settings()
    manifest = find_manifest(arguments.encoder, [settings.manifests_dir])
    repository = ModelRepository(settings.models_dir)
    say(f"{usable_cores()} cores, {platform.machine()}; rows a second, median of {ROUNDS} rounds of {arguments.rows}")
    for modality in manifest.modalities:
        files = repository.exported_tower(manifest, modality)
        graph = TowerGraph(manifest, modality, files, files.onnx)
        candidates = [candidate(graph, device, arguments.rows) for device in arguments.device]
        rounds = [[one.rows_per_second() for one in candidates] for _ in range(ROUNDS)]
        reference = candidates[0].backend.run(candidates[0].batches[0])
        for one, rates in zip(candidates, zip(*rounds, strict=True), strict=True):
            cosine = np.einsum("nd,nd->n", reference, one.backend.run(candidates[0].batches[0])).min()
            say(f"{modality:6} {one.device!s:50} {median(rates):10.0f}   lowest cosine to the first {cosine:.6f}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def candidate(graph: TowerGraph, device: str, rows: int) -> Candidate:
    """Start a tower and run every batch once, so that nothing is captured or compiled while it is measured."""
    choice = choose_devices(device, runtimes(TritonOptions())).for_tower(graph)
    tuning = tuning_of(graph, choice)
    backends = [choice.runtime.start(graph, number, tuning.threads_per_run) for number in choice.labels]
    backend = backends[0] if len(backends) == 1 else LeastLoadedBackend(backends)
    budget = tuning.max_batch_tokens if graph.modality is Modality.TEXT else tuning.max_batch_items
    batches = workload_of(graph.manifest, graph.modality, graph.files).batches(rows, budget)
    for batch in batches * len(backends):
        backend.run(batch)
    return Candidate(choice, backend, tuning.worker_threads, batches)


def tuning_of(graph: TowerGraph, choice: Choice) -> Tuning:
    if choice.runtime.uses_host_cores:
        return tuning_for(graph.files, graph.modality, usable_cores())
    return accelerator_tuning(graph.modality, len(choice.labels))


if __name__ == "__main__":
    main()
