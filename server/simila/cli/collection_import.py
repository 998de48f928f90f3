"""`simila collections import`: a folder of images, or files of vectors, into a collection."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from simila.cli import tables
from simila.cli.collections import NameArgument
from simila.cli.connection import UrlOption, connect
from simila.cli.errors import INTERRUPTED, SOME_FAILED, WrongUsage, print_error, print_warning, stop
from simila.cli.folder_import import IMAGE_SUFFIXES, FolderImport, ImageFile, ImportReport, find_images
from simila.cli.rate_bar import RateBar
from simila.cli.rows import JSON_LINES_SUFFIXES, STDIN
from simila.cli.vector_files import VectorFile, VectorRows, open_json_lines, open_stdin
from simila_client import NotFound, Simila, SimilaClientError

PARQUET_SUFFIXES = frozenset({".parquet", ".pq"})
FAISS_SUFFIXES = frozenset({".faiss", ".index"})

SourcesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="FOLDER|FILE|-",
        help="A folder of images, or files of vectors: Parquet, JSON Lines (- of stdin), FAISS indexes.",
    ),
]


def import_items(
    name: NameArgument,
    sources: SourcesArgument,
    encoder: Annotated[
        str | None, typer.Option(metavar="ENCODER", help="Create the collection with this encoder if it is missing.")
    ] = None,
    labels_from_folders: Annotated[
        bool, typer.Option("--labels-from-folders", help="Label each image with the first folder on its way.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Images in one request.")] = 16,
    vectors: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .npy with a vector for each line of a JSON Lines file.")
    ] = None,
    ids: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The ids (.npy, or one a line) of a FAISS index's vectors.")
    ] = None,
    url: UrlOption = None,
) -> None:
    """Store a folder's images, or the vectors of files; what is stored already under an id is replaced.

    simila collections import shoes photos/ --encoder efficientnet-lite0 --labels-from-folders

    simila collections import shoes items.parquet

    simila collections import shoes items.jsonl --vectors vectors.npy

    cat vectors.jsonl | simila collections import lines - --encoder simila-lite

    A line of JSON Lines: {"id": …, "vector": […]}, with label, payload if you like.

    Import a folder again to go on where it was cut, or to take in what changed; images that are refused are listed, the
    others are stored, and the exit code is 3. Vectors begin again after an interrupt, and replace what is stored of
    them; of a pipe, which cannot be read twice, whoever writes it must.
    """
    if len(sources) > 1 and (vectors or ids):
        raise WrongUsage("--vectors and --ids belong to one file; import one at a time")
    if len(sources) == 1 and not (_is_stdin(sources[0]) or sources[0].is_file()):
        _import_folder(name, sources[0], encoder, batch_size, url, labels_from_folders=labels_from_folders)
        return
    files = [_opened(path, vectors, ids) for path in sources]
    with connect(url) as client:
        _require_collection(client, name, encoder)
        stored = sum(_import_file(client, name, file) for file in files)
    tables.answer({"name": name, "stored": stored}, lambda: tables.show(f"{name}: {stored} stored"))


def _import_folder(
    name: str, folder: Path, encoder: str | None, batch_size: int, url: str | None, *, labels_from_folders: bool
) -> None:
    if not folder.is_dir():
        raise WrongUsage(f"{folder} is {'neither a folder nor a file' if folder.exists() else 'not there'}")
    images = find_images(folder, labels_from_folders=labels_from_folders)
    if not images:
        raise WrongUsage(f"{folder} holds no images ({' '.join(sorted(IMAGE_SUFFIXES))})")
    with connect(url, max_retries=0) as client:  # FolderImport has patience of its own
        _require_collection(client, name, encoder)
        report = _import_images(client, name, images, batch_size)
    _show_report(name, report)
    if report.refused:
        raise typer.Exit(SOME_FAILED)


def _is_stdin(source: Path) -> bool:
    return str(source) == STDIN


def _opened(path: Path, vectors: Path | None, ids: Path | None) -> VectorFile:
    suffix = path.suffix.lower()
    if vectors and suffix not in JSON_LINES_SUFFIXES:
        raise WrongUsage(f"--vectors belongs to a JSON Lines file, and {path} is none")
    if ids and suffix not in FAISS_SUFFIXES:
        raise WrongUsage(f"--ids belongs to a FAISS index, and {path} is none")
    if _is_stdin(path):
        return open_stdin()
    if suffix in JSON_LINES_SUFFIXES:
        return open_json_lines(path, vectors)
    # pyarrow and FAISS take long to import, and only those who import such files need them.
    if suffix in PARQUET_SUFFIXES:
        from simila.cli.parquet_files import open_parquet  # noqa: PLC0415

        return open_parquet(path)
    if suffix in FAISS_SUFFIXES:
        from simila.cli.faiss_files import open_faiss  # noqa: PLC0415

        return open_faiss(path, ids)
    known = " ".join(sorted(PARQUET_SUFFIXES | JSON_LINES_SUFFIXES | FAISS_SUFFIXES))
    raise WrongUsage(f"{path} is no file of vectors that can be imported ({known})")


def _require_collection(client: Simila, name: str, encoder: str | None) -> None:
    if encoder:
        client.create_collection(name, encoder)
        return
    try:
        client.collection(name)
    except NotFound as error:
        raise WrongUsage(f"{error.message}; --encoder NAME creates it") from error


def _import_file(client: Simila, name: str, file: VectorFile) -> int:
    for warning in file.warnings:
        print_warning(f"{file.name}: {warning}")
    stored, left_out = 0, 0
    try:
        with RateBar(f"import {file.name}", file.rows, "vectors") as bar:
            for rows in file.batches:
                if rows.ids:
                    _send(client, name, file, rows)
                stored, left_out = stored + len(rows.ids), left_out + rows.left_out
                bar.advance(len(rows.ids))
    except KeyboardInterrupt:
        stop(f"interrupted; {stored} vectors of {file.name} are stored, and replaced if they come again", INTERRUPTED)
    if left_out:
        print_warning(f"{file.name}: {left_out} rows have an error and no vector, and are left out")
    return stored


def _send(client: Simila, name: str, file: VectorFile, rows: VectorRows) -> None:
    try:
        client.upsert_vectors(
            name, rows.ids, rows.vectors, labels=rows.labels, payloads=rows.payloads, fingerprint=file.fingerprint
        )
    except SimilaClientError:
        print_error(f"{file.name}: items[0] of what follows is row {rows.start}; rows before it are stored")
        raise


def _import_images(client: Simila, name: str, images: Sequence[ImageFile], batch_size: int) -> ImportReport:
    try:
        with RateBar(f"import {name}", len(images), "images") as bar:
            return FolderImport(client, name, batch_items=batch_size, on_image=bar.advance).run(images)
    except KeyboardInterrupt:
        stop("interrupted; the same command goes on from here", INTERRUPTED)


def _show_report(name: str, report: ImportReport) -> None:
    counts = {"stored": report.stored, "unchanged": report.unchanged, "refused": len(report.refused)}
    words = ", ".join(f"{count} {what}" for what, count in counts.items())
    for refused in report.refused:
        print_error(f"{refused.id}: {refused.reason}")
    tables.answer({"name": name, **counts}, lambda: tables.show(f"{name}: {words}"))
