"""A few seconds of each fuzz target; `make fuzz` gives them minutes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="atheris has wheels for Linux alone")
SECONDS = int(os.environ.get("FUZZ_SECONDS", "2"))
TARGETS = Path(__file__).with_name("targets.py")


@pytest.mark.parametrize("target", ["decoders", "filters", "wire"])
def test_nothing_but_refusals_comes_of_any_input(target: str, tmp_path: Path) -> None:
    options = [f"-max_total_time={SECONDS}", "-timeout=10", "-rss_limit_mb=1024", "-seed=1", "-verbosity=1"]
    # A shell between: Linux counts the peak memory of pytest to its own children, and libFuzzer would stop at once.
    command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, str(TARGETS), target, *options]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS + 60, check=False)
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert not list(tmp_path.iterdir()), "what was found is kept as crash-, timeout- or oom-"
    assert "runs in" in finished.stderr
