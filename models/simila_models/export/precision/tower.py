"""One exported tower in another precision: made, judged, and written beside the reference."""

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

from simila.domain.errors import ModelError, ParityFailed
from simila.domain.golden import GoldenSet, read_golden_set
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ExportRecord, ModelRepository, TowerFiles, export_command
from simila.domain.precision import Precision
from simila.domain.vectors import Float32
from simila_models.export.precision import Prepare, Row
from simila_models.export.precision.inputs import LabelledInput, odd_inputs
from simila_models.export.precision.node_search import nodes_in_float
from simila_models.export.precision.quantisation import quantisable_nodes, quantise
from simila_models.export.precision.runs import speed_up, vectors_in_batches, vectors_of
from simila_models.export.precision.smoothing import smoothed
from simila_models.export.precision.task_check import TaskCheck, check_task
from simila_models.export.triton_config import write_triton_config
from simila_models.integrity import sha256_of
from simila_models.progress import Progress

# Of the distance from the floor to 1, kept free: texts that nothing here is like, other neighbours, other CPUs.
MARGIN = 0.4
# Of the distance from 1, by which what was forced may be further off on another CPU.
FORCED_ALLOWANCE = 0.2
LARGEST_SHARE_IN_FLOAT = 0.5
_WAYS = (vectors_of, vectors_in_batches)


@dataclass(frozen=True)
class PrecisionReport:
    """What a precision costs and gains.

    `lowest_cosine` is of golden inputs to the reference library's vectors, `lowest_task_cosine` of those that check the
    task to fp32's.
    """

    name: str
    tower: Modality
    precision: Precision
    lowest_cosine: float
    lowest_task_cosine: float
    floor: float
    task: TaskCheck
    nodes_in_float: tuple[str, ...]
    nodes: int
    times_as_fast: float
    size_bytes: int

    @property
    def holds(self) -> bool:
        return min(self.lowest_cosine, self.lowest_task_cosine) >= self.floor and self.task.holds

    def __str__(self) -> str:
        return (
            f"{self.name}, {self.tower} tower in {self.precision}: lowest cosine {self.lowest_cosine:.4f}"
            f" of golden inputs, {self.lowest_task_cosine:.4f} of others (floor {self.floor}); {self.task};"
            f" {self.times_as_fast:.2f} times as fast as fp32 on one thread, with {len(self.nodes_in_float)} of"
            f" {self.nodes} nodes in float"
        )


@dataclass(frozen=True)
class _Subject:
    """A tower and the rows that it is judged on."""

    graph: Path
    output_name: str
    golden_rows: Sequence[Row]
    calibration_rows: Sequence[Row]
    task_rows: Sequence[Row]


def write_precision(
    manifest: Manifest,
    modality: Modality,
    repository: ModelRepository,
    inputs: Sequence[LabelledInput],
    prepare: Prepare,
    folder: Path,
    progress: Progress,
    *,
    force: bool,
) -> PrecisionReport:
    """Write all files of a tower, in the precision that `manifest` has for it, into a new folder.

    Of `inputs` every other one calibrates, with what is odd; the rest check the task.

    Raises:
        NotExported: there is no current reference to make it of.
        ParityFailed: it is below a floor, which the message gives with all figures, and not forced.
        ModelError: the graph has nothing that this precision can change, or its weights do not fit into one file.

    """
    precision = manifest.precision(modality)
    source, target = repository.exported_tower(manifest.reference, modality), TowerFiles(folder)
    golden = read_golden_set(source.golden, modality)
    subject = _subject(manifest, modality, source, golden, inputs, prepare)
    if source.onnx_data.is_file():
        message = "a graph whose weights lie beside it, more than two gigabytes, is served in fp32 alone"
        raise ModelError(f"{manifest.name}, {modality} tower: {message}")
    target.onnx.parent.mkdir(parents=True)
    nodes, in_float = _convert(subject, target.onnx, precision, progress, f"{manifest.name}, {modality} tower")
    task_cosine, task = _task_check(subject, target.onnx, [one.label for one in inputs[1::2]])
    report = PrecisionReport(
        name=manifest.name,
        tower=modality,
        precision=precision,
        lowest_cosine=_lowest_cosine(subject, target.onnx, golden),
        lowest_task_cosine=task_cosine,
        floor=min(precision.parity_floor, manifest.parity_floor),
        task=task,
        nodes_in_float=in_float,
        nodes=nodes,
        times_as_fast=speed_up(source.onnx, target.onnx, subject.output_name, subject.task_rows),
        size_bytes=target.onnx.stat().st_size,
    )
    if not report.holds and not force:
        command = f"{export_command(manifest, modality)} --force-precision"
        raise ParityFailed(f"{report}; to serve it all the same: {command}")
    _write_rest(manifest, modality, source, target, report)
    return report


def _subject(
    manifest: Manifest,
    modality: Modality,
    source: TowerFiles,
    golden: GoldenSet,
    inputs: Sequence[LabelledInput],
    prepare: Prepare,
) -> _Subject:
    groups = (golden.inputs, [one.content for one in inputs], odd_inputs(modality))
    golden_rows, input_rows, odd_rows = (prepare(manifest, modality, source, group) for group in groups)
    calibration_rows = [*input_rows[::2], *odd_rows]
    return _Subject(source.onnx, _output_name(manifest, modality), golden_rows, calibration_rows, input_rows[1::2])


def _convert(
    subject: _Subject, target: Path, precision: Precision, progress: Progress, name: str
) -> tuple[int, tuple[str, ...]]:
    """Write the graph; say how many nodes could be changed and which were not."""
    model = onnx.load(subject.graph)
    if precision is Precision.FP16:
        onnx.save(convert_float_to_float16(model, keep_io_types=True), target)
        return len(model.graph.node), ()
    nodes = quantisable_nodes(model, precision)
    if not nodes:
        raise ModelError(f"{name}: nothing in the graph can be quantised to {precision}")
    smooth = target.with_name("smooth.onnx")
    onnx.save(smoothed(model, subject.calibration_rows), smooth)
    judged = [*subject.golden_rows, *subject.calibration_rows]
    references = vectors_of(subject.graph, subject.output_name, judged)

    def lowest_cosine(chosen: Collection[str]) -> float:
        quantise(smooth, target, precision, chosen, subject.calibration_rows)
        return min(_lowest(run(target, subject.output_name, judged), references) for run in _WAYS)

    def alone(node: str) -> float:
        progress.step(f"{precision}, {name}", nodes.index(node), len(nodes), unit="steps")
        quantise(smooth, target, precision, [node], subject.calibration_rows)
        golden = vectors_in_batches(target, subject.output_name, subject.golden_rows)
        return _lowest(golden, references[: len(golden)])

    wanted = precision.parity_floor + MARGIN * (1 - precision.parity_floor)
    found = nodes_in_float(nodes, lowest_cosine, alone, wanted, most=int(LARGEST_SHARE_IN_FLOAT * len(nodes)))
    lowest_cosine([node for node in nodes if node not in set(found.in_float)])  # the last one tried was another
    smooth.unlink()
    progress.step(f"{precision}, {name}", len(nodes), len(nodes), unit="steps")
    return len(nodes), found.in_float


def _lowest_cosine(subject: _Subject, graph: Path, golden: GoldenSet) -> float:
    """To the reference library's vectors, alone and in batches."""
    found = (run(graph, subject.output_name, subject.golden_rows) for run in _WAYS)
    return min(_lowest(vectors, golden.vectors) for vectors in found)


def _task_check(subject: _Subject, graph: Path, labels: Sequence[str]) -> tuple[float, TaskCheck]:
    """The lowest cosine to fp32's vectors, and what comes of it."""
    reference, other = (vectors_of(one, subject.output_name, subject.task_rows) for one in (subject.graph, graph))
    return _lowest(other, reference), check_task(reference, other, labels)


def _lowest(vectors: Float32, references: Float32) -> float:
    return float((vectors * references).sum(axis=1).min())


def _write_rest(
    manifest: Manifest, modality: Modality, source: TowerFiles, target: TowerFiles, report: PrecisionReport
) -> None:
    shutil.copytree(source.golden, target.golden)
    if source.tokenizer.is_file():
        shutil.copyfile(source.tokenizer, target.tokenizer)
    write_triton_config(manifest, modality, target.onnx, target.config)
    target.quality.write_text(json.dumps(asdict(report), indent=2), encoding="utf-8")
    reference = source.read_record()
    record = ExportRecord(
        fingerprint=reference.fingerprint,
        precision=report.precision,
        onnx_sha256=sha256_of(target.onnx),
        versions=dict(reference.versions),
        # What was forced is held to what it was then.
        parity_floor=report.floor
        if report.holds
        else report.lowest_cosine - FORCED_ALLOWANCE * (1 - report.lowest_cosine),
        sizes_bytes=_sizes(target.folder),
    )
    target.record.write_text(json.dumps(record.model_dump(), indent=2), encoding="utf-8")


def _sizes(folder: Path) -> Mapping[str, Any]:
    return {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}


def _output_name(manifest: Manifest, modality: Modality) -> str:
    tower = manifest.image if modality is Modality.IMAGE else manifest.text
    assert tower
    return tower.output_name
