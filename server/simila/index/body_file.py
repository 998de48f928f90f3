"""A body on disk: `body.json`, which names the two files of the index and its sequences.

What is not exactly as it was written is not used, and FAISS, which may crash on damaged bytes, is not shown it. CRC-32
guards against accidents, at 2 GB a second; nobody but the owner writes in the data folder.
"""

import os
import secrets
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import faiss
import numpy as np
from pydantic import BaseModel, ValidationError

from simila.domain.errors import StorageFailed
from simila.index.body import Body, Measured, Setting
from simila.index.recipes import recipe_of
from simila.storage.durable_folders import sync_folder

_MANIFEST = "body.json"
_PARTS = "body-*"
_READ_BYTES = 1 << 20


class BodyUnusable(Exception):
    """The body on disk cannot be used, and is to be built again; the message says why."""


class _File(BaseModel):
    name: str
    bytes: int
    crc32: int


class _Manifest(BaseModel):
    """What `body.json` holds."""

    format: Literal[1]
    faiss: str
    store_id: str
    last_sequence: int
    kind: str
    setting: Setting
    measured: Measured | None
    index: _File
    sequences: _File


def save_body(body: Body, folder: Path, store_id: str) -> None:
    """Write a body beside the one that is there, then take its place; after a crash it is the one or the other.

    Never more than two bodies are on disk.

    Raises:
        StorageFailed: the disk refuses; the old body stays.

    """
    try:
        _remove_parts(folder, keep=_named_parts(folder))
        token = secrets.token_hex(4)
        manifest = _Manifest(
            format=1,
            faiss=faiss.__version__,
            store_id=store_id,
            last_sequence=int(body.sequences[-1]),
            kind=body.recipe.kind,
            setting=body.setting,
            measured=body.measured,
            index=_write(folder / f"body-{token}.faiss", body.write_index),
            sequences=_write(
                folder / f"body-{token}.sequences", lambda write: write(body.sequences.astype("<i8").tobytes())
            ),
        )
        sync_folder(folder)
        replacement = folder / f"body-{token}.json"
        _write(replacement, lambda write: write(manifest.model_dump_json(indent=1).encode()))
        replacement.replace(folder / _MANIFEST)
        sync_folder(folder)
        _remove_parts(folder, keep={manifest.index.name, manifest.sequences.name})
    except OSError as error:
        with suppress(OSError):  # what is left takes room, until the next save
            _remove_parts(folder, keep=_named_parts(folder))
        raise StorageFailed(f"the index of {folder.name} cannot be saved: {error}") from error


def load_body(folder: Path, store_id: str, dimension: int) -> Body | None:
    """Read the body that was saved here, its index mapped into memory; None if none was.

    Raises:
        BodyUnusable: it is torn, damaged, of another store, or written by another version of Simila or FAISS.

    """
    try:
        manifest = _Manifest.model_validate_json((folder / _MANIFEST).read_bytes())
        _check_origin(manifest, store_id)
        recipe = recipe_of(manifest.kind)
        _check_bytes(folder, manifest.index)
        _check_bytes(folder, manifest.sequences)
        sequences = np.fromfile(folder / manifest.sequences.name, dtype="<i8").astype(np.int64, copy=False)
        index = faiss.read_index(str(folder / manifest.index.name), faiss.IO_FLAG_MMAP_IFC)
    except FileNotFoundError as error:
        if not (folder / _MANIFEST).exists():
            return None
        raise BodyUnusable(f"the index of {folder.name} lacks a file: {error}") from error
    except (OSError, ValidationError, RuntimeError, KeyError) as error:
        raise BodyUnusable(f"the index of {folder.name} cannot be read: {error!r}") from error
    if (index.d, index.ntotal) != (dimension, len(sequences)):
        raise BodyUnusable(f"it has {index.ntotal} vectors of {index.d} dimensions for {len(sequences)} of {dimension}")
    return Body(index, sequences, recipe, manifest.setting, manifest.measured)


def remove_leftovers(folder: Path) -> None:
    """Delete what a save that was cut short left.

    Raises:
        StorageFailed: the disk refuses.

    """
    try:
        _remove_parts(folder, keep=_named_parts(folder))
    except OSError as error:
        raise StorageFailed(f"half an index of {folder.name} cannot be removed: {error}") from error


def remove_body(folder: Path) -> None:
    """Delete the body that was saved here, if one was.

    Raises:
        StorageFailed: the disk refuses.

    """
    try:
        (folder / _MANIFEST).unlink(missing_ok=True)
        _remove_parts(folder, keep=set())
    except OSError as error:
        raise StorageFailed(f"the index of {folder.name} cannot be removed: {error}") from error


def _check_origin(manifest: _Manifest, store_id: str) -> None:
    if manifest.store_id != store_id:
        raise BodyUnusable("it was built of another store")
    if manifest.faiss != faiss.__version__:
        raise BodyUnusable(f"it was written by FAISS {manifest.faiss}; this is {faiss.__version__}")


def _check_bytes(folder: Path, expected: _File) -> None:
    path = folder / expected.name
    checksum = 0
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        if length != expected.bytes:
            raise BodyUnusable(f"{path} has {length} bytes of {expected.bytes}")
        while part := file.read(_READ_BYTES):
            checksum = zlib.crc32(part, checksum)
    if checksum != expected.crc32:
        raise BodyUnusable(f"{path} is damaged: its checksum is not the one that was written")


def _write(path: Path, content: Callable[[Callable[[bytes], object]], object]) -> _File:
    length = checksum = 0
    with path.open("xb") as file:

        def write(part: bytes) -> None:
            nonlocal length, checksum
            file.write(part)
            length, checksum = length + len(part), zlib.crc32(part, checksum)

        content(write)
        file.flush()
        os.fsync(file.fileno())
    return _File(name=path.name, bytes=length, crc32=checksum)


def _named_parts(folder: Path) -> set[str]:
    try:
        manifest = _Manifest.model_validate_json((folder / _MANIFEST).read_bytes())
    except (FileNotFoundError, ValidationError):
        return set()
    return {manifest.index.name, manifest.sequences.name}


def _remove_parts(folder: Path, *, keep: set[str]) -> None:
    for path in folder.glob(_PARTS):
        if path.name not in keep:
            path.unlink()
