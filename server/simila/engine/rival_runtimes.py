"""Which runtimes may take the reference's place on this machine."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simila.backends import Backend, Runtime, TowerGraph
from simila.backends.onnx_runtime import CpuRuntime
from simila.domain.errors import ModelError

logger = logging.getLogger("simila.engine")


def agreeing(
    rivals: Mapping[str, Runtime], graph: TowerGraph, batches: Sequence[Mapping[str, NDArray[Any]]]
) -> dict[str, Runtime]:
    """Those of `rivals` that give the vectors of ONNX Runtime on the CPU, as near as the manifest demands."""
    reference = CpuRuntime().start(graph, 0, 1)
    found = {}
    for word, runtime in rivals.items():
        try:
            lowest = _lowest_cosine(runtime.start(graph, 0, 1), reference, batches)
        except ModelError as error:
            logger.info("%s is not measured on %s: %s", graph.files.folder.name, word, error.message)
            continue
        if lowest >= graph.manifest.parity_floor:
            found[word] = runtime
        else:
            logger.info("%s is not measured on %s: cosine %.6f", graph.files.folder.name, word, lowest)
    return found


def _lowest_cosine(rival: Backend, reference: Backend, batches: Sequence[Mapping[str, NDArray[Any]]]) -> float:
    return min(float(np.einsum("nd,nd->n", rival.run(batch), reference.run(batch)).min()) for batch in batches)
