"""A real tritonserver in a process of its own, from the wheel nvidia-pytriton, to be paused and killed."""

import ctypes.util
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Self
from uuid import uuid4

from held_port import held_port

# Its Python backend reads no arrays of NumPy 2, so NumPy 1 lies beside it, out of the tests' own way.
REQUIREMENTS = ("nvidia-pytriton==0.7.0", "numpy==1.26.4", "flatbuffers", "packaging", "protobuf")
STANDS_IN_FOR_ONNXRUNTIME = Path(__file__).parent / "triton_onnxruntime.py"
TIMEOUT_SECONDS = 60
STARTED = "Started GRPCInferenceService"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def install_triton(folder: Path) -> Path:
    """Install what the server needs into a new `folder`, whole or not at all, and return it."""
    if not folder.exists():
        making = folder.with_name(f"{folder.name}-{uuid4().hex}")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--target", making, *REQUIREMENTS, f"onnxruntime=={version('onnxruntime')}"], check=True)
        making.rename(folder)
    return folder


def why_not() -> str | None:
    """What keeps the wheel from running here."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return "the wheel nvidia-pytriton is for Linux on x86-64"
    if tuple(map(int, platform.libc_ver()[1].split("."))) < (2, 35):
        return "the wheel nvidia-pytriton needs glibc 2.35"
    if not (_libpython_folder() / f"libpython{PYTHON}.so.1.0").exists() and not ctypes.util.find_library(
        f"python{PYTHON}"
    ):
        return f"Triton's Python backend needs libpython{PYTHON}.so"
    return None


@dataclass
class TritonServer:
    """tritonserver on a port of its own, which it keeps when it is started again."""

    command: Sequence[str | Path]
    environment: dict[str, str]
    port: int
    gate: Path
    shared_memory_prefix: str
    process: subprocess.Popen[str] | None = None
    log: deque[str] = field(default_factory=lambda: deque(maxlen=200))
    _reader: threading.Thread | None = None
    _hold: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def prepare(cls, installed: Path, repository: Path, models: Sequence[str], folder: Path) -> Self:
        """Make a server of these models, not yet running; `folder` is for its backends and its gate."""
        files = installed / "pytriton" / "tritonserver"
        backends, gate = folder / "backends", folder / "gate"
        gate.mkdir(parents=True)
        (backends / "onnxruntime").mkdir(parents=True)
        shutil.copy(STANDS_IN_FOR_ONNXRUNTIME, backends / "onnxruntime" / "model.py")
        shutil.copytree(files / "backends" / "python", backends / "python")
        shutil.copy(files / "python_backend_stubs" / PYTHON / "triton_python_backend_stub", backends / "python")
        hold = ExitStack()
        port, prefix = hold.enter_context(held_port()), f"simila-test-{uuid4().hex}"
        command = [
            files / "bin" / "tritonserver",
            *("--model-repository", repository, "--backend-directory", backends),
            *("--grpc-address", "127.0.0.1", "--grpc-port", str(port)),
            *("--allow-http", "false", "--allow-metrics", "false"),
            *("--backend-config", f"python,shm-region-prefix-name={prefix}"),
            *("--model-control-mode", "explicit", *(f"--load-model={model}" for model in models)),
        ]
        environment = {
            "PATH": os.environ["PATH"],
            "TRITON_PACKAGES": str(installed),
            "LD_LIBRARY_PATH": f"{installed / 'nvidia_pytriton.libs'}:{_libpython_folder()}",
            "TRITON_GATE": str(gate),
        }
        return cls(command, environment, port, gate, prefix, _hold=hold)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def rows_run(self) -> list[int]:
        """The rows of every request that ran, in their order."""
        runs = self.gate / "runs"
        return list(map(int, runs.read_text().split())) if runs.exists() else []

    @contextmanager
    def held_up(self) -> Iterator[Callable[[], None]]:
        """Let no batch run until the block ends; call what it gives to wait for the first batch that is held up."""
        closed, reached = self.gate / "closed", self.gate / "reached"
        reached.unlink(missing_ok=True)
        closed.touch()
        try:
            yield partial(wait_for, reached.exists)
        finally:
            closed.unlink()

    def start(self) -> Self:
        """Start it, unless it runs, and wait until it serves."""
        if self.process:
            return self
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert self.process.stdout
        for line in self.process.stdout:
            self.log.append(line)
            if STARTED in line:
                self._reader = threading.Thread(target=self.log.extend, args=(self.process.stdout,))
                self._reader.start()
                return self
        self.kill()
        raise AssertionError("tritonserver did not start:\n" + "".join(self.log))

    def signal(self, number: signal.Signals) -> None:
        assert self.process
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """Kill it and all its children, as a crash of the machine would; `start` brings it back."""
        if self.process:
            self.signal(signal.SIGKILL)
            self.process.wait()
            if self._reader:
                self._reader.join()
            assert self.process.stdout
            self.process.stdout.close()
            self.process = self._reader = None
        for left in Path("/dev/shm").glob(f"{self.shared_memory_prefix}*"):
            left.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._hold.close()


def _libpython_folder() -> Path:
    return Path(sysconfig.get_config_var("LIBDIR") or "")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
