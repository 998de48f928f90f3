"""A data folder and models made by the first released version open and serve.

The first version is the earliest tag or, while there is none, `FIRST_REVISION`. It runs from a worktree with the
packages of this environment; exporting takes its time, so this is part of `make soak` alone.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from server_process import ServerProcess
from tolerances import PARITY_COSINE

ROOT = Path(__file__).parents[2]
FIRST_REVISION = "7373240"  # from here on fingerprints are pinned
ENCODER = "all-minilm-l6-v2"
ITEMS = {f"item-{number}": f"a text about number {number}" for number in range(20)}

pytestmark = pytest.mark.skipif(
    "SIMILA_TEST_UPGRADE" not in os.environ, reason="exports with an old version: make soak"
)


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def first_version(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The source of the first version."""
    tags = git("tag", "--sort=creatordate").split()
    source = tmp_path_factory.mktemp("first") / "source"
    git("worktree", "add", "--detach", str(source), tags[0] if tags else FIRST_REVISION)
    yield source
    git("worktree", "remove", "--force", str(source))


def test_what_the_first_version_wrote_is_served(first_version: Path, tmp_path: Path, data_dir: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data_dir / "sources", folder / "sources")
    paths = (first_version / part for part in ("server", "models", "clients/python", "clients/explorer"))
    old = {"SIMILA_ENCODERS": ENCODER, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    # -P: the current folder, which may hold today's packages, is not searched.
    command = (sys.executable, "-P", "-m", "simila")
    export = [*command, "models", "export", ENCODER, "--data-dir", str(folder)]
    subprocess.run(export, env={**os.environ, **old}, check=True, capture_output=True)
    with ServerProcess.start(folder, command=(*command, "serve"), environment=old) as server:
        written = _write(server.url)

    with ServerProcess.start(folder, environment={"SIMILA_ENCODERS": ENCODER}) as server:
        collection = httpx.get(f"{server.url}/v1/collections/kept").json()
        assert (collection["state"], collection["items"]) == ("ready", len(ITEMS))
        for name, text in ITEMS.items():
            body = {"text": text, "limit": 1}
            [hit] = httpx.post(f"{server.url}/v1/collections/kept/search", json=body).json()["results"]
            assert (hit["id"], round(hit["score"], 4)) == (name, 1.0)
        assert _vector(server.url) @ written >= PARITY_COSINE


def _write(url: str) -> np.ndarray:
    httpx.put(f"{url}/v1/collections/kept", json={"encoder": ENCODER}).raise_for_status()
    items = [{"id": name, "text": text, "label": "even"} for name, text in ITEMS.items()]
    httpx.post(f"{url}/v1/collections/kept/items", json={"items": items}).raise_for_status()
    return _vector(url)


def _vector(url: str) -> np.ndarray:
    answer = httpx.post(f"{url}/v1/embeddings", json={"model": ENCODER, "input": "hello"}).raise_for_status()
    return np.array(answer.json()["data"][0]["embedding"])
