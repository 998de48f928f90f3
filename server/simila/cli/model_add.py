"""`simila models add`: from the name of a checkpoint to an encoder that is exported and checked."""

from collections.abc import Callable
from typing import Annotated

import typer

from simila.cli import tables
from simila.cli.configuration import DataDirOption, read_settings
from simila.cli.errors import FAILED, print_error, stop
from simila.cli.model_precision import (
    CalibrationOption,
    ForcePrecisionOption,
    PrecisionOption,
    TowerOption,
    in_precision,
)
from simila.cli.models import CheckParity, OfflineOption
from simila.cli.progress_bars import ProgressBars
from simila.domain.errors import InvalidInput, ModelError
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila.settings import Settings
from simila_models.additions import Addition, add_encoder, add_precisions
from simila_models.export.precision import Prepare


def add_command(check_parity: CheckParity, prepare: Prepare) -> Callable[..., None]:
    """The command, given how to load encoders and to prepare inputs as a server would."""

    def add(
        source: Annotated[
            str,
            typer.Argument(help="hf:ORG/NAME@REVISION, open_clip:ARCH/TAG, timm:NAME, a folder, or file:MODEL.onnx."),
        ],
        name: Annotated[str, typer.Option(help="What to call the encoder; by default as the checkpoint.")] = "",
        licence: Annotated[str, typer.Option(help="Where the checkpoint's card does not name it.")] = "",
        pooling: Annotated[str, typer.Option(help="mean, cls, last, average or model.")] = "",
        layer: Annotated[str, typer.Option(help="A ConvNet's inner layer, such as features.10.")] = "",
        manifest: Annotated[str, typer.Option(metavar="FILE", help="How an ONNX file is to be fed: a manifest.")] = "",
        precision: PrecisionOption = None,
        tower: TowerOption = None,
        calibration: CalibrationOption = None,
        force_precision: ForcePrecisionOption = False,
        offline: OfflineOption = False,
        data_dir: DataDirOption = None,
    ) -> None:
        """Write a checkpoint's manifest, export it, and check it as a server would.

        simila models add hf:ORG/NAME@REVISION

        simila models add ./my-clip --name my-clip

        simila models add open_clip:ViT-B-32/openai

        simila models add hf:ORG/NAME@REVISION --precision int8-dynamic
        """
        settings = read_settings(data_dir=data_dir)
        folder, repository = settings.manifests_dir, ModelRepository(settings.models_dir)
        with ProgressBars() as progress:
            addition = Addition(source, name, licence, pooling, layer, manifest, offline)
            added = add_encoder(addition, folder, repository, settings.data_dir / "sources", progress)
        [wanted] = in_precision([added], precision, tower)
        try:
            with ProgressBars() as progress:
                reports = add_precisions(
                    wanted, folder, repository, prepare, progress, calibration=calibration, force=force_precision
                )
        except (InvalidInput, ModelError) as error:
            stop(f"{added.name} is added, but in fp32: {error.message}", FAILED)
        for report in reports:
            tables.show(report)
        _report(wanted, settings, check_parity)

    return add


def _report(manifest: Manifest, settings: Settings, check_parity: CheckParity) -> None:
    [finding] = check_parity(settings, [manifest])
    path = settings.manifests_dir / f"{manifest.name}.toml"
    if finding.error:
        print_error(f"{manifest.name} is exported, but is not served like this: {finding.error}; see {path}")
        raise typer.Exit(FAILED)
    cosines = ", ".join(f"{tower} {cosine:.6f}" for tower, cosine in finding.lowest_cosines.items())
    tables.show(f"{manifest.name} is ready; lowest cosine to the reference: {cosines}; manifest: {path}")
