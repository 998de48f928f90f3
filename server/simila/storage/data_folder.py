"""The data folder: one process owns it at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from simila.domain.errors import DataFolderError
from simila.storage.durable_folders import make_folder

_ADVICE = "--data-dir or SIMILA_DATA_DIR chooses another folder"
_OTHERS = 0o077


@contextmanager
def private_files() -> Iterator[None]:
    """Let what this process creates be its user's alone, while the block runs."""
    before = os.umask(_OTHERS)
    try:
        yield
    finally:
        os.umask(before)


class DataFolder:
    """Hold the folder `root` for this process while the `with` block runs; it is made if it is missing.

    The lock is the kernel's (`flock` on `root/.lock`), so it ends with the process, however that ends. The file names
    the process that holds it. What is created meanwhile is this user's alone.

    Raises:
        DataFolderError: another process holds the folder, or it cannot be made or written.

    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._held = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as held:
            held.enter_context(private_files())
            try:
                make_folder(self.root)
                descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise DataFolderError(f"the data folder {self.root} cannot be used ({error}); {_ADVICE}") from error
            # The file stays: were it removed, one process could lock the file that is gone and another a new one.
            held.callback(os.close, descriptor)
            self._lock(descriptor)
            self._held = held.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._held.close()

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            message = f"the data folder {self.root} is in use by another process (pid {holder}); stop it, or {_ADVICE}"
            raise DataFolderError(message) from error
        except OSError as error:
            raise DataFolderError(f"the data folder {self.root} cannot be locked ({error}); {_ADVICE}") from error
