"""Checkpoints on the hub: a server on this machine that answers as the hub does stands for it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from simila.domain.errors import FetchFailed, InvalidManifest
from simila_models.sources import hub
from simila_models.sources.gathering import wanted

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "README.md": b"---\nlicense: mit\n---\n",
    "config.json": b"{}",
    "model.safetensors": b"weights " * 512,
    "pytorch_model.bin": b"a pickle",
    "onnx/model.onnx": b"somebody else's export",
    "modeling.py": b"raise SystemExit",
}
GATHER = """
import json, pathlib, sys
from simila.domain.manifest import Manifest
from simila_models.progress import Silent
from simila_models.sources import fetch_sources
from simila_models.sources.gathering import gather_hub
from tiny_manifests import manifest_of

cache = pathlib.Path(sys.argv[1])
gathered = gather_hub("org/tiny@v1", cache, Silent())
if sys.argv[2:] == ["again"]:
    for path in cache.rglob("model.safetensors"):
        path.unlink()
paths = fetch_sources(manifest_of(*gathered.files), cache, Silent())
print(json.dumps({
    "files": [file.model_dump() for file in gathered.files],
    "card": gathered.card,
    "paths": {role: str(path) for role, path in paths.items()},
}))
"""


@dataclass
class Hub:
    """One repository, at one commit; `asked` are the paths of its requests."""

    files: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    asked: list[str] = field(default_factory=list)

    @contextmanager
    def serving(self) -> Iterator[str]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _answer(self, path: str) -> bytes | None:
        if path == "/api/models/org/tiny/revision/v1":
            siblings = [{"rfilename": name} for name in self.files]
            return json.dumps({"id": "org/tiny", "sha": COMMIT, "siblings": siblings}).encode()
        return self.files.get(path.removeprefix(f"/org/tiny/resolve/{COMMIT}/"))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self._begin()
                if body is not None:
                    self.wfile.write(body)

            def do_HEAD(self) -> None:
                self._begin()

            def _begin(self) -> bytes | None:
                hub.asked.append(f"{self.command} {self.path}")
                body = hub._answer(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("ETag", sha256(body or b"").hexdigest())
                self.end_headers()
                return body

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def gather(endpoint: str, cache: Path, *again: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the hub's address is read when its client is imported."""
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "PYTHONPATH": str(Path(__file__).parents[2])}
    environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-c", GATHER, str(cache), *again]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_files_are_pinned_to_the_commit_and_hashed_and_only_wanted_ones_are_fetched(tmp_path: Path) -> None:
    one = Hub()
    with one.serving() as endpoint:
        run = gather(endpoint, tmp_path)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["card"] == FILES["README.md"].decode()
    assert found["files"] == [
        {"role": name, "source": f"hf:org/tiny@{COMMIT}", "path": name, "sha256": sha256(FILES[name]).hexdigest()}
        for name in ("model.safetensors", "config.json")
    ]
    assert Path(found["paths"]["model.safetensors"]).read_bytes() == FILES["model.safetensors"]
    fetched = {line.rpartition("/")[2] for line in one.asked if line.startswith("GET") and "/resolve/" in line}
    assert fetched == {"README.md", "config.json", "model.safetensors"}


def test_what_is_gone_from_the_cache_is_fetched_again_at_the_same_commit(tmp_path: Path) -> None:
    one = Hub()
    with one.serving() as endpoint:
        run = gather(endpoint, tmp_path, "again")
    assert run.returncode == 0, run.stderr
    assert one.asked.count(f"GET /org/tiny/resolve/{COMMIT}/model.safetensors") == 2


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"pytorch_model.bin": b"a pickle"},
            "has no *.safetensors; pickled weights (*.bin, *.pt, *.pth) are never read",
        ),
        (None, "the hub cannot give hf:org/tiny@v1"),
    ],
)
def test_a_repository_that_cannot_be_used(files: dict[str, bytes] | None, message: str, tmp_path: Path) -> None:
    with Hub(files or {}).serving() as endpoint:
        run = gather(endpoint if files else f"{endpoint}/nowhere", tmp_path)
    assert message in run.stderr
    assert list(tmp_path.glob("*/*")) == []


@pytest.mark.parametrize("source", ["name", "org/name", "org/name@", "../name@main/..", "a/b/c@main"])
def test_a_source_is_a_repository_and_a_revision(source: str) -> None:
    with pytest.raises(InvalidManifest, match="hf:ORG/NAME@REVISION"):
        hub.parse(source)


def test_shards_and_the_modules_of_sentence_encoders_are_wanted() -> None:
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    configuration = ["1_Pooling/config.json", "config.json", "modules.json", "tokenizer.json"]
    assert wanted([*configuration, *shards, "flax_model.msgpack"], "here") == shards + configuration


def test_of_two_forms_openclips_is_taken_where_it_is_asked_for() -> None:
    clip = ["config.json", "model.safetensors"]
    open_clip = ["open_clip_config.json", "open_clip_model.safetensors"]
    assert wanted(clip + open_clip, "here") == ["model.safetensors", "config.json"]
    assert wanted(clip + open_clip, "here", open_clip=True) == open_clip
    assert wanted(open_clip, "here") == open_clip
    with pytest.raises(FetchFailed):
        wanted(["open_clip_model.safetensors"], "here")
