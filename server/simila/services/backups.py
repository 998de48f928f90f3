"""Use case: a whole collection in one file, out and in."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from simila.domain.errors import StorageFailed
from simila.index.catalogue import Catalogue
from simila.index.generations import remove_tree

_WRITTEN_AT_ONCE_BYTES = 2**20


class BackupService:
    """Backups of collections, and collections made of them. A file on its way is never held in memory."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def make(self, name: str) -> BinaryIO:
        """Back a collection up, as it is at this moment, to a file that has no name any more: closed, it is gone.

        Raises:
            StorageFailed: the disk has no room for it.
            CollectionUnavailable: a row is not what was written.

        """
        return await asyncio.to_thread(self._make, name)

    async def restore(self, name: str, content: AsyncIterator[bytes], *, replace: bool) -> bool:
        """Make a collection out of a backup, and say whether it replaced one.

        Nothing is changed before all of the backup is here and was checked.

        Raises:
            Conflict, InvalidInput, InvalidBackup, StorageFailed: see `Catalogue.restore`.

        """
        replaced = self._catalogue.check_restorable(name, replace=replace)
        folder = await asyncio.to_thread(self._catalogue.scratch_folder)
        try:
            backup = folder / "backup"
            await _receive(content, backup)
            await asyncio.to_thread(self._catalogue.restore, name, backup, replace=replace)
        finally:
            await asyncio.to_thread(remove_tree, folder)
        return replaced

    def _make(self, name: str) -> BinaryIO:
        collection = self._catalogue.get(name)
        folder = self._catalogue.scratch_folder()
        try:
            collection.backup_to(folder / "backup")
            return (folder / "backup").open("rb")
        finally:
            remove_tree(folder)


async def _receive(content: AsyncIterator[bytes], path: Path) -> None:
    waiting = bytearray()
    try:
        file = await asyncio.to_thread(path.open, "xb")
        with file:
            async for part in content:
                waiting += part
                if len(waiting) >= _WRITTEN_AT_ONCE_BYTES:
                    await asyncio.to_thread(file.write, bytes(waiting))
                    waiting.clear()
            await asyncio.to_thread(file.write, waiting)
    except OSError as error:
        raise StorageFailed(f"the backup cannot be kept: {os.strerror(error.errno or 0)}") from error
