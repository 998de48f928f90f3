"""The body of a collection, built again in the background when it is due."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from simila.domain.errors import StorageFailed, UnknownCollection
from simila.domain.vectors import Float32
from simila.index.body import Body
from simila.index.body_builder import BuildCancelled, BuildWatch, build_body
from simila.index.body_file import remove_body, remove_leftovers, save_body
from simila.index.openmp import BUILD_CORES
from simila.index.recipes import FLAT_VALUES, Recipe, suitable_recipes
from simila.index.stored_vectors import StoredVectors
from simila.index.tuning import tuned
from simila.index.view import View
from simila.storage.collection_file import CollectionSpec
from simila.storage.freed_memory import give_back_freed_memory
from simila.telemetry.metrics import INDEX_BUILD_SECONDS, INDEX_BUILDS

logger = logging.getLogger("simila.index")
_MOST_DELETED_SHARE = 0.2
# A head that is this much of all is merged once it takes an eighth of the time that a flat collection may take.
_MOST_HEAD_SHARE = 0.25
_NOTICEABLE = 1 / 8
# After a failure, or when no kind of body meets the recall target, so much must change before the next attempt.
_CHANGE_BEFORE_RETRY = 1.5


@dataclass(frozen=True)
class BuildProgress:
    """A body that is being built: rows added to it, and rows in all."""

    kind: str
    rows_done: int
    rows_total: int


class BodyUpkeep:
    """Decides when a body is due, builds and tunes it in `executor`, publishes it, and saves it.

    A body is due when exact search over the head has become slow, or when too many of its rows are deleted. In place of
    one for few rows there is none. `publish` must make a view on the body it is given, or on none.
    """

    def __init__(
        self,
        folder: Path,
        spec: CollectionSpec,
        stored: StoredVectors,
        *,
        memory_bytes: int | None,
        executor: Executor,
        view: Callable[[], View],
        publish: Callable[[Body | None], None],
        outside_queries: Callable[[], Float32],
    ) -> None:
        self._folder = folder
        self._spec = spec
        self._stored = stored
        self._memory_bytes = memory_bytes
        self._executor = executor
        self._view = view
        self._publish = publish
        self._outside_queries = outside_queries
        self._lock = threading.Lock()
        self._is_running = False
        self._cancelled = False
        self._rows_at_failure: int | None = None
        self._forgettings = 0
        self._forgettings_in_body = 0
        self._saving = threading.Lock()
        self.progress: BuildProgress | None = None
        self.problem: str | None = None

    def start(self) -> None:
        """Begin: a body on disk that is not in the view could not be used."""
        self._with_disk(remove_leftovers if self._view().body else remove_body)
        self.consider()

    def consider(self) -> None:
        """Begin to build if a body is due and none is being built. Never waits."""
        with self._lock:
            if self._is_running or self._cancelled or not self._is_due(self._view()):
                return
            self._is_running = True
        self._executor.submit(self._run, self._build)

    def retune(self) -> None:
        """Tune the body again, on the queries that have been asked by now. Never waits."""
        with self._lock:
            if self._is_running or self._cancelled or self._view().body is None:
                return
            self._is_running = True
        self._executor.submit(self._run, self._tune)

    def forget(self) -> None:
        """Take the saved body off the disk, because it codes rows that are deleted, and have another built.

        What is being built may code them too, and will not be saved; what is being saved is waited for.

        Raises:
            StorageFailed: the disk refuses.

        """
        with self._saving:
            self._forgettings += 1
            if not self._cancelled:
                remove_body(self._folder)
        self.consider()

    def cancel(self) -> None:
        """Build no more. What is being built is dropped at its next step; what is being saved is waited for."""
        self._cancelled = True
        with self._saving:  # the folder may have another owner from now on
            return

    def _is_due(self, view: View) -> bool:
        rows = len(view)
        failed = self._rows_at_failure
        if failed is not None and failed / _CHANGE_BEFORE_RETRY <= rows <= failed * _CHANGE_BEFORE_RETRY:
            return False
        if view.body is not None and self._forgettings_in_body < self._forgettings:
            return True
        wasteful = view.body is not None and view.deleted_rows > _MOST_DELETED_SHARE * rows
        most_values = FLAT_VALUES * (_NOTICEABLE if view.head_rows > _MOST_HEAD_SHARE * rows else 1)
        slow = view.body is None or view.head_rows * self._spec.dimension > most_values
        return wasteful or (slow and bool(self._recipes(rows)))

    def _recipes(self, rows: int) -> Sequence[Recipe]:
        return suitable_recipes(rows, self._spec.dimension, self._memory_bytes, BUILD_CORES)

    def _run(self, task: Callable[[], None]) -> None:
        outcome = "done"
        try:
            with INDEX_BUILD_SECONDS.time():
                task()
        except (BuildCancelled, UnknownCollection):
            outcome = "cancelled"
            logger.info("collection %s: the index is not built any further", self._spec.name)
        except Exception as error:  # a collection without a new body serves exactly
            outcome = "failed"
            self._fail(str(error) or type(error).__name__)
            logger.exception("collection %s: the index could not be built", self._spec.name)
        finally:
            INDEX_BUILDS.labels(outcome).inc()
            self.progress = None
            give_back_freed_memory()
            with self._lock:
                self._is_running = False
        self.consider()  # much may have been written meanwhile

    def _build(self) -> None:
        forgettings = self._forgettings
        view = self._view()
        sequences = view.sequences()
        watch = BuildWatch(self._report, lambda: self._cancelled)
        recipes = self._recipes(len(sequences))
        if not recipes:
            self._published(None)
            self._with_disk(remove_body)
            return
        for recipe in recipes:
            self.progress = BuildProgress(recipe.kind, 0, len(sequences))
            body = build_body(recipe, self._stored, sequences, self._spec.dimension, watch)
            body = tuned(body, self._stored, self._outside_queries(), self._spec.recall_target, watch)
            assert body.measured
            logger.info("collection %s: %s of %d rows: %s", self._spec.name, recipe.kind, len(sequences), body.measured)
            if body.measured.meets_target:
                self._forgettings_in_body = forgettings
                self._published(body)
                self._save(body)
                return
        self._fail(f"no index of these vectors meets the recall target of {self._spec.recall_target:g}")

    def _tune(self) -> None:
        body = self._view().body
        assert body
        watch = BuildWatch(is_cancelled=lambda: self._cancelled)
        body = tuned(body, self._stored, self._outside_queries(), self._spec.recall_target, watch)
        assert body.measured
        logger.info("collection %s: tuned again: %s", self._spec.name, body.measured)
        self._published(body)
        if not body.measured.meets_target:
            self.problem = f"recent queries miss the recall target of {self._spec.recall_target:g}; see recall_at_10"
        self._save(body)

    def _save(self, body: Body) -> None:
        """Save the body that is published, unless it codes rows that are to be forgotten."""

        def save(folder: Path) -> None:
            if self._forgettings_in_body == self._forgettings:
                save_body(body, folder, store_id=self._spec.store_id)

        self._with_disk(save)

    def _published(self, body: Body | None) -> None:
        self._publish(body)
        self._rows_at_failure, self.problem = None, None

    def _with_disk(self, change: Callable[[Path], None]) -> None:
        """Change the folder, unless it is this collection's no more. What fails is told: the next start mends it."""
        with self._saving:
            if self._cancelled:
                return
            try:
                change(self._folder)
            except StorageFailed as error:
                self.problem = error.message
                logger.warning("%s; the next start tries again", error)

    def _fail(self, problem: str) -> None:
        self._rows_at_failure = len(self._view())
        self.problem = problem

    def _report(self, rows_done: int, rows_total: int) -> None:
        if self.progress:
            self.progress = BuildProgress(self.progress.kind, rows_done, rows_total)
