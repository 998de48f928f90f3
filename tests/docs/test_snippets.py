"""Every snippet of docs/coming-from.md and docs/clients.md runs, and prints what the page says."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import skimage.data

import infinity_package
import llama_index_package
from docs import console
from docs.test_readme import SCORE_TOLERANCE, numbers, words
from held_port import held_port
from server_process import ServerProcess, folder_with_models
from simila.domain.model_repository import ModelRepository

DOCS = Path(__file__).parents[2] / "docs"
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
PRINTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
SNIPPETS = [
    (page, snippet)
    for page in ("coming-from.md", "clients.md")
    for snippet in PYTHON.findall((DOCS / page).read_text(encoding="utf-8"))
]


@dataclass(frozen=True)
class Place:
    """A server, and a folder with a photograph."""

    folder: Path
    port: int
    grpc_port: int


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, exported_repository: ModelRepository) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("snippets")
    (folder / "rocket.jpg").symlink_to(Path(skimage.data.__file__).with_name("rocket.jpg"))
    data = folder_with_models(folder / "data", exported_repository.root)
    with (
        held_port() as grpc_port,
        ServerProcess.start(data, environment={"SIMILA_GRPC_PORT": str(grpc_port)}) as server,
    ):
        yield Place(folder, int(server.url.rpartition(":")[2]), grpc_port)


@pytest.fixture(scope="module")
def outputs(place: Place, data_dir: Path) -> list[list[str]]:
    """The lines that each snippet prints, all run in one process."""
    runs = "\nprint('---')\n".join(f"exec({snippet!r}, {{}})" for _, snippet in SNIPPETS)
    runs = runs.replace("127.0.0.1:8001", f"127.0.0.1:{place.grpc_port}")
    runs = runs.replace("127.0.0.1:8000", f"127.0.0.1:{place.port}")
    llama_index = str(llama_index_package.installed(data_dir))
    finished = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({llama_index!r})\n{runs}"],
        cwd=place.folder,
        env={**os.environ, "PYTHONPATH": str(infinity_package.installed(data_dir))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not finished.returncode, finished.stderr
    return [output.splitlines() for output in re.split(r"^---\n", finished.stdout, flags=re.MULTILINE)]


@pytest.mark.parametrize("number", range(len(SNIPPETS)), ids=lambda number: SNIPPETS[number][0])
def test_every_snippet_prints_what_it_says(outputs: list[list[str]], number: int) -> None:
    assert outputs[number] == PRINTED.findall(SNIPPETS[number][1]) != []


def test_every_command_of_the_clients_page_prints_what_it_says(place: Place) -> None:
    page = (DOCS / "clients.md").read_text(encoding="utf-8")
    steps = [step for block in console.BLOCK.findall(page) for step in console.parse(block)]
    outputs = console.run([step.command for step in steps], place.folder, place.port, terminal=False)
    assert len(steps) >= 3
    for step, output in zip(steps, outputs, strict=True):
        assert words(output) == words(step.output), step.command
        assert numbers(output) == pytest.approx(numbers(step.output), abs=SCORE_TOLERANCE), step.command
