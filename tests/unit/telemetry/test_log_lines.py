"""Logging to a pipe that nobody reads. Each in a process of its own, because logging is a process's."""

import fcntl
import json
import os
import re
import subprocess
import sys

import pytest

from simila.telemetry.log_lines import MOST_WAITING_LINES

CONFIGURED = """
import logging, signal, sys
signal.alarm(60)  # rather than to stand still for ever
from simila.telemetry import log_lines
from simila.telemetry.logs import configure_logging
from simila.telemetry.metrics import LOG_LINES_DROPPED
configure_logging("info", "json")
log_lines.FLUSH_SECONDS = 20  # the reader of a small pipe, on a busy machine
log = logging.getLogger("simila.test").info
"""
PIPE_BYTES = 4096
LINES = 2 * MOST_WAITING_LINES


def started(program: str, stderr=subprocess.PIPE) -> subprocess.Popen[str]:
    """A process whose standard error is a small pipe, unless it is given."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": stderr}
    return subprocess.Popen([sys.executable, "-c", CONFIGURED + program], text=True, pipesize=PIPE_BYTES, **pipes)


def test_whoever_logs_goes_on_and_is_told_how_many_lines_were_dropped():
    program = f"""
for number in range({LINES}):
    log(str(number))
print(int(LOG_LINES_DROPPED._value.get()), flush=True)
sys.stdin.read()
log("last")
"""
    with started(program) as process:
        dropped = int(process.stdout.readline())
        before = [json.loads(process.stderr.readline())["event"] for _ in range(LINES - dropped)]
        after, _ = process.communicate("\n", timeout=60)[::-1]

    assert 0 < dropped <= LINES - MOST_WAITING_LINES
    assert before == [str(number) for number in range(LINES - dropped)], "the first lines, in their order"
    warning, last = map(json.loads, after.splitlines())
    assert (warning["dropped"], warning["level"]) == (dropped, "warning")
    assert re.match(rf"{dropped} log lines were dropped here", warning["event"])
    assert last["event"] == "last"


def test_what_was_accepted_is_written_at_exit():
    with started(f"for number in range({MOST_WAITING_LINES}): log(str(number))") as process:
        _, written = process.communicate(timeout=60)

    assert [json.loads(line)["event"] for line in written.splitlines()] == [
        str(number) for number in range(MOST_WAITING_LINES)
    ]


@pytest.mark.parametrize("is_closed", [False, True], ids=["unread", "closed"])
def test_a_process_ends_as_it_wants_to_whatever_becomes_of_its_lines(is_closed):
    program = (
        f"log_lines.FLUSH_SECONDS = 1\nfor number in range({MOST_WAITING_LINES}): log(str(number))\nraise SystemExit(7)"
    )
    with started(program) as process:
        if is_closed:
            process.stderr.close()
        assert process.wait(60) == 7


def test_a_library_that_writes_to_standard_error_itself_does_not_wait_for_a_reader():
    program = f"""
import os
import faiss
import numpy as np
for number in range({MOST_WAITING_LINES}): log(str(number))
try:
    while True:
        os.write(2, b"filling up\\n")
except BlockingIOError:
    faiss.Kmeans(2, 10).train(np.ones((20, 2), dtype=np.float32))  # a warning by fprintf: too few for ten clusters
    print("trained", flush=True)
sys.stdin.read()
"""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    with os.fdopen(reader) as lines, os.fdopen(writer, "w") as shared, started(program, stderr=shared) as process:
        assert process.stdout.readline() == "trained\n"
        assert os.get_blocking(writer), "others who write to the pipe wait as before"
        shared.close()
        process.stdin.close()
        written = [line for line in lines if line.startswith("{")]
        assert process.wait(60) == 0
    assert [json.loads(line)["event"] for line in written] == [str(number) for number in range(MOST_WAITING_LINES)]
