"""`simila models`: fetch, export and check encoders; no server is needed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from simila.cli import tables
from simila.cli.configuration import DataDirOption, read_settings
from simila.cli.errors import FAILED, print_error
from simila.cli.model_precision import (
    CalibrationOption,
    ForcePrecisionOption,
    PrecisionOption,
    TowerOption,
    in_precision,
)
from simila.cli.model_trials import TuneEncoder, show_trials
from simila.cli.progress_bars import ProgressBars
from simila.domain.errors import ModelError
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila.settings import Settings
from simila.storage.data_folder import private_files
from simila_models.catalogue import find_manifest, known_manifests
from simila_models.export import export_encoder, export_precisions
from simila_models.export.precision import Prepare
from simila_models.integrity import verify as verify_hashes
from simila_models.progress import Progress
from simila_models.sources import fetch_sources

app = typer.Typer(no_args_is_help=True)

OfflineOption = Annotated[bool, typer.Option("--offline", help="Fetch nothing: what is not on this disk is an error.")]
NamesArgument = Annotated[list[str] | None, typer.Argument(help="Encoders; by default those of SIMILA_ENCODERS.")]


class ExportState(StrEnum):
    EXPORTED = "exported"
    STALE = "stale"
    NOT_EXPORTED = "not exported"


@dataclass(frozen=True)
class ListedModel:
    """A row of `simila models list`."""

    name: str
    modalities: tuple[str, ...]
    dimension: int
    licence: str
    state: ExportState
    size_bytes: int


@dataclass(frozen=True)
class Finding:
    """What `simila models verify` found; `error` is None where all is well.

    `lowest_cosines` are those of the golden inputs' vectors to the reference library's, by tower.
    """

    name: str
    lowest_cosines: dict[str, float]
    error: str | None


CheckParity = Callable[[Settings, Sequence[Manifest]], Sequence[Finding]]


@app.callback()
def models(context: typer.Context) -> None:
    """Fetch, export and check encoders."""
    context.with_resource(private_files())


@app.command("list")
def list_models(as_json: tables.JsonOption = False, data_dir: DataDirOption = None) -> None:
    """List the encoders there are, and which of them are exported."""
    settings = read_settings(data_dir=data_dir)
    repository = ModelRepository(settings.models_dir)
    rows = [_listed(manifest, repository) for manifest in known_manifests([settings.manifests_dir]).values()]
    if as_json:
        tables.show_json(rows)
    else:
        _show_models(rows)


@app.command()
def pull(names: NamesArgument = None, offline: OfflineOption = False, data_dir: DataDirOption = None) -> None:
    """Fetch weights, and export nothing."""
    settings = read_settings(data_dir=data_dir)
    manifests = _manifests(names, settings)
    with ProgressBars() as progress:
        for manifest in manifests:
            fetch_sources(manifest, _cache_dir(settings), progress, offline=offline)
    tables.show(f"weights are in {_cache_dir(settings)}: {_names(manifests)}")


def export_command(tune_encoder: TuneEncoder, prepare: Prepare) -> Callable[..., None]:
    """The command, given how to tune what it has exported, and how the server prepares inputs."""

    def export(
        names: NamesArgument = None,
        force: Annotated[bool, typer.Option("--force", help="Export again what is current.")] = False,
        precision: PrecisionOption = None,
        tower: TowerOption = None,
        calibration: CalibrationOption = None,
        force_precision: ForcePrecisionOption = False,
        offline: OfflineOption = False,
        data_dir: DataDirOption = None,
    ) -> None:
        """Fetch and export encoders, and tune them to this machine; what is current is skipped."""
        settings = read_settings(data_dir=data_dir)
        repository = ModelRepository(settings.models_dir)
        manifests = in_precision(_manifests(names, settings), precision, tower)
        outdated = [manifest for manifest in manifests if force or not repository.is_current(manifest)]
        if not outdated:
            tables.show(f"exported already: {_names(manifests)}")
            return
        with ProgressBars() as progress, _forgotten(outdated, repository):
            for manifest in outdated:
                export_encoder(manifest, repository, _cache_dir(settings), progress, offline=offline)
            reports = [
                report
                for manifest in outdated
                for report in export_precisions(
                    manifest, repository, prepare, progress, calibration=calibration, force=force_precision
                )
            ]
            for manifest in outdated:
                _tune_if_possible(tune_encoder, manifest, repository, progress)
        for report in reports:
            tables.show(report)
        tables.show(f"exported to {repository.root}: {_names(outdated)}")

    return export


def tune_command(tune_encoder: TuneEncoder) -> Callable[..., None]:
    """The command, given how to tune: that runs the engine, which takes long to import."""

    def tune(names: NamesArgument = None, as_json: tables.JsonOption = False, data_dir: DataDirOption = None) -> None:
        """Measure how exported encoders run fastest on this machine; best while it has nothing else to do."""
        settings = read_settings(data_dir=data_dir)
        repository = ModelRepository(settings.models_dir)
        manifests = _manifests(names, settings)
        with ProgressBars() as progress:
            trials = [trial for manifest in manifests for trial in tune_encoder(manifest, repository, progress)]
        if as_json:
            tables.show_json(trials)
        else:
            show_trials(trials)

    return tune


def verify_command(check_parity: CheckParity) -> Callable[..., None]:
    """The command, given how to load encoders: that is the server's business, and `cli` does not know the server."""

    def verify(names: NamesArgument = None, as_json: tables.JsonOption = False, data_dir: DataDirOption = None) -> None:
        """Check exported encoders: their files by hash, their vectors against the reference library's."""
        settings = read_settings(data_dir=data_dir)
        repository = ModelRepository(settings.models_dir)
        manifests = _manifests(names, settings)
        changed = {manifest.name: error for manifest in manifests if (error := _changed(manifest, repository))}
        whole = check_parity(settings, [manifest for manifest in manifests if manifest.name not in changed])
        checked = {finding.name: finding for finding in whole}
        findings = [checked.get(one.name) or Finding(one.name, {}, changed[one.name]) for one in manifests]
        if as_json:
            tables.show_json(findings)
        else:
            _show_findings(findings)
        if any(finding.error for finding in findings):
            raise typer.Exit(FAILED)

    return verify


def _manifests(names: list[str] | None, settings: Settings) -> list[Manifest]:
    found = (find_manifest(name, [settings.manifests_dir]) for name in names or settings.encoders)
    return [manifest.served_in(settings.precisions) for manifest in found]


def _tune_if_possible(
    tune_encoder: TuneEncoder, manifest: Manifest, repository: ModelRepository, progress: Progress
) -> None:
    # An encoder that is not tuned is served with defaults, so the export has not failed.
    try:
        tune_encoder(manifest, repository, progress)
    except (ModelError, OSError) as error:
        print_error(f"{manifest.name} is exported, but not tuned: {error}")


def _names(manifests: list[Manifest]) -> str:
    return ", ".join(manifest.name for manifest in manifests)


def _cache_dir(settings: Settings) -> Path:
    return settings.data_dir / "sources"


@contextmanager
def _forgotten(manifests: list[Manifest], repository: ModelRepository) -> Iterator[None]:
    """Let the towers count as not exported, and give those that are not replaced their records back."""
    towers = [
        repository.tower(manifest.name, modality, manifest.precision(modality))
        for manifest in manifests
        for modality in manifest.modalities
    ]
    records = {tower.record: tower.record.read_bytes() for tower in towers if tower.record.is_file()}
    for record in records:
        record.unlink()
    try:
        yield
    finally:
        for record, content in records.items():
            if not record.exists():
                record.write_bytes(content)


def _listed(manifest: Manifest, repository: ModelRepository) -> ListedModel:
    towers = [
        repository.tower(manifest.name, modality, manifest.precision(modality)) for modality in manifest.modalities
    ]
    if repository.is_current(manifest):
        state = ExportState.EXPORTED
    else:
        state = ExportState.STALE if any(tower.record.exists() for tower in towers) else ExportState.NOT_EXPORTED
    files = (path for tower in towers for path in tower.folder.rglob("*") if path.is_file())
    return ListedModel(
        name=manifest.name,
        modalities=manifest.modalities,
        dimension=manifest.dimension,
        licence=manifest.licence,
        state=state,
        size_bytes=sum(path.stat().st_size for path in files),
    )


def _changed(manifest: Manifest, repository: ModelRepository) -> str | None:
    try:
        verify_hashes(manifest, repository)
    except ModelError as error:
        return error.message
    return None


def _show_models(rows: list[ListedModel]) -> None:
    table = tables.table(
        tables.column("name"),
        tables.column("modalities"),
        tables.column("dimension", justify="right"),
        tables.column("licence"),
        tables.column("state"),
        tables.column("size", justify="right"),
    )
    for row in rows:
        size = decimal(row.size_bytes) if row.size_bytes else ""
        style = None if row.state is ExportState.EXPORTED else tables.MUTED
        modalities = " ".join(row.modalities)
        table.add_row(row.name, modalities, str(row.dimension), row.licence, row.state, size, style=style)
    tables.show(table)


def _show_findings(findings: list[Finding]) -> None:
    table = tables.table(tables.column("name"), tables.column("finding"))
    for finding in findings:
        cosines = ", ".join(f"{tower} {cosine:.6f}" for tower, cosine in finding.lowest_cosines.items())
        verdict = finding.error or f"as exported; lowest cosine to the reference: {cosines}"
        table.add_row(finding.name, verdict, style="red" if finding.error else None)
    tables.show(table)
