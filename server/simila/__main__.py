"""The command line: its groups, and the server's application for the one that serves."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simila import __version__
from simila.cli import audit, collection_files, collections, keys, model_lifecycle, models
from simila.cli.classify import classify
from simila.cli.collection_import import import_items
from simila.cli.connection import KeyOption
from simila.cli.doctor import doctor_command
from simila.cli.embed import embed
from simila.cli.errors import CommandGroup
from simila.cli.evaluate import evaluate
from simila.cli.forget import forget
from simila.cli.migration import migrate
from simila.cli.model_add import add_command
from simila.cli.model_build import build
from simila.cli.model_bundle import bundle, unbundle
from simila.cli.model_trials import Trial
from simila.cli.search import search
from simila.cli.serve import serve_command
from simila.cli.train import train
from simila.domain.errors import SimilaError
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import ModelRepository, TowerFiles
from simila.engine.cores import usable_cores
from simila.engine.tuning import keep_tuning
from simila.services.drain import Drain
from simila.settings import Settings
from simila_models.export.precision import Row
from simila_models.progress import Progress

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def _create_app(settings: Settings, drain: Drain) -> "ASGIApp":
    # FastAPI, ONNX Runtime and FAISS take seconds to import, and only `serve` needs them.
    from simila.app import create_app  # noqa: PLC0415

    return create_app(settings, drain)


def _problems(settings: Settings) -> Sequence[SimilaError]:
    from simila.app import problems_of  # noqa: PLC0415  as above

    return problems_of(settings)


def _devices(settings: Settings) -> str:
    from simila.app import devices_of  # noqa: PLC0415  as above

    return str(devices_of(settings))


def _check_parity(settings: Settings, manifests: Sequence[Manifest]) -> list[models.Finding]:
    from simila.app import load_encoders  # noqa: PLC0415  as above

    return [
        models.Finding(
            status.manifest.name,
            {str(tower): certificate.lowest_cosine for tower, certificate in (status.certificates or {}).items()},
            status.error,
        )
        for status in load_encoders(settings, manifests)
    ]


def _tune(manifest: Manifest, repository: ModelRepository, progress: Progress) -> list[Trial]:
    from simila.backends.registry import host_rivals  # noqa: PLC0415  as above
    from simila.engine.calibration import calibrate  # noqa: PLC0415  as above

    cores, trials = usable_cores(), []
    for modality in manifest.modalities:
        files = repository.exported_tower(manifest, modality)
        on_step = partial(progress.step, f"tune {manifest.name}, {modality} tower", unit="steps")
        calibration = calibrate(manifest, modality, files, cores, rivals=host_rivals(), on_step=on_step)
        keep_tuning(files, calibration.tuning)
        trials += [
            Trial(
                manifest.name,
                modality,
                one.candidate.runtime,
                one.candidate.worker_threads,
                one.candidate.threads_per_run,
                one.candidate.budget,
                round(one.rows_per_second, 1),
                chosen=one is calibration.chosen,
                preprocess_threads=calibration.tuning.preprocess_threads if one is calibration.chosen else None,
            )
            for one in calibration.measured
        ]
    return trials


def _prepare(manifest: Manifest, modality: Modality, files: TowerFiles, inputs: Sequence[str | bytes]) -> Sequence[Row]:
    from simila.engine.prepared_rows import prepared_rows  # noqa: PLC0415  as above

    return prepared_rows(manifest, modality, files, inputs)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"simila {__version__}")
        raise typer.Exit


app = typer.Typer(cls=CommandGroup, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def simila(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    api_key: KeyOption = None,
) -> None:
    """Image and text vectors, classification and similarity search."""


app.command()(serve_command(_create_app, _problems))
app.command()(doctor_command(_devices))
models.app.command()(add_command(_check_parity, _prepare))
models.app.command()(bundle)
models.app.command()(unbundle)
models.app.command()(models.export_command(_tune, _prepare))
models.app.command()(models.tune_command(_tune))
models.app.command()(models.verify_command(_check_parity))
models.app.command()(build)
models.app.command()(model_lifecycle.served)
models.app.command()(model_lifecycle.load)
models.app.command()(model_lifecycle.unload)
models.app.command()(model_lifecycle.alias)
app.add_typer(models.app, name="models")
app.command()(embed)
app.command()(classify)
app.command()(train)
app.command()(search)
app.command()(evaluate)
collections.app.command("import")(import_items)
collections.app.command()(forget)
collections.app.command()(collection_files.export)
collections.app.command()(collection_files.backup)
collections.app.command()(collection_files.restore)
collections.app.command()(migrate)
app.add_typer(collections.app, name="collections")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")


def _open_closed_streams() -> None:
    # A service may start without them. What is printed then goes nowhere, and no other file takes their numbers.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  as long as the process


def main() -> None:
    """Run the command line."""
    _open_closed_streams()
    # Threads of OpenMP spin while they wait for each other. Where others want the cores too, a spinning thread takes
    # the time that the awaited one needs: torch ran 30 times slower. OpenMP is loaded later than here, and reads this.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    app()


if __name__ == "__main__":
    main()
