"""Log lines on their way to standard error, which may be a pipe that nobody reads."""

import logging
import os
import stat
from logging.handlers import QueueHandler, QueueListener
from queue import Full, Queue

from simila.telemetry.metrics import LOG_LINES_DROPPED

MOST_WAITING_LINES = 4096
FLUSH_SECONDS = 2.0
STANDARD_ERROR = 2

Lines = Queue[logging.LogRecord]


def standard_error_for_log() -> int:
    """A descriptor of standard error for whoever may wait for its reader. Nobody else in this process does from now on.

    Libraries in C and C++ write to standard error themselves. Where it is a pipe, it is opened once more, for this
    process alone and without waiting: what finds it full is lost. The descriptor returned waits, as those of the
    processes that share the pipe go on to.
    """
    waiting = os.dup(STANDARD_ERROR)
    if stat.S_ISFIFO(os.fstat(STANDARD_ERROR).st_mode):
        try:
            opened = os.open(f"/proc/self/fd/{STANDARD_ERROR}", os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # another user's pipe, or a system without /proc
            return waiting
        os.dup2(opened, STANDARD_ERROR)
        os.close(opened)
    return waiting


class NonBlockingHandler(QueueHandler):
    """Formats a record where it was logged and leaves its writing to a thread, so that whoever logs never waits.

    Lines that come while `MOST_WAITING_LINES` wait are dropped and counted; the next one that finds room comes behind
    a warning that says how many are missing. What was accepted is written when the handler is closed, as logging does
    at the process's end, but for what takes longer than `FLUSH_SECONDS`.
    """

    queue: Lines

    def __init__(self, descriptor: int) -> None:
        super().__init__(Queue(MOST_WAITING_LINES))
        self._missing = 0
        self._writer = _Writer(self.queue, descriptor)
        self._writer.start()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Never waits; logging calls it with the handler's lock."""
        try:
            if self._missing:
                self.queue.put_nowait(self.prepare(_told_of(self._missing)))
                self._missing = 0
            self.queue.put_nowait(record)
        except Full:
            self._missing += 1
            LOG_LINES_DROPPED.inc()

    def close(self) -> None:
        """Write what waits, and end the thread; one that cannot go on is left to the process's end."""
        self._writer.finish(FLUSH_SECONDS)
        super().close()


class _Writer(QueueListener):
    """Writes to the descriptor itself: a thread that stands still in `sys.stderr` holds a lock the exit waits for."""

    queue: Lines

    def __init__(self, lines: Lines, descriptor: int) -> None:
        super().__init__(lines)
        self._descriptor = descriptor

    def handle(self, record: logging.LogRecord) -> None:
        left = f"{record.getMessage()}\n".encode(errors="backslashreplace")
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            LOG_LINES_DROPPED.inc()

    def finish(self, seconds: float) -> None:
        """End once all that was accepted is written, if that is within `seconds`; may be called again."""
        with self.queue.all_tasks_done:
            is_written = self.queue.all_tasks_done.wait_for(lambda: not self.queue.unfinished_tasks, seconds)
        if is_written and self._thread:
            self.stop()


def _told_of(missing: int) -> logging.LogRecord:
    message = f"{missing} log lines were dropped here, because standard error was not read in time"
    told = {"name": "simila.telemetry", "levelno": logging.WARNING, "levelname": "WARNING", "msg": message}
    return logging.makeLogRecord({**told, "dropped": missing})
