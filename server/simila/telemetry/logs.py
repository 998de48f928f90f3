"""Logs, as text for a person or as one JSON object a line for a machine."""

import logging
from contextvars import ContextVar
from random import random
from typing import Literal

import structlog

from simila.telemetry.log_lines import NonBlockingHandler, standard_error_for_log

LogFormat = Literal["text", "json"]

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# Others tell at low levels what came to them: Pillow what stands in an image, httpcore where it asks.
OWN = ("simila", "simila_models")
# Their warnings are about inputs: damaged EXIF in an image that can be decoded all the same, bytes of a damaged form.
SILENT = ("py.warnings", "python_multipart")
SERVER_ERROR = 500
SERVER_FAULTS = frozenset(("UNKNOWN", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"))
"""The statuses of gRPC that OpenTelemetry counts as a server's errors, but for deadlines, which may be the client's."""

requests = logging.getLogger("simila.requests")
current_request_id: ContextVar[str | None] = ContextVar("current_request_id", default=None)


def configure_logging(level: str, log_format: LogFormat = "text") -> None:
    """Send records of at least `level` to standard error; other libraries speak up from warnings on.

    Once a process: nobody else waits for the reader of its standard error from then on.
    """
    handler = NonBlockingHandler(standard_error_for_log())
    handler.addFilter(_add_request_id)
    handler.setFormatter(_json_formatter() if log_format == "json" else _TextFormatter(LINE))
    logging.basicConfig(
        level=max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]), handlers=[handler], force=True
    )
    for name in OWN:
        logging.getLogger(name).setLevel(level.upper())
    logging.captureWarnings(True)
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)


class RequestLog:
    """One line a request, for `share` of them; for what failed in the server, always.

    A line has the route's pattern, never a path, a query or a body: what was sent may be nobody's business.
    """

    def __init__(self, share: float) -> None:
        self._share = share

    def answered(self, method: str, route: str, status: int | str, seconds: float, **more: str) -> None:
        """Log a request; `status` is that of HTTP, of which 499 is a client that left, or the name of gRPC's.

        `more` are fields such as ids.
        """
        has_failed = status in SERVER_FAULTS if isinstance(status, str) else status >= SERVER_ERROR
        if not has_failed and (not self._share or random() >= self._share):  # noqa: S311  a sample, no secret
            return
        fields = {"method": method, "route": route, "status": status, "milliseconds": round(1000 * seconds, 3), **more}
        requests.info("%s %s %s in %.1f ms", method, route, status, 1000 * seconds, extra=fields)


def _add_request_id(record: logging.LogRecord) -> bool:
    if request_id := current_request_id.get():
        record.request_id = request_id
    return True


class _TextFormatter(logging.Formatter):
    """Names the request behind the line, before any traceback."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        line, request_id = super().formatMessage(record), getattr(record, "request_id", None)
        return f"{line} (request {request_id})" if request_id else line


def _json_formatter() -> logging.Formatter:
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
