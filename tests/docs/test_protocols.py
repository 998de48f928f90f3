"""docs/protocols.md has the table that the tests make, and every snippet of docs/coming-from.md runs."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import skimage.data

from docs import conformance
from infinity_package import installed
from server_process import ServerProcess, folder_with_models
from simila.domain.model_repository import ModelRepository

PAGE = Path(__file__).parents[2] / "docs" / "coming-from.md"
SNIPPET = re.compile(r"```python\n(.*?)```", re.DOTALL)
SNIPPETS = list(enumerate(SNIPPET.findall(PAGE.read_text(encoding="utf-8"))))
PRINTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


def test_the_table_is_that_of_the_tests() -> None:
    page = conformance.PAGE.read_text(encoding="utf-8")
    assert conformance.with_table(page) == page


@pytest.fixture(scope="module")
def outputs(
    tmp_path_factory: pytest.TempPathFactory, exported_repository: ModelRepository, data_dir: Path
) -> list[list[str]]:
    """The lines that each snippet prints, all run in one process beside a photograph."""
    folder = tmp_path_factory.mktemp("snippets")
    (folder / "rocket.jpg").symlink_to(Path(skimage.data.__file__).with_name("rocket.jpg"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        grpc_port = free.getsockname()[1]
    data = folder_with_models(folder / "data", exported_repository.root)
    with ServerProcess.start(data, environment={"SIMILA_GRPC_PORT": str(grpc_port)}) as server:
        page = PAGE.read_text(encoding="utf-8").replace("127.0.0.1:8001", f"127.0.0.1:{grpc_port}")
        page = page.replace("127.0.0.1:8000", server.url.removeprefix("http://"))
        script = "\nprint('---')\n".join(f"exec({snippet!r}, {{}})" for snippet in SNIPPET.findall(page))
        finished = subprocess.run(
            [sys.executable, "-c", script],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(installed(data_dir))},
            capture_output=True,
            text=True,
            check=False,
        )
    assert not finished.returncode, finished.stderr
    return [output.splitlines() for output in re.split(r"^---\n", finished.stdout, flags=re.MULTILINE)]


@pytest.mark.parametrize(("number", "snippet"), SNIPPETS)
def test_every_snippet_prints_what_it_says(outputs: list[list[str]], number: int, snippet: str) -> None:
    assert outputs[number] == PRINTED.findall(snippet) != []
