"""One writer: what shares a transaction, and who is told of what goes wrong."""

import sqlite3
import threading
from contextlib import closing

import pytest

from simila.domain.errors import StorageFailed, UnknownCollection
from simila.storage.group_commit import GroupCommit, Outcome

TIMEOUT_SECONDS = 30


class NoUpkeep:
    def after_commit(self):
        pass

    def idle_step(self):
        return False


class FailingCommits(sqlite3.Connection):
    """A disk that refuses to sync, as often as told."""

    failures = 0

    def execute(self, statement, *values):
        if statement == "COMMIT" and self.failures:
            self.failures -= 1
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(statement, *values)


class Recorder:
    """A writer over a table of numbers, and what it told."""

    def __init__(self, path, upkeep=None):
        self.path = path
        self.commits = []
        self.error = None
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=FailingCommits)
        self.connection.execute("CREATE TABLE numbers (number INTEGER UNIQUE)")
        self.writer = GroupCommit(self.connection, "shoes", self.on_commit, upkeep or NoUpkeep())

    def on_commit(self, changes):
        self.commits.append(list(changes))
        if self.error:
            raise self.error

    def stored(self):
        with closing(sqlite3.connect(self.path)) as connection:
            return [number for (number,) in connection.execute("SELECT number FROM numbers ORDER BY 1")]

    def held(self):
        """Keep the writer within an operation until the event is set, so that what comes now waits together."""
        begun, go_on = threading.Event(), threading.Event()

        def wait(_):
            begun.set()
            assert go_on.wait(TIMEOUT_SECONDS)
            return Outcome(None, "held")

        self.writer.submit(wait)
        assert begun.wait(TIMEOUT_SECONDS)
        return go_on


@pytest.fixture
def recorder(tmp_path):
    recorder = Recorder(tmp_path / "numbers.sqlite")
    yield recorder
    recorder.writer.close()
    recorder.connection.close()


def add(number):
    def run(connection):
        connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        return Outcome(f"added {number}", number)

    return run


def fail(error):
    def run(connection):
        connection.execute("INSERT INTO numbers VALUES (99)")
        raise error

    return run


def result(future):
    return future.result(TIMEOUT_SECONDS)


def test_what_waits_together_shares_one_commit_in_order(recorder):
    go_on = recorder.held()
    futures = [recorder.writer.submit(add(number)) for number in (3, 1, 2)]
    go_on.set()
    assert [result(future) for future in futures] == ["added 3", "added 1", "added 2"]
    assert recorder.commits == [["held"], [3, 1, 2]]


def test_a_caller_is_told_after_it_is_durable_and_taken_over(recorder):
    seen = []
    recorder.writer._on_commit = lambda changes: seen.append((list(changes), recorder.stored(), future.done()))
    go_on = recorder.held()
    future = recorder.writer.submit(add(1))
    go_on.set()
    result(future)
    assert seen[-1] == ([1], [1], False)


def test_an_operation_that_raises_fails_alone(recorder):
    go_on = recorder.held()
    before, failing, after = (recorder.writer.submit(run) for run in (add(1), fail(ValueError("mine")), add(2)))
    go_on.set()
    with pytest.raises(ValueError, match="mine"):
        result(failing)
    assert (result(before), result(after)) == ("added 1", "added 2")
    assert recorder.stored() == [1, 2]
    assert recorder.commits[-1] == [1, 2]


def test_an_error_of_sqlite_fails_its_operation_alone(recorder):
    go_on = recorder.held()
    first, again, other = (recorder.writer.submit(add(number)) for number in (1, 1, 2))
    go_on.set()
    assert result(first) == "added 1"
    with pytest.raises(StorageFailed, match="collection shoes: nothing was written: UNIQUE"):
        result(again)
    assert result(other) == "added 2"
    assert recorder.stored() == [1, 2]


def test_where_all_fail_nothing_is_taken_over(recorder):
    with pytest.raises(ValueError, match="mine"):
        result(recorder.writer.submit(fail(ValueError("mine"))))
    assert recorder.commits == []


def test_a_commit_that_fails_fails_all_and_the_writer_lives_on(recorder):
    go_on = recorder.held()
    futures = [recorder.writer.submit(add(number)) for number in (1, 2)]
    recorder.connection.failures = 2  # of the group that is held, and of the one that waits
    go_on.set()
    for future in futures:
        with pytest.raises(StorageFailed, match="nothing was written: disk I/O error"):
            result(future)
    assert recorder.stored() == recorder.commits == []
    assert result(recorder.writer.submit(add(1))) == "added 1"
    assert recorder.stored() == [1]


def test_when_sqlite_undoes_a_whole_transaction_all_of_it_fail(recorder):
    def undo(connection):
        connection.execute("INSERT OR ROLLBACK INTO numbers VALUES (1)")

    go_on = recorder.held()
    first, undoing, last = (recorder.writer.submit(run) for run in (add(1), undo, add(2)))
    go_on.set()
    for future in (first, undoing, last):
        with pytest.raises(StorageFailed, match="nothing was written: UNIQUE"):
            result(future)
    assert recorder.stored() == []
    assert result(recorder.writer.submit(add(2))) == "added 2"


def test_an_index_that_fails_tells_the_writers_and_the_rows_stay(recorder):
    recorder.error = RuntimeError("the index broke")
    with pytest.raises(RuntimeError, match="the index broke"):
        result(recorder.writer.submit(add(1)))
    assert recorder.stored() == [1]
    recorder.error = None
    assert result(recorder.writer.submit(add(2))) == "added 2"


def test_a_cancelled_operation_is_not_run(recorder):
    go_on = recorder.held()
    cancelled, kept = recorder.writer.submit(add(1)), recorder.writer.submit(add(2))
    assert cancelled.cancel()
    go_on.set()
    assert result(kept) == "added 2"
    assert recorder.stored() == [2]


def test_closing_finishes_what_waits_and_refuses_what_comes(recorder):
    go_on = recorder.held()
    futures = [recorder.writer.submit(add(number)) for number in range(200)]
    closing_thread = threading.Thread(target=recorder.writer.close)
    closing_thread.start()
    go_on.set()
    closing_thread.join(TIMEOUT_SECONDS)
    assert [result(future) for future in futures] == [f"added {number}" for number in range(200)]
    assert recorder.stored() == list(range(200))
    with pytest.raises(UnknownCollection, match="shoes is closed"):
        recorder.writer.submit(add(200))


def test_the_writer_ends_when_it_has_nothing_to_do_and_begins_anew(recorder):
    assert result(recorder.writer.submit(add(1))) == "added 1"
    thread = recorder.writer._thread
    thread.join(TIMEOUT_SECONDS)
    assert recorder.writer._thread is None
    assert result(recorder.writer.submit(add(2))) == "added 2"


def test_upkeep_that_fails_is_put_off(tmp_path, caplog):
    class Failing(NoUpkeep):
        def after_commit(self):
            raise sqlite3.OperationalError("database or disk is full")

    recorder = Recorder(tmp_path / "numbers.sqlite", Failing())
    assert [result(recorder.writer.submit(add(number))) for number in (1, 2)] == ["added 1", "added 2"]
    recorder.writer.close()
    recorder.connection.close()
    assert "shoes: its file could not be tidied" in caplog.text
    assert recorder.stored() == [1, 2]


def test_many_threads_get_their_own_answers(recorder):
    answers = {}

    def write(first):
        for number in range(first, first + 50):
            answers[number] = result(recorder.writer.submit(add(number)))

    threads = [threading.Thread(target=write, args=(50 * part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    assert answers == {number: f"added {number}" for number in range(400)}
    assert recorder.stored() == list(range(400))
    assert sorted(number for changes in recorder.commits for number in changes) == list(range(400))
