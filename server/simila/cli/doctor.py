"""`simila doctor`: what would keep a server from running well on this machine, and how to mend it."""

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from simila.cli import tables
from simila.cli.addresses import CannotListen
from simila.cli.configuration import DataDirOption, WrongSettings, read_settings
from simila.cli.errors import FAILED, WrongUsage
from simila.cli.start_checks import check_bind, check_grpc_port, check_port, check_tls
from simila.domain.errors import SimilaError
from simila.domain.model_repository import ModelRepository
from simila.engine.cores import usable_cores
from simila.settings import Settings
from simila_models.catalogue import find_manifest

LEAST_MEMORY_BYTES = 2 * 2**30
LEAST_FREE_DISK_BYTES = 2 * 2**30
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """What was found of one thing; `remedy` is empty where all is well."""

    subject: str
    verdict: Verdict
    message: str
    remedy: str = ""


Check = Callable[[Settings], Iterator[Finding]]


def doctor_command(devices: Callable[[Settings], str]) -> Callable[..., None]:
    """The command, given how to say what the encoders would run on, which raises `SimilaError` if that is nothing."""

    def doctor(
        data_dir: DataDirOption = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    ) -> None:
        """Check machine, settings, data folder and models, and say how to mend what is wrong."""
        findings = list(_findings(devices, data_dir))
        if as_json:
            tables.show_json([asdict(finding) for finding in findings])
        else:
            _show(findings)
        if any(finding.verdict is Verdict.PROBLEM for finding in findings):
            raise typer.Exit(FAILED)

    return doctor


def _findings(devices: Callable[[Settings], str], data_dir: Path | None) -> Iterator[Finding]:
    try:
        settings = read_settings(data_dir=data_dir)
        yield Finding("settings", Verdict.OK, "valid")
    except WrongUsage as error:
        yield Finding("settings", Verdict.PROBLEM, str(error), "correct simila.toml or the SIMILA_ variables")
        if not isinstance(error, WrongSettings):
            return
        settings = error.rest
    for check in (_python, _memory, _packages, _address, _tls, _folder, _disk, _models):
        yield from check(settings)
    try:
        yield Finding("device", Verdict.OK, devices(settings))
    except SimilaError as error:
        yield Finding(
            "device", Verdict.PROBLEM, error.message, "set SIMILA_DEVICE to auto or to a device that is there"
        )


def _python(_: Settings) -> Iterator[Finding]:
    yield Finding("python", Verdict.OK, f"{sys.version.split()[0]} on {usable_cores()} cores")


def _memory(_: Settings) -> Iterator[Finding]:
    total_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    message = f"{total_bytes / 2**30:.1f} GiB"
    if total_bytes < LEAST_MEMORY_BYTES:
        yield Finding("memory", Verdict.WARNING, message, "serve fewer encoders (SIMILA_ENCODERS)")
    else:
        yield Finding("memory", Verdict.OK, message)


def _packages(settings: Settings) -> Iterator[Finding]:
    needed = {"onnxruntime": "cpu", "faiss": "cpu"}
    if settings.grpc_port:
        needed |= {"grpc": "grpc", "tritonclient": "grpc"}
    missing = [package for package in needed if find_spec(package) is None]
    for package in missing:
        remedy = f"pip install 'simila[{needed[package]}]'"
        yield Finding("packages", Verdict.PROBLEM, f"{package} is not installed", remedy)
    if not missing:
        yield Finding("packages", Verdict.OK, ", ".join(needed))


def _address(settings: Settings) -> Iterator[Finding]:
    try:
        check_bind(settings)
        check_port(settings)
        check_grpc_port(settings)
    except CannotListen as error:
        remedy = "that is as it should be if Simila runs already; else set another port"
        yield Finding("address", Verdict.WARNING, str(error), remedy)
    except (WrongUsage, SimilaError) as error:
        yield Finding("address", Verdict.PROBLEM, str(error), "run: simila keys create")
    else:
        yield Finding("address", Verdict.OK, settings.url)


def _tls(settings: Settings) -> Iterator[Finding]:
    try:
        check_tls(settings)
    except WrongUsage as error:
        remedy = "give both files as PEM, readable by this user, the key without a password"
        yield Finding("certificate", Verdict.PROBLEM, str(error), remedy)
    else:
        if settings.tls_certificate:
            yield Finding("certificate", Verdict.OK, str(settings.tls_certificate))


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    if not folder.exists():
        yield Finding("data folder", Verdict.WARNING, f"{folder} is not there yet", "run: simila models export")
        return
    if not folder.is_dir():
        yield Finding("data folder", Verdict.PROBLEM, f"{folder} is no folder", "set SIMILA_DATA_DIR to a folder")
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        remedy = f"run, as its owner: chown -R {os.getuid()} {folder}"
        yield Finding("data folder", Verdict.PROBLEM, f"{folder} cannot be written by this user", remedy)
        return
    exposed = [
        path
        for path in (settings.keys_path, settings.collections_dir)
        if path.exists() and path.stat().st_mode & OTHERS
    ]
    for path in exposed:
        remedy = f"run: chmod go= {path}"
        yield Finding("data folder", Verdict.WARNING, f"other users of this machine may read {path}", remedy)
    if not exposed:
        yield Finding("data folder", Verdict.OK, str(folder))


def _disk(settings: Settings) -> Iterator[Finding]:
    there = next(folder for folder in (settings.data_dir, *settings.data_dir.parents) if folder.exists())
    free_bytes = shutil.disk_usage(there).free
    message = f"{free_bytes / 2**30:.1f} GiB free"
    if free_bytes < LEAST_FREE_DISK_BYTES:
        yield Finding("disk", Verdict.WARNING, message, "make room, or move the folder with SIMILA_DATA_DIR")
    else:
        yield Finding("disk", Verdict.OK, message)


def _models(settings: Settings) -> Iterator[Finding]:
    repository = ModelRepository(settings.models_dir)
    for name in settings.encoders:
        try:
            manifest = find_manifest(name, [settings.manifests_dir]).served_in(settings.precisions)
            for modality in manifest.modalities:
                repository.exported_tower(manifest, modality)
        except SimilaError as error:
            yield Finding(f"encoder {name}", Verdict.PROBLEM, error.message, f"run: simila models export {name}")
        else:
            yield Finding(f"encoder {name}", Verdict.OK, "exported")


def _show(findings: list[Finding]) -> None:
    table = tables.table(tables.column(""), tables.column("subject"), tables.column("found"), tables.column("remedy"))
    for finding in findings:
        style = tables.MUTED if finding.verdict is Verdict.OK else None
        table.add_row(finding.verdict, finding.subject, finding.message, finding.remedy, style=style)
    tables.show(table)
