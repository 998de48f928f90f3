"""A collection's generations on disk: the one that serves, and one that is to take its place.

`NAME/current` names the folder of the generation that serves. A new one is filled beside it and becomes the current one
by the renaming of one file, so after a crash it is the one or the other. Folders that are not current are half made or
half removed.
"""

import logging
import os
import re
import secrets
import shutil
from pathlib import Path

from simila.domain.errors import CollectionUnavailable
from simila.storage.durable_folders import replace_file, sync_folder

logger = logging.getLogger("simila.index")
_POINTER = "current"
_GENERATION = re.compile(r"generation-[0-9a-f]{8}")


def new_generation(folder: Path) -> Path:
    """Make an empty folder for a generation of the collection in `folder`."""
    generation = folder / f"generation-{secrets.token_hex(4)}"
    generation.mkdir(mode=0o700)
    return generation


def current_generation(folder: Path) -> Path:
    """The folder of the generation that serves.

    Raises:
        CollectionUnavailable: what names it cannot be read, or names no generation.

    """
    try:
        name = (folder / _POINTER).read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        name = os.strerror(error.errno or 0)
    if not _GENERATION.fullmatch(name):
        rest = "write the name of the folder beside it that is to serve into it, or restore a backup"
        raise CollectionUnavailable(f"{folder.name}/{_POINTER} does not name a generation ({name[:40]}); {rest}")
    return folder / name


def make_current(generation: Path) -> None:
    """Let a complete generation be the one that serves, also after a crash."""
    folder = generation.parent
    sync_folder(generation)
    replace_file(folder / _POINTER, f"{generation.name}\n".encode())


def remove_other_generations(folder: Path) -> None:
    """Remove what is not current, as far as the disk lets go of it."""
    current = current_generation(folder)
    for generation in folder.iterdir():
        if _GENERATION.fullmatch(generation.name) and generation != current:
            remove_tree(generation)


def remove_tree(folder: Path) -> None:
    """Remove a folder; what cannot be removed is tried again at the next start."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("%s is left over, and cannot be removed before the next start: %s", folder, error)
