"""Logs."""

import logging

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
QUIET = ("uvicorn", "httpx", "faiss")
# Warnings are about inputs, for instance damaged EXIF in an image that can be decoded all the same.
SILENT = "py.warnings"


def configure_logging(level: str) -> None:
    """Send records of at least `level` to standard error; other libraries speak up from warnings on."""
    logging.basicConfig(level=level.upper(), format=LINE, force=True)
    logging.captureWarnings(True)
    logging.getLogger(SILENT).setLevel(logging.ERROR)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
