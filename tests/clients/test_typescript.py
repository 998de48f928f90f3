"""The TypeScript client: in Node.js against a running server, and its types against those of the OpenAPI document."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import httpx
import numpy as np
import playwright
import pytest

from api.wire import embed, vectors
from clients.conftest import JOINT_ENCODER, TEXT_ENCODER, Addresses
from simila.api.application import documented_api
from tolerances import FLOAT32_VALUES

PACKAGE = Path(__file__).parents[2] / "clients" / "typescript"
CALLS = Path(__file__).parent / "typescript" / "calls.ts"
# The Node.js that Playwright brings is new enough to run TypeScript as it is.
NODE = Path(playwright.__file__).parent / "driver" / "node"


def test_its_calls_on_a_running_server(addresses: Addresses, direct: httpx.Client, photo, tmp_path: Path) -> None:
    picture = tmp_path / "coffee.png"
    picture.write_bytes(photo("coffee.png"))
    command = [NODE, "--disable-warning=ExperimentalWarning", CALLS, addresses.url, picture]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    expected = vectors(embed(direct, JOINT_ENCODER, ["one"]))
    np.testing.assert_allclose(found["vectors"][:1], expected, atol=FLOAT32_VALUES)
    np.testing.assert_allclose(np.linalg.norm(found["vectors"], axis=1), 1, atol=1e-6)
    assert found["label"] == "clothes"
    assert found["hit"] == [["2", {"n": 2}]]
    assert sorted(found["models"]) == sorted([TEXT_ENCODER, JOINT_ENCODER])
    assert found["unknown"] == [404, "model_not_found", "model"]
    assert found["key"][:2] == [404, "collection_not_found"]
    assert found["asked"] == 2


@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm, which types are generated with")
def test_its_types_are_those_of_the_openapi_document(data_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("node_modules", "dist", "api.d.ts"))
    (folder / "node_modules").symlink_to(node_modules(data_dir), target_is_directory=True)
    (folder / "openapi.json").write_text(json.dumps(documented_api().openapi()))
    generate = ["node_modules/.bin/openapi-typescript", "openapi.json", "--output", "src/api.d.ts"]
    subprocess.run(generate, cwd=folder, check=True, capture_output=True)
    done = subprocess.run(
        ["node_modules/.bin/tsc", "--noEmit"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def node_modules(data_dir: Path) -> Path:
    """The package's tools, installed once for each state of its lock file."""
    lock = (PACKAGE / "package-lock.json").read_bytes()
    folder = data_dir / "clients" / f"typescript-{hashlib.sha256(lock).hexdigest()[:8]}"
    if not (folder / "node_modules").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PACKAGE / name, folder)
        subprocess.run(["npm", "ci", "--silent"], cwd=folder, check=True, capture_output=True)
    return folder / "node_modules"
