"""One collection: items that last, and their nearest neighbours."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from simila.domain.errors import InvalidVector, SimilaError
from simila.domain.vectors import Float32, Int64
from simila.index.asked_queries import AskedQueries, SyntheticQueries
from simila.index.body import Body, Measured
from simila.index.body_file import BodyUnusable, load_body
from simila.index.body_upkeep import BodyUpkeep
from simila.index.filtered_search import FilterAccount, FilteredSearch
from simila.index.neighbours import NO_SEQUENCE, Neighbours
from simila.index.search_result import SearchResult, hits_of
from simila.index.statistics import CollectionStatistics, IndexStatistics, disk_bytes
from simila.index.view import SearchAccount, View
from simila.storage.backup import BackupContents
from simila.storage.collection_file import CollectionSpec
from simila.storage.collection_store import CollectionStore
from simila.storage.freed_memory import give_back_freed_memory
from simila.storage.item_reader import ItemReader
from simila.storage.item_writes import Change, Delete, Operation
from simila.storage.where import Where

logger = logging.getLogger("simila.index")

ITEMS_FILE = "items.sqlite"
_CHUNK_ROWS = 8192
_CHECKED_ROWS = 512

R = TypeVar("R")


@dataclass(frozen=True)
class SearchQuery:
    """What to look for: the `limit` nearest of the items that match `where` and have none of the excluded ids."""

    vectors: Float32  # [q, d], unit length
    limit: int
    where: Where | None = None
    excluded_ids: Sequence[str] = ()
    exact: bool = False


class Collection:
    """A store, and an immutable view of what is searchable.

    A write is durable first, then in the view, then acknowledged. A search takes the view of the moment and waits for
    nobody: views are replaced, never changed. Rows that are gone from the store by the time they are read are left out,
    and the search goes on without them. Thread-safe; every method blocks. After `close`, every method raises
    `UnknownCollection`; a store that cannot be read makes each raise `CollectionUnavailable`.
    """

    def __init__(
        self,
        folder: Path,
        store: CollectionStore,
        *,
        executor: Executor,
        memory_bytes: int | None,
        synthetic_queries: SyntheticQueries | None = None,
    ) -> None:
        self.spec: CollectionSpec = store.spec
        self.reader: ItemReader = store.reader
        self.version = 0
        """Grows with each write."""
        self.folder = folder
        self._store = store
        self._view = View.empty(self.spec.dimension)
        self._newest = 0
        self._is_stale = False
        self._publishing = threading.Lock()
        self._filtered = FilteredSearch(store.reader, view=lambda: self._view, catch_up=self._catch_up)
        self._queries = AskedQueries(store.spec, synthetic_queries)
        self._upkeep = BodyUpkeep(
            folder,
            store.spec,
            store.reader,
            memory_bytes=memory_bytes,
            executor=executor,
            view=lambda: self._view,
            publish=self._publish,
            outside_queries=self._queries.vectors,
        )
        store.on_commit = self._apply

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        executor: Executor,
        memory_bytes: int | None = None,
        synthetic_queries: SyntheticQueries | None = None,
    ) -> Self:
        """Open a collection's folder: its body, if it can be used, and all vectors that are not in it.

        A body that is due is built in `executor`, with at most `memory_bytes` of memory. `synthetic_queries` gives
        vectors of another modality than the stored ones, on which the body is tuned too.

        Raises:
            CollectionUnavailable: the store is missing, damaged, or written by a newer Simila.

        """
        store = CollectionStore.open(folder / ITEMS_FILE)
        collection = cls(
            folder, store, executor=executor, memory_bytes=memory_bytes, synthetic_queries=synthetic_queries
        )
        try:
            with collection._publishing:
                collection._load()
        except BaseException:
            store.close()
            raise
        collection._upkeep.start()
        return collection

    def close(self, refusal: SimilaError | None = None) -> None:
        """Finish the writes that wait, or fail them and all later uses with `refusal`; let go of files and memory."""
        self._upkeep.cancel()
        self._store.close(refusal)
        self._view = View.empty(self.spec.dimension)

    def write(self, operation: Operation[R]) -> Future[R]:
        """Check an operation, and run it in the next transaction; when the future is done it is durable and searchable.

        Raises:
            InvalidInput, DuplicateId, InvalidVector: see the operation.

        """
        return self._store.submit(operation)

    def forget_deleted(self) -> bool:
        """Leave nothing of deleted items in the files, and have the index in memory made without them.

        False where a long read kept the log from being emptied: then it must be done again.

        Raises:
            StorageFailed: the disk refuses.

        """
        self._queries.clear()  # one may be an item's vector
        body = self._view.body
        if body is None:
            self._publish(None)
        self._upkeep.forget()
        return self._store.erase_deleted().result()

    def retire(self, refusal: SimilaError) -> Future[None]:
        """Refuse every write but those that came before; each fails with `refusal`. Searches go on."""
        return self._store.retire(refusal)

    def resume(self) -> None:
        """Take writes again after `retire`."""
        self._store.resume()

    def search(self, query: SearchQuery) -> SearchResult:
        """Find what is nearest to each of the query's vectors; min(limit, matches) hits for each.

        Raises:
            InvalidVector: a vector has another dimension, or a value that is not finite.

        """
        self._check(query.vectors)
        newest = self._newest
        excluded = self._sequences_of(query.excluded_ids)
        if not len(excluded) and self._queries.add(query.vectors):
            self._upkeep.retune()
        while True:
            neighbours, account, filter_account = self._neighbours(query, excluded)
            sequences = neighbours.sequences.tolist()
            wanted = set(chain.from_iterable(sequences)) - {NO_SEQUENCE}
            rows = self.reader.by_sequence(sorted(wanted))
            if len(rows) == len(wanted):
                return SearchResult(hits_of(sequences, neighbours.scores, rows), account, filter_account, newest)
            excluded = np.union1d(excluded, sorted(wanted - rows.keys()))
            self._catch_up()  # what replaced them is durable, and may not be in the view yet

    def nearest(self, vectors: Float32, limit: int) -> Neighbours:
        """The items nearest to each of `float32 [n, d], unit length`, by sequence, of which nothing is read.

        Unlike what people look for, these vectors do not count among the queries that the index is tuned on.
        """
        return self._neighbours(SearchQuery(vectors, limit), np.empty(0, np.int64))[0]

    def backup_to(self, path: Path) -> BackupContents:
        """Write everything, as it is at this moment, to one file, while writes go on.

        Raises:
            StorageFailed: the file cannot be written.

        """
        return self._store.backup_to(path)

    def check(self) -> None:
        """Read every page of the store, then every item: a filter reads payloads without their checksums.

        Raises:
            CollectionUnavailable: one is damaged.

        """
        self._store.check_pages()
        after = 0
        while rows := self.reader.page(after, _CHECKED_ROWS):
            self.reader.vectors(np.array([row.sequence for row in rows], dtype=np.int64))
            after = rows[-1].sequence
        give_back_freed_memory()

    @property
    def measured(self) -> Measured | None:
        """What the index did on held-out queries; None while every vector is compared."""
        body = self._view.body
        return body.measured if body else None

    def statistics(self) -> CollectionStatistics:
        view = self._view
        body = view.body
        index = IndexStatistics(
            kind=body.recipe.kind if body else "flat",
            head_rows=view.head_rows,
            deleted_rows=view.deleted_rows,
            setting=body.setting if body else None,
            measured=body.measured if body else None,
            building=self._upkeep.progress,
            problem=self._upkeep.problem,
        )
        reader = self.reader
        return CollectionStatistics(
            items=len(view),
            labels=reader.label_counts(),
            last_sequence=reader.last_sequence(),
            disk_bytes=disk_bytes(self.folder),
            payload_indexes=reader.payload_indexes(),
            index=index,
        )

    def _neighbours(
        self, query: SearchQuery, excluded: Int64
    ) -> tuple[Neighbours, SearchAccount, FilterAccount | None]:
        view, neighbours, account, filter_account = self._searched(query, excluded, after=0)
        lacking = account.body and account.body.lacking
        while lacking:  # perhaps replaced by rows that are durable, and not in this view yet
            self._catch_up()
            newest = int(view.sequences()[-1])
            view, later, later_account, _ = self._searched(query, excluded, after=newest)
            neighbours = Neighbours.best([neighbours, later], query.limit)
            lacking = later_account.body and later_account.body.lacking
        return neighbours, account, filter_account

    def _searched(
        self, query: SearchQuery, excluded: Int64, *, after: int
    ) -> tuple[View, Neighbours, SearchAccount, FilterAccount | None]:
        if query.where is not None:
            return self._filtered.search(
                query.vectors, query.limit, query.where, after=after, excluded=excluded, exact=query.exact
            )
        view = self._view
        allowed = view.sequences(after) if after else None
        found, account = view.search(
            query.vectors, query.limit, self.reader, allowed=allowed, excluded=excluded, exact=query.exact
        )
        return view, found, account, None

    def _catch_up(self) -> None:
        """Wait until the view has seen all that was committed before."""
        self.write(Delete(())).result()

    def _apply(self, changes: Sequence[Change]) -> None:
        """Put what was committed into the view; in the writer's thread, so nothing is committed meanwhile."""
        with self._publishing:
            self.version += 1
            try:
                if self._is_stale:
                    raise _StaleView
                view = self._view
                for change in changes:
                    view = view.with_changes(change.sequences, change.vectors, change.removed)
                self._view = view
                self._newest = max(
                    [self._newest, *(int(each.sequences[-1]) for each in changes if len(each.sequences))]
                )
            except Exception as error:  # noqa: BLE001  whatever it was, the store is the truth
                self._is_stale = True
                logger.warning("collection %s is read again from its store (%r)", self.spec.name, error)
                self._load()
        self._upkeep.consider()

    def _publish(self, body: Body | None) -> None:
        with self._publishing:
            self._view = self._view.with_body(body) if body else self._flattened(self._view)

    def _flattened(self, view: View) -> View:
        sequences, vectors = self.reader.vectors(view.sequences())
        return View.empty(self.spec.dimension).with_changes(sequences, vectors)

    def _load(self) -> None:
        """Make a view of the saved body and of what the store holds beside it."""
        body = self._usable_body(self.reader.sequences())
        view = View.empty(self.spec.dimension)
        if body:
            view = View.of_body(body, self.reader.sequences())
        for chunk in self.reader.scan(int(body.sequences[-1]) if body else 0, _CHUNK_ROWS):
            view = view.with_changes(chunk.sequences, chunk.vectors)
        self._view, self._newest, self._is_stale = view, self.reader.last_sequence(), False

    def _usable_body(self, stored: Int64) -> Body | None:
        try:
            body = load_body(self.folder, self.spec.store_id, self.spec.dimension)
            if body and body.sequences[-1] > self.reader.last_sequence():
                raise BodyUnusable("it is newer than the items")
            if body and not np.isin(stored[stored <= body.sequences[-1]], body.sequences, assume_unique=True).all():
                raise BodyUnusable("it lacks items")
        except BodyUnusable as error:
            logger.warning("collection %s: the index is built again: %s", self.spec.name, error)
            return None
        return body

    def _sequences_of(self, ids: Sequence[str]) -> Int64:
        found = [stored.sequence for stored in map(self.reader.get, ids) if stored]
        return np.array(sorted(found), dtype=np.int64)

    def _check(self, vectors: Float32) -> None:
        if vectors.ndim != 2 or vectors.shape[1] != self.spec.dimension:
            message = f"the query has {vectors.shape[-1]} dimensions; the vectors of collection {self.spec.name} have"
            raise InvalidVector(f"{message} {self.spec.dimension}", param="vector")
        if not np.isfinite(vectors).all():
            raise InvalidVector("the query has a value that is not finite", param="vector")


class _StaleView(Exception):
    """The view misses a write."""
