"""A package index in a folder, and progress that is written down."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest

FAKE_PIP = """
import os, pathlib, sys, time
folder = pathlib.Path(os.environ["TMPDIR"])
{body}
"""


@dataclass
class Wheelhouse:
    """A folder that pip takes for its index."""

    folder: Path

    def add(self, name: str, members: dict[str, bytes], *, requires: str = "") -> Path:
        path = self.folder / f"{name}-1.0-py3-none-any.whl"
        info = f"{name}-1.0.dist-info"
        with ZipFile(path, "w", ZIP_STORED) as wheel:
            for member, content in members.items():
                wheel.writestr(member, content)
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
        return path


@dataclass
class Recorder:
    """A `Progress` that keeps what it is told, as (description, done, total, unit)."""

    steps: list[tuple[str, int, int | None, str]] = field(default_factory=list)

    def step(self, description: str, done: int, total: int | None, *, unit: str) -> None:
        self.steps.append((description, done, total, unit))

    @property
    def descriptions(self) -> list[str]:
        return list(dict.fromkeys(description for description, *_ in self.steps))


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheelhouse:
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return Wheelhouse(folder)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def fake_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a module called pip, which runs the given code, before the real one."""

    def install(body: str) -> None:
        folder = tmp_path / "fake"
        (folder / "pip").mkdir(parents=True)
        (folder / "pip" / "__init__.py").touch()
        (folder / "pip" / "__main__.py").write_text(FAKE_PIP.format(body=body))
        monkeypatch.setenv("PYTHONPATH", str(folder))

    return install
