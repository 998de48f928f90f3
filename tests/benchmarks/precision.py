"""Compare the precisions that a text encoder is exported in, OpenVINO, and ONNX Runtime's transformer optimiser.

    python tests/benchmarks/precision.py all-minilm-l6-v2 --data-dir FOLDER

Every variant runs the same batches on one thread; they take turns, and the median of their processor times counts.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model

sys.path.insert(0, str(Path(__file__).parents[1]))

from tokenizers import Tokenizer

from benchmarks.speed.corpus import mixed_texts
from simila.backends import Backend, TowerGraph
from simila.backends.onnx_runtime import CpuRuntime
from simila.backends.openvino import OpenVinoRuntime
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ModelRepository
from simila.domain.precision import Precision
from simila.domain.vectors import Float32
from simila.engine.prepared_rows import prepared_rows
from simila.engine.workloads import Batch, cut
from simila_models.catalogue import bundled_manifests

TEXTS = 400
BATCH_TOKENS = 512
SHORT_TOKENS = 16
ROUNDS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("--data-dir", type=Path, default=Path(".cache/bench-data"))
    arguments = parser.parse_args()
    manifest, repository = bundled_manifests()[arguments.encoder], ModelRepository(arguments.data_dir / "models")
    with tempfile.TemporaryDirectory() as folder:
        variants = _variants(manifest, repository, Path(folder))
        mixed, short = _batches(manifest, repository)
        reference = _vectors(variants["fp32"], mixed)
        speeds = [_times_as_fast(variants, batches) for batches in (mixed[::3], short)]
        print(f"{'variant':24}{'mean':>9}{'lowest':>9}{'mixed':>8}{'short':>8}")  # noqa: T201
        for name, backend in variants.items():
            cosines = (_vectors(backend, mixed) * reference).sum(1)
            figures = f"{cosines.mean():9.5f}{cosines.min():9.5f}{speeds[0][name]:7.2f}x{speeds[1][name]:7.2f}x"
            print(f"{name:24}{figures}")  # noqa: T201


def _variants(manifest: Manifest, repository: ModelRepository, folder: Path) -> dict[str, Backend]:
    """Backends of one thread, by what the table calls them; precisions that are not exported are left out."""
    files = repository.exported_tower(manifest, Modality.TEXT)
    graph = TowerGraph(manifest, Modality.TEXT, files, files.onnx)
    found: dict[str, Backend] = {"fp32": CpuRuntime().start(graph, 0, 1)}
    for precision in Precision:
        other = repository.tower(manifest.name, Modality.TEXT, precision)
        if precision is not Precision.FP32 and other.onnx.is_file():
            found[precision] = CpuRuntime().start(TowerGraph(manifest, Modality.TEXT, other, other.onnx), 0, 1)
    found[OpenVinoRuntime().devices()[0]] = OpenVinoRuntime().start(graph, 0, 1)
    optimised = folder / "optimised.onnx"
    optimize_model(str(files.onnx), "bert", optimization_options=FusionOptions("bert"), opt_level=0).save_model_to_file(
        str(optimised)
    )
    found["transformer optimiser"] = CpuRuntime().start(TowerGraph(manifest, Modality.TEXT, files, optimised), 0, 1)
    return found


def _batches(manifest: Manifest, repository: ModelRepository) -> tuple[list[Batch], list[Batch]]:
    """Texts of all lengths, like lengths together; and single texts of one short length."""
    files, text = repository.exported_tower(manifest, Modality.TEXT), manifest.text
    assert text
    texts = mixed_texts(Tokenizer.from_file(str(files.tokenizer)), TEXTS)
    rows = prepared_rows(manifest, Modality.TEXT, files, texts)
    ids = sorted((row[text.ids_name][0] for row in rows), key=len)
    mixed: list[Batch] = []
    for lengths in cut([len(one) for one in ids], TEXTS, BATCH_TOKENS):
        mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
        padded = np.zeros(mask.shape, dtype=np.int64)
        padded[mask] = np.concatenate(ids[: len(lengths)])
        del ids[: len(lengths)]
        mixed.append({text.ids_name: padded, text.mask_name: mask.astype(np.int64)})
    short = [{name: batch[name][:1, :SHORT_TOKENS] for name in batch} for batch in mixed]
    return mixed, short


def _vectors(backend: Backend, batches: Sequence[Batch]) -> Float32:
    return np.concatenate([backend.run(batch) for batch in batches])


def _times_as_fast(variants: dict[str, Backend], batches: Sequence[Batch]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for backend in variants.values():
        _vectors(backend, batches)
    for _ in range(ROUNDS):
        for name, backend in variants.items():
            began_at = process_time()
            _vectors(backend, batches)
            seconds[name].append(process_time() - began_at)
    return {name: median(seconds["fp32"]) / median(times) for name, times in seconds.items()}


if __name__ == "__main__":
    main()
