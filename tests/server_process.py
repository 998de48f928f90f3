"""A real server in a process of its own, to be killed."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SERVE = (sys.executable, "-m", "simila", "serve")
READY_TIMEOUT_SECONDS = 60
# A busy machine takes longer, and is no reason to refuse; a test of overload sets its own limit.
PATIENT = {"SIMILA_ENGINE__MAX_QUEUE_SECONDS": "600"}


@dataclass
class ServerProcess:
    """`simila serve` on a free port. `ready_line` is what it printed when it was ready."""

    process: subprocess.Popen[str]
    ready_line: str
    seconds_to_ready: float

    @classmethod
    def start(
        cls, data_dir: Path, *, command: Sequence[str] = SERVE, environment: Mapping[str, str] | None = None
    ) -> Self:
        began = time.monotonic()
        process = subprocess.Popen(
            [*command, "--port", "0", "--data-dir", str(data_dir)],
            env={**PATIENT, **os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        line = process.stdout.readline()
        if "is ready on" not in line:
            process.kill()
            raise AssertionError(f"not ready: {line!r}; {process.communicate()[1]}")
        return cls(process, line, time.monotonic() - began)

    @property
    def url(self) -> str:
        found = re.search(r"https?://[\d.]+:\d+", self.ready_line)
        assert found
        return found[0]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def folder_with_models(folder: Path, repository_root: Path) -> Path:
    """A new data folder that shares its exported models with the other tests."""
    folder.mkdir()
    (folder / "models").symlink_to(repository_root, target_is_directory=True)
    return folder
