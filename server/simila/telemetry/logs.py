"""Logs, as text for a person or as one JSON object a line for a machine."""

import logging
from random import random
from typing import Literal

import structlog

LogFormat = Literal["text", "json"]

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
QUIET = ("uvicorn", "httpx", "faiss")
# Warnings are about inputs, for instance damaged EXIF in an image that can be decoded all the same.
SILENT = "py.warnings"
SERVER_ERROR = 500

requests = logging.getLogger("simila.requests")


def configure_logging(level: str, log_format: LogFormat = "text") -> None:
    """Send records of at least `level` to standard error; other libraries speak up from warnings on."""
    logging.basicConfig(level=level.upper(), format=LINE, force=True)
    if log_format == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(_json_formatter())
    logging.captureWarnings(True)
    logging.getLogger(SILENT).setLevel(logging.ERROR)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class RequestLog:
    """One line a request, for `share` of them; for what failed in the server, always.

    A line has the route's pattern, never a path, a query or a body: what was sent may be nobody's business.
    """

    def __init__(self, share: float) -> None:
        self._share = share

    def answered(self, method: str, route: str, status: int, seconds: float, **more: str) -> None:
        """Log a request; `more` are fields such as ids. A client that left has the status 499."""
        if status < SERVER_ERROR and (not self._share or random() >= self._share):  # noqa: S311  a sample, no secret
            return
        fields = {"method": method, "route": route, "status": status, "milliseconds": round(1000 * seconds, 3), **more}
        requests.info("%s %s %d in %.1f ms", method, route, status, 1000 * seconds, extra=fields)


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
