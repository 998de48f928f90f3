"""All collections of a data folder, by name."""

import logging
import re
import secrets
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from simila.domain.errors import (
    CollectionUnavailable,
    DataFolderError,
    FingerprintMismatch,
    InvalidInput,
    StorageFailed,
    UnknownCollection,
)
from simila.index.collection import Collection, CollectionStatistics
from simila.storage.durable_folders import make_folder, rename_folder
from simila.storage.item_store import CollectionSpec, ItemStore

logger = logging.getLogger("simila.index")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_FILE = "items.sqlite"
# A folder of this prefix is half made or half removed. No collection is named like it.
_TRANSIENT = ".transient-"


@dataclass(frozen=True)
class Available:
    """A collection that serves."""

    spec: CollectionSpec
    statistics: CollectionStatistics


@dataclass(frozen=True)
class Unavailable:
    """A collection that cannot be read."""

    reason: str


class Catalogue:
    """The collections under `root`, one folder each.

    A collection that cannot be opened is listed with the reason, logged, and hinders no other; it can be dropped. After
    a crash a collection is whole or not there at all. Thread-safe; every method but `get` blocks.

    Raises:
        DataFolderError: `root` cannot be made or read.

    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        try:
            make_folder(root)
            folders = sorted(root.iterdir())
        except OSError as error:
            raise DataFolderError(f"the folder of collections {root} cannot be used: {error}") from error
        for folder in folders:
            if folder.name.startswith(_TRANSIENT):
                _remove(folder)
        self._entries: dict[str, Collection | Unavailable] = {
            folder.name: _opened(folder) for folder in folders if _NAME.fullmatch(folder.name) and folder.is_dir()
        }

    def create(self, name: str, *, encoder: str, fingerprint: str, dimension: int) -> tuple[Collection, bool]:
        """Return the collection of this name, and whether it was made now.

        Raises:
            InvalidInput: the name breaks the rule.
            FingerprintMismatch: there is one already, of another encoder or another revision of it.
            CollectionUnavailable: there is one already, and it cannot be read.
            StorageFailed: the disk refuses the write.

        """
        if not _NAME.fullmatch(name):
            rule = "1 to 64 characters, each a letter A-Z or a-z, a digit, '-' or '_', the first a letter or a digit"
            raise InvalidInput(f"a collection's name has {rule}", param="name")
        with self._lock:
            if name not in self._entries:
                created_at = datetime.now(UTC).isoformat(timespec="seconds")
                collection = self._made(CollectionSpec(name, encoder, fingerprint, dimension, created_at))
                self._entries[name] = collection
                return collection, True
            collection = self._available(name)
        spec = collection.spec
        if spec.fingerprint != fingerprint:
            holds = f"collection {name} holds vectors of encoder {spec.encoder} (fingerprint {spec.fingerprint[:12]})"
            other = f"those of {encoder} ({fingerprint[:12]}) need a collection of another name"
            raise FingerprintMismatch(f"{holds}; {other}", param="encoder")
        return collection, False

    def get(self, name: str) -> Collection:
        """Return the collection of this name; this never waits, so an event loop may call it.

        Raises:
            UnknownCollection: there is none.
            CollectionUnavailable: it cannot be read.

        """
        return self._available(name)

    def states(self) -> Mapping[str, Available | Unavailable]:
        """How each collection stands, by name, sorted."""
        with self._lock:
            entries = sorted(self._entries.items())
        states: dict[str, Available | Unavailable] = {}
        for name, entry in entries:
            try:
                states[name] = entry if isinstance(entry, Unavailable) else Available(entry.spec, entry.statistics())
            except CollectionUnavailable as error:
                states[name] = Unavailable(error.message)
            except UnknownCollection:  # dropped since the entries were read
                continue
        return states

    def drop(self, name: str) -> None:
        """Delete a collection with all its items.

        Raises:
            UnknownCollection: there is none.
            StorageFailed: the disk refuses; the collection is unavailable until the next start.

        """
        transient = self._transient(name)
        with self._lock:
            entry = self._entry(name)
            if isinstance(entry, Collection):
                # First, because SQLite removes its log by name when it closes: by then the name may be another's.
                entry.close()
            try:
                rename_folder(self._root / name, transient)
            except OSError as error:
                message = f"collection {name} cannot be deleted: {error}"
                self._entries[name] = Unavailable(message)
                raise StorageFailed(message) from error
            del self._entries[name]
        _remove(transient)

    def close(self) -> None:
        """Close all collections; the catalogue is empty afterwards."""
        with self._lock:
            entries, self._entries = self._entries, {}
        for entry in entries.values():
            if isinstance(entry, Collection):
                entry.close()

    def _entry(self, name: str) -> Collection | Unavailable:
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownCollection(f"there is no collection '{name}'", param="name") from None

    def _available(self, name: str) -> Collection:
        entry = self._entry(name)
        if isinstance(entry, Unavailable):
            raise CollectionUnavailable(entry.reason, param="name")
        return entry

    def _transient(self, name: str) -> Path:
        return self._root / f"{_TRANSIENT}{name}-{secrets.token_hex(4)}"

    def _made(self, spec: CollectionSpec) -> Collection:
        transient, folder = self._transient(spec.name), self._root / spec.name
        try:
            transient.mkdir(mode=0o700)
            ItemStore.create(transient / _FILE, spec).close()
            rename_folder(transient, folder)
        except (OSError, StorageFailed) as error:
            _remove(transient)
            raise StorageFailed(f"collection {spec.name} cannot be created: {error}") from error
        return Collection.open(folder / _FILE)


def _opened(folder: Path) -> Collection | Unavailable:
    try:
        collection = Collection.open(folder / _FILE)
    except Exception as error:  # whatever is wrong with this one, the others serve
        logger.exception("collection %s is unavailable", folder.name)
        return Unavailable(str(error) or type(error).__name__)
    if collection.spec.name != folder.name:
        collection.close()
        reason = f"folder {folder.name} holds the collection {collection.spec.name}: give the folder that name again"
        logger.error("collection %s is unavailable: %s", folder.name, reason)
        return Unavailable(reason)
    return collection


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("%s is left over, and cannot be removed before the next start: %s", folder, error)
