"""Logs."""

import logging

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
QUIET = ("uvicorn", "httpx", "faiss")


def configure_logging(level: str) -> None:
    """Send records of at least `level` to standard error; other libraries speak up from warnings on."""
    logging.basicConfig(level=level.upper(), format=LINE, force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
