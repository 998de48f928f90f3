"""From a checkpoint in the hub's cache to vectors, in processes that cannot open a socket to anywhere."""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

import hub_cache
from random_checkpoints import CHECKPOINTS
from simila.domain.errors import FetchFailed
from simila.domain.model_repository import ModelRepository
from simila_models.additions import Addition, add_encoder
from simila_models.catalogue import find_manifest
from simila_models.progress import Silent
from simila_models.sources import fetch_sources
from tiny_manifests import manifest_of, source

WITHOUT_SOCKETS = """
import socket, sys

def refuse(event, arguments):
    if event == "socket.getaddrinfo" or (event == "socket.__new__" and arguments[1] != socket.AF_UNIX):
        raise SystemExit(f"a socket was wanted: {event} {arguments}")

sys.addaudithook(refuse)
"""
COMMAND = WITHOUT_SOCKETS + "from simila.__main__ import main; main()"
SERVE = (
    WITHOUT_SOCKETS
    + """
import asyncio
from pathlib import Path
from simila.app import load_encoders
from simila.settings import Settings
from simila_models.catalogue import find_manifest

settings = Settings(data_dir=Path(sys.argv[1]))
[status] = load_encoders(settings, [find_manifest("convnext", [settings.manifests_dir])])
print(status.error, min(one.lowest_cosine for one in status.certificates.values()) >= 0.9999)
"""
)


def run(code: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """In a folder that also holds the hub's cache."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "HF_HUB_CACHE": str(cwd / "hub")}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_what_the_hubs_cache_holds_is_added_bundled_and_served_without_a_network(tmp_path: Path) -> None:
    CHECKPOINTS["convnext"](tmp_path / "checkpoint")
    (tmp_path / "checkpoint" / "README.md").write_text("---\nlicense: mit\n---\n")
    hub_cache.fill(tmp_path / "hub", "acme/convnext", tmp_path / "checkpoint", "v1")
    here, there, archive = tmp_path / "here", tmp_path / "there", tmp_path / "models.tar"
    steps = [
        ("models", "add", "hf:acme/convnext@v1", "--offline", "--data-dir", here),
        ("models", "bundle", "convnext", "--output", archive, "--data-dir", here),
        ("models", "unbundle", archive, "--data-dir", there),
    ]
    for step in steps:
        done = run(COMMAND, *step, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-2000:]
    manifest = find_manifest("convnext", [here / "manifests"])
    assert manifest.licence == "mit"
    assert {(file.source, file.path, file.sha256) for file in manifest.files} == {
        (
            f"hf:acme/convnext@{hub_cache.COMMIT}",
            name,
            sha256((tmp_path / "checkpoint" / name).read_bytes()).hexdigest(),
        )
        for name in ("config.json", "model.safetensors", "preprocessor_config.json")
    }
    served = run(SERVE, there, cwd=tmp_path)
    assert served.stdout == "None True\n", served.stderr[-2000:]
    assert not (there / "sources").exists()


def test_a_socket_would_be_noticed(tmp_path: Path) -> None:
    code = WITHOUT_SOCKETS + "socket.create_connection(('127.0.0.1', 9))"
    assert "a socket was wanted: socket.getaddrinfo" in run(code, cwd=tmp_path).stderr


def test_what_is_not_on_this_disk_is_named(tmp_path: Path) -> None:
    manifest = manifest_of(source("weights", b"", path="weights/model.bin"))
    with pytest.raises(FetchFailed, match=r"weights/model\.bin of pypi:weights==1\.0 is not in .* nothing is fetched"):
        fetch_sources(manifest, tmp_path, Silent(), offline=True)


def test_a_source_that_the_hubs_cache_lacks_is_refused(tmp_path: Path) -> None:
    addition = Addition("hf:org/name@main", offline=True)
    with pytest.raises(FetchFailed, match=r"hf:org/name@main is not in the hub's cache .* nothing is fetched offline"):
        add_encoder(addition, tmp_path / "manifests", ModelRepository(tmp_path / "models"), tmp_path, Silent())
