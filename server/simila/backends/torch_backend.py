"""A torch program at work. Imported only by `device = torch`: the server itself never needs torch."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.export.passes import move_to_device_pass

from simila.backends import TowerGraph
from simila.backends.cuda import MOST_GRAPH_ROWS
from simila.backends.shape_buckets import ShapeBuckets, Tensors, padded
from simila.domain.errors import ModelError
from simila.domain.vectors import Float32


def has_cuda() -> bool:
    return torch.cuda.is_available()


class TorchBackend:
    """Runs the exported program, `compiled` or as it is, in a thread of its own: CUDA graphs belong to one.

    Raises:
        ModelError: the program cannot be loaded.

    """

    def __init__(self, graph: TowerGraph, device: str, *, compiled: bool) -> None:
        self._device = torch.device(device)
        self._buckets = ShapeBuckets.of_tower(graph.manifest, graph.modality, MOST_GRAPH_ROWS)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"torch-{graph.files.folder.name}")
        try:
            self._in_bucket, self._larger = self._thread.submit(self._load, graph, compiled).result()
        except Exception as error:  # torch raises whatever it comes across
            raise ModelError(f"torch cannot load {graph.files.torch_program}: {error}") from error

    def run(self, tensors: Tensors) -> Float32:
        return self._thread.submit(self._run, tensors).result()

    def _load(self, graph: TowerGraph, compiled: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """How batches of a bucket are run, and larger ones: to compile anew for each of their sizes takes too long."""
        program = move_to_device_pass(torch.export.load(graph.files.torch_program), self._device)
        run: Callable[..., Any] = program.module()
        if not compiled:
            return run, run
        shapes = len(self._buckets.rows) * max(1, len(self._buckets.tokens))  # torch stops compiling after 8
        compile_shapes = partial(torch.compile, recompile_limit=shapes)  # which its overloads do not know yet
        return compile_shapes(run, mode="reduce-overhead", dynamic=False), run

    def _run(self, tensors: Tensors) -> Float32:
        rows = len(next(iter(tensors.values())))
        bucket = self._buckets.smallest(tensors)
        batch, module = (padded(tensors, bucket), self._in_bucket) if bucket else (tensors, self._larger)
        with torch.inference_mode():
            inputs = [torch.from_numpy(np.ascontiguousarray(tensor)).to(self._device) for tensor in batch.values()]
            vectors: Float32 = module(*inputs).float().cpu().numpy()[:rows]
        return vectors.copy()
