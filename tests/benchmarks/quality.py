"""Measure how well Simila's encoders classify the photographs of a folder.

    python tests/benchmarks/quality.py FOLDER [--data-dir FOLDER] [--json]

The folder has `train/CLASS/*.jpg` and `test/CLASS/*.jpg`. Exit codes: 0 measured, or nothing to measure on; 1 Simila
and scikit-learn disagree, or an encoder failed; 2 the folder is not one of class folders.
"""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from class_folders import LAYOUT, ClassFolders, NoClassFolders, read_class_folders
from classifier_quality import digits_split, photograph_split, rule_figures, shot_figures
from conse_variants import ImagenetOutputs, conse_inputs, variant_figures
from in_process import running_services
from nearest_mean_quality import measure_nearest_mean
from quality_report import ClassifierFigures, QualityFigures, QualityReport, show_report
from zero_shot_quality import measure_zero_shot

from simila.cli.configuration import DataDirOption, read_settings
from simila.cli.errors import FAILED, WRONG_USAGE, WrongUsage, print_error
from simila.cli.progress_bars import ProgressBars
from simila.cli.tables import JsonOption, show, show_json
from simila.domain.errors import SimilaError
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila.settings import Settings
from simila_models.catalogue import find_manifest
from simila_models.export import export_encoder
from simila_models.progress import Progress
from simila_models.sources import fetch_sources

DEFAULT_FOLDER = Path(__file__).parents[3] / "shared" / "data" / "clothing"
IMAGE_ENCODERS = ("efficientnet-lite0", "efficientnet-lite2")
JOINT_ENCODER = "simila-lite"
CLASSIFIER_ENCODERS = ("efficientnet-lite2", JOINT_ENCODER)
TEXT_ENCODER = "all-minilm-l6-v2"  # in whose space `simila-lite` is built

app = typer.Typer(add_completion=False)


@app.command()
def main(
    folder: Annotated[Path | None, typer.Argument(help=f"Folder with {LAYOUT}.", show_default=False)] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure zero-shot and nearest-mean accuracy on a folder of class folders."""
    if folder is None and not DEFAULT_FOLDER.is_dir():
        show(f"nothing to measure on: looked at {DEFAULT_FOLDER}; give a folder with {LAYOUT}")
        return
    try:
        with ProgressBars() as progress:
            report = measure(folder or DEFAULT_FOLDER, read_settings(data_dir=data_dir), progress)
    except (NoClassFolders, WrongUsage) as error:
        print_error(str(error))
        raise typer.Exit(WRONG_USAGE) from error
    except SimilaError as error:
        print_error(error.message)
        raise typer.Exit(FAILED) from error
    if as_json:
        show_json(report)
    else:
        show_report(report)
    raise typer.Exit(exit_code(report.figures))


def exit_code(figures: QualityFigures) -> int:
    return FAILED if figures.differing_from_scikit_learn else 0


def measure(folder: Path, settings: Settings, progress: Progress) -> QualityReport:
    """Measure everything; encoders that are not exported yet are exported first.

    Raises:
        NoClassFolders: see `read_class_folders`.
        SimilaError: an encoder cannot be had, or photographs cannot be read.

    """
    started = time.monotonic()
    photographs = read_class_folders(folder)
    names = (*IMAGE_ENCODERS, JOINT_ENCODER, TEXT_ENCODER)
    manifests = {name: find_manifest(name, [settings.manifests_dir]) for name in names}
    for manifest in manifests.values():
        export_encoder(manifest, ModelRepository(settings.models_dir), _cache_dir(settings), progress)
    figures = asyncio.run(_figures(photographs, settings, manifests, progress))
    return QualityReport(
        folder=str(folder),
        classes=photographs.labels,
        train_photographs=len(photographs.train),
        test_photographs=len(photographs.test),
        figures=figures,
        seconds=time.monotonic() - started,
    )


async def _figures(
    photographs: ClassFolders, settings: Settings, manifests: Mapping[str, Manifest], progress: Progress
) -> QualityFigures:
    async with running_services(settings, list(manifests.values())) as services:
        nearest_mean = [
            figure
            for encoder in IMAGE_ENCODERS
            for figure in await measure_nearest_mean(services, encoder, photographs, progress)
        ]
        zero_shot = await measure_zero_shot(services, JOINT_ENCODER, photographs, progress)
        shots, rules = shot_figures(digits := digits_split()), [await rule_figures(digits)]
        for encoder in CLASSIFIER_ENCODERS:
            split, seen = await photograph_split(services, encoder, photographs, progress)
            shots += await asyncio.to_thread(shot_figures, split)
            rules.append(await rule_figures(split, seen))
        classifiers = ClassifierFigures(tuple(shots), tuple(rules))
        joint = manifests[JOINT_ENCODER]
        imagenet = await asyncio.to_thread(_imagenet_outputs, photographs, settings, joint, progress)
        if imagenet is None:
            return QualityFigures(tuple(nearest_mean), zero_shot, classifiers, variants=None)
        inputs = await conse_inputs(services, TEXT_ENCODER, photographs, imagenet, progress)
        return QualityFigures(tuple(nearest_mean), zero_shot, classifiers, variant_figures(inputs))


def _imagenet_outputs(
    photographs: ClassFolders, settings: Settings, manifest: Manifest, progress: Progress
) -> ImagenetOutputs | None:
    try:
        # Here, not above: only the export extra brings torch, and all other figures can do without.
        from imagenet_outputs import imagenet_outputs  # noqa: PLC0415
    except ModuleNotFoundError:
        return None
    files = fetch_sources(manifest, _cache_dir(settings), progress)
    return imagenet_outputs(manifest, files, photographs.train, progress)


def _cache_dir(settings: Settings) -> Path:
    return settings.data_dir / "sources"


if __name__ == "__main__":
    app()
