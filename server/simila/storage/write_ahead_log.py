"""The write-ahead log of a collection's file: whether SQLite will read every transaction in it that was acknowledged.

SQLite ends a log at the first frame that fails its checksum, as it must where a crash cut the last transaction short.
A bit that flips further ahead looks the same to it, and the transactions after that are gone without a word.

Format: https://sqlite.org/fileformat2.html#the_write_ahead_log
"""

import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from simila.storage.connections import unavailable

_HEADER = struct.Struct(">IIIIQII")  # magic, version, page size, checkpoints, salts, checksum
_HEADER_SUMMED_BYTES = 24
_ORDERS = {0x377F0682: "<", 0x377F0683: ">"}  # by magic: how the checksums read words
_SMALLEST_LOG_BYTES = _HEADER.size + 24 + 512
_CHUNK_BYTES = 4 * 2**20

_Words = npt.NDArray[np.uint32]
_Flags = npt.NDArray[np.bool_]


class _Frames(NamedTuple):
    """The frames of a log, each array [frames]."""

    is_current: _Flags  # it has the salts of the header, so is of no earlier use of the file
    is_commit: _Flags  # it is the last of a transaction
    follows: _Flags  # its checksum is right, given the one that the frame before it states


def check_log(path: Path) -> None:
    """Compare all checksums of the log of a database, if it left one; nothing is written.

    A log whose last transaction is torn passes: nobody was told of that one.

    Raises:
        CollectionUnavailable: acknowledged transactions are lost, or the log cannot be read.

    """
    log = path.with_name(f"{path.name}-wal")
    try:
        if not log.exists() or log.stat().st_size < _SMALLEST_LOG_BYTES:
            return
        with log.open("rb") as file:
            frames = _read(file)
    except OSError as error:
        raise unavailable(path, f"its write-ahead log gives an error: {error.strerror}") from error
    if frames is None:
        raise unavailable(path, "the header of its write-ahead log is damaged, so all writes in the log are lost")
    if lost := _lost(frames):
        raise unavailable(path, f"its write-ahead log is damaged, and with it {lost} frames of writes are lost")


def _lost(frames: _Frames) -> int:
    """How many frames SQLite will pass over, if a transaction that was acknowledged is among them."""
    is_read = np.logical_and.accumulate(frames.is_current & frames.follows)
    (commits,) = np.nonzero(is_read & frames.is_commit)
    start = commits[-1] + 1 if len(commits) else 0
    # A frame is put after a commit only once that is durable. Two commits alone would prove nothing: a torn transaction
    # stays in the log, and the next may be torn over its beginning.
    is_proof = frames.is_commit[start:-1] & frames.is_current[start + 1 :] & frames.follows[start + 1 :]
    return int(frames.is_current[start:].sum()) if is_proof.any() else 0


def _read(file: BinaryIO) -> _Frames | None:
    """Every frame of the log; None if its header is damaged."""
    header = file.read(_HEADER.size)
    magic, _, page_bytes, _, salts, *checksum = _HEADER.unpack(header)
    order = _ORDERS.get(magic)
    if order is None:
        return None
    before = np.zeros((2, 1), dtype=np.uint32)
    words = np.frombuffer(header[:_HEADER_SUMMED_BYTES], dtype=f"{order}u4").astype(np.uint32)[:, None]
    if _checksums(before, words).ravel().tolist() != checksum:
        return None
    frame = np.dtype(
        [("head", f"{order}u4", 2), ("salts", ">u8"), ("checksum", ">u4", 2), ("page", f"{order}u4", page_bytes // 4)]
    )
    before = np.array(checksum, dtype=np.uint32)[:, None]
    chunks = []
    while content := file.read(_CHUNK_BYTES // frame.itemsize * frame.itemsize):
        rows = np.frombuffer(content, dtype=frame, count=len(content) // frame.itemsize)
        chunk, before = _examined(rows, salts, before)
        chunks.append(chunk)
    return _Frames(*map(np.concatenate, zip(*chunks, strict=True)))


def _examined(rows: npt.NDArray[Any], salts: int, before: _Words) -> tuple[_Frames, _Words]:
    """Examine frames that come after one with the checksum `before`, uint32 [2, 1]; the last one's comes back."""
    stated = rows["checksum"].T.astype(np.uint32)
    words = np.concatenate([rows["head"], rows["page"]], axis=1).T.astype(np.uint32, order="C")
    starts = np.concatenate([before, stated], axis=1)
    follows = (_checksums(starts[:, :-1], words) == stated).all(axis=0)
    return _Frames(rows["salts"] == salts, rows["head"][:, 1] != 0, follows), starts[:, -1:]


def _checksums(starts: _Words, words: _Words) -> _Words:
    """SQLite's checksums of many frames at once: a frame's begins with that of the frame before.

    Args:
        starts: uint32 [2, frames].
        words: uint32 [words, frames].

    """
    first, second = starts.copy()
    for even, odd in zip(words[0::2], words[1::2], strict=True):
        first += even
        first += second
        second += odd
        second += first
    return np.stack([first, second])
