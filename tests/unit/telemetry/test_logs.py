import json
import subprocess
import sys

BEFORE = """
import logging
from simila.telemetry.logs import RequestLog, configure_logging
configure_logging("info", "json")
"""


def logged(program):
    """What a process logs as JSON; its own, because logging is a process's."""
    command = [sys.executable, "-c", BEFORE + program]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [json.loads(line) for line in finished.stderr.splitlines()]


def test_a_request_is_one_object():
    [line] = logged('RequestLog(share=1).answered("POST", "/v1/embeddings", 200, 0.0123, request_id="r-1")')

    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "POST /v1/embeddings 200 in 12.3 ms",
        "level": "info",
        "logger": "simila.requests",
        "method": "POST",
        "route": "/v1/embeddings",
        "status": 200,
        "milliseconds": 12.3,
        "request_id": "r-1",
    }


def test_a_traceback_stays_on_its_line():
    [line] = logged(
        """
try:
    raise ValueError("two\\nlines")
except ValueError:
    logging.getLogger("simila.test").exception("it failed")
"""
    )

    assert line["event"] == "it failed"
    assert line["exception"].endswith("ValueError: two\nlines")


def test_a_share_of_the_requests_is_logged():
    lines = logged(
        """
log = RequestLog(share=0.1)
for _ in range(2000):
    log.answered("GET", "/v1/models", 200, 0.001)
"""
    )
    assert 100 < len(lines) < 300  # 200, and seven standard deviations


def test_what_failed_in_the_server_is_always_logged():
    [line] = logged(
        """
log = RequestLog(share=0)
log.answered("GET", "/v1/models", 404, 0.001)
log.answered("GET", "/v1/models", 500, 0.001)
"""
    )
    assert line["status"] == 500


def test_what_libraries_say_of_inputs_is_not_logged():
    lines = logged(
        """
import warnings
from python_multipart.multipart import MultipartParser
try:
    MultipartParser(b"B").write(b"--Bsecret")
except ValueError:
    warnings.warn("an image says so")
logging.getLogger("httpx").warning("of no input")
"""
    )
    assert [line["event"] for line in lines] == ["of no input"]
