"""All collections of a data folder, by name."""

import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from simila.domain.errors import (
    CollectionUnavailable,
    Conflict,
    DataFolderError,
    StorageFailed,
    UnknownCollection,
)
from simila.domain.vectors import Float32
from simila.index.collection import ITEMS_FILE, Collection
from simila.index.collection_rules import check_name, check_same, is_name
from simila.index.collection_state import Available, Unavailable
from simila.index.generations import (
    current_generation,
    make_current,
    new_generation,
    remove_other_generations,
    remove_tree,
)
from simila.storage.backup import restore_backup
from simila.storage.collection_file import CollectionSpec
from simila.storage.collection_store import CollectionStore
from simila.storage.durable_folders import make_folder, rename_folder

logger = logging.getLogger("simila.index")
# More than are given before a migration ends; JSON numbers hold two million times as many.
SEQUENCES_A_GENERATION = 2**32
# A folder of this prefix is half made or half removed. No collection is named like it.
_TRANSIENT = ".transient-"


class Catalogue:
    """The collections under `root`, one folder each.

    A collection that cannot be opened is listed with the reason, logged, and hinders no other; it can be dropped. After
    a crash a collection is whole or not there at all. Bodies are built, and stores checked, by one thread in the
    background; a collection whose store turns out to be damaged becomes unavailable. `memory_bytes` is what the body of
    one collection may take; for `synthetic_queries` see `Collection.open`. Thread-safe; every method but `get` blocks.

    Raises:
        DataFolderError: `root` cannot be made or read.

    """

    def __init__(
        self,
        root: Path,
        *,
        memory_bytes: int | None = None,
        synthetic_queries: Callable[[CollectionSpec], Float32] | None = None,
    ) -> None:
        self._root = root
        self._background = ThreadPoolExecutor(1, thread_name_prefix="index")
        self._checks = ThreadPoolExecutor(1, thread_name_prefix="check")
        self._open = partial(
            Collection.open,
            executor=self._background,
            memory_bytes=memory_bytes,
            synthetic_queries=synthetic_queries,
        )
        self._lock = threading.Lock()
        try:
            make_folder(root)
            folders = sorted(root.iterdir())
        except OSError as error:
            raise DataFolderError(f"the folder of collections {root} cannot be used: {error}") from error
        for folder in folders:
            if folder.name.startswith(_TRANSIENT):
                remove_tree(folder)
        self._entries: dict[str, Collection | Unavailable] = {
            folder.name: self._opened(folder) for folder in folders if is_name(folder.name) and folder.is_dir()
        }

    def create(self, spec: CollectionSpec) -> tuple[Collection, bool]:
        """Return the collection of this name, and whether it was made now.

        Raises:
            InvalidInput: the name breaks the rule.
            FingerprintMismatch: there is one already, of another encoder or another revision of it.
            Conflict: there is one already that keeps its vectors or its sources otherwise.
            CollectionUnavailable: there is one already, and it cannot be read.
            StorageFailed: the disk refuses the write.

        """
        check_name(spec.name)
        with self._lock:
            if spec.name not in self._entries:
                collection = self._made(spec)
                self._entries[spec.name] = collection
                return collection, True
            collection = self._available(spec.name)
        check_same(collection.spec, spec)
        return collection, False

    def new_generation(self, spec: CollectionSpec) -> Collection:
        """Make an empty collection beside the one of its name, which goes on serving until `switch`.

        Its sequences are past all that the old one will give, so that whoever pages through the items by them sees some
        twice after the switch, and misses none.

        Raises:
            UnknownCollection, CollectionUnavailable: there is none of this name, or it cannot be read.
            StorageFailed: the disk refuses the write.

        """
        last = self._available(spec.name).reader.last_sequence()
        try:
            generation = new_generation(self._root / spec.name)
            begins_after = (last // SEQUENCES_A_GENERATION + 1) * SEQUENCES_A_GENERATION
            CollectionStore.create(generation / ITEMS_FILE, spec, after_sequence=begins_after).close()
        except OSError as error:
            raise StorageFailed(f"collection {spec.name} cannot be written anew: {error}") from error
        return self._open(generation)

    def switch(self, collection: Collection, *, instead_of: Collection | None = None) -> Collection | None:
        """Let a new generation serve in the place of the collection of its name.

        Return the old one, if it could be read: whoever searches it may finish, and `discard` removes it.

        Raises:
            UnknownCollection: there is none of this name any more.
            Conflict: it is another than `instead_of` by now.
            StorageFailed: the disk refuses; the old one goes on serving.

        """
        name = collection.spec.name
        with self._lock:
            old = self._entry(name)
            if instead_of not in (None, old):
                raise Conflict(f"collection {name} was replaced meanwhile", param="name")
            try:
                make_current(collection.folder)
            except OSError as error:
                raise StorageFailed(f"collection {name} cannot be switched to its new generation: {error}") from error
            self._entries[name] = collection
        return old if isinstance(old, Collection) else None

    def discard(self, collection: Collection) -> None:
        """Close a generation that serves no more, or never did, and remove it."""
        message = f"collection {collection.spec.name} was replaced meanwhile; send this again"
        collection.close(CollectionUnavailable(message, param="name"))
        # A disk that failed at the wrong moment may name it as the one to serve from the next start on.
        if collection.folder.parent.exists() and current_generation(collection.folder.parent) != collection.folder:
            remove_tree(collection.folder)

    def scratch_folder(self) -> Path:
        """Make a folder on the disk of the collections. Whoever asked for it removes it; if not, the next start does.

        Raises:
            StorageFailed: the disk refuses.

        """
        folder = self._transient("scratch")
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise StorageFailed(f"no folder can be made beside the collections: {error}") from error
        return folder

    def check_restorable(self, name: str, *, replace: bool) -> bool:
        """Say whether there is a collection of this name, which a restored one would replace.

        Raises:
            Conflict: there is one, and `replace` is false.
            InvalidInput: the name breaks the rule.

        """
        check_name(name)
        exists = name in self._entries
        if exists and not replace:
            message = f"there is a collection {name}; to replace it, say replace=true, or give another name"
            raise Conflict(message, param="name")
        return exists

    def restore(self, name: str, backup: Path, *, replace: bool) -> Collection:
        """Make a collection out of a backup in a `scratch_folder`, checked whole before anything changes.

        The backup is gone afterwards. Until the new collection serves, the old one does.

        Raises:
            Conflict, InvalidInput: see `check_restorable`.
            InvalidBackup: naming what is wrong with the backup.
            StorageFailed: the disk refuses the write.

        """
        exists = self.check_restorable(name, replace=replace)
        folder = self._root / name if exists else self._transient(name)
        folder.mkdir(mode=0o700, exist_ok=True)
        generation = new_generation(folder)
        try:
            restore_backup(backup, generation / ITEMS_FILE, name)
            if not exists:
                make_current(generation)
                return self._installed(name, folder)
            collection = self._open(generation)
        except BaseException:
            remove_tree(generation if exists else folder)
            raise
        try:
            old = self.switch(collection)
        except BaseException:
            self.discard(collection)
            raise
        if old:
            self.discard(old)
        return collection

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
        remove_tree(transient)

    def close(self) -> None:
        """Close all collections; the catalogue is empty afterwards."""
        with self._lock:
            entries, self._entries = self._entries, {}
        for entry in entries.values():
            if isinstance(entry, Collection):
                entry.close()
        self._background.shutdown()
        self._checks.shutdown()

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
            generation = new_generation(transient)
            CollectionStore.create(generation / ITEMS_FILE, spec).close()
            make_current(generation)
            rename_folder(transient, folder)
        except (OSError, StorageFailed) as error:
            remove_tree(transient)
            if isinstance(error, StorageFailed):
                raise
            raise StorageFailed(f"collection {spec.name} cannot be created: {error}") from error
        return self._open(current_generation(folder))

    def _installed(self, name: str, transient: Path) -> Collection:
        with self._lock:
            if name in self._entries:
                raise Conflict(f"there is a collection {name} by now")
            rename_folder(transient, self._root / name)
            collection = self._entries[name] = self._open(current_generation(self._root / name))
            return collection

    def _opened(self, folder: Path) -> Collection | Unavailable:
        try:
            remove_other_generations(folder)
            collection = self._open(current_generation(folder))
        except CollectionUnavailable as error:
            logger.error("collection %s is unavailable: %s", folder.name, error)
            return Unavailable(error.message)
        except Exception as error:  # whatever is wrong with this one, the others serve
            logger.exception("collection %s is unavailable", folder.name)
            return Unavailable(str(error) or type(error).__name__)
        if collection.spec.name != folder.name:
            collection.close()
            reason = (
                f"folder {folder.name} holds the collection {collection.spec.name}: give the folder that name again"
            )
            logger.error("collection %s is unavailable: %s", folder.name, reason)
            return Unavailable(reason)
        self._checks.submit(self._check, collection)
        return collection

    def _check(self, collection: Collection) -> None:
        try:
            collection.check()
        except CollectionUnavailable as error:
            logger.error("collection %s is unavailable: %s", collection.spec.name, error)
            with self._lock:
                if self._entries.get(collection.spec.name) is collection:
                    self._entries[collection.spec.name] = Unavailable(error.message)
            collection.close()
        except UnknownCollection:  # closed meanwhile
            return
