"""The client's part for LlamaIndex, in a process of its own: its thirty packages stay out of the others' way."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clients.conftest import Addresses

ROOT = Path(__file__).parents[2]
SUITE = Path(__file__).parent / "llama_index_suite" / "suite.py"
PACKAGE = "llama-index-core==0.14.25"


@pytest.fixture(scope="session")
def llama_index(data_dir: Path) -> Path:
    folder = data_dir / "clients" / PACKAGE
    if not folder.exists():
        if "SIMILA_TEST_LLAMA_INDEX" not in os.environ:
            pytest.skip("LlamaIndex takes half a minute to install; SIMILA_TEST_LLAMA_INDEX=1 does it, once")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        unfinished = folder.with_suffix(".unfinished")
        pins = ["--constraint", str(ROOT / "constraints.txt")]
        subprocess.run([*pip, *pins, "--target", str(unfinished), PACKAGE], check=True)
        unfinished.rename(folder)
    return folder


def test_an_index_on_a_collection(addresses: Addresses, llama_index: Path) -> None:
    # Behind the packages that are installed already, which both have.
    code = f"import sys; sys.path.append({str(llama_index)!r}); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    options = ["-q", "-c", os.devnull, "--rootdir", str(SUITE.parent), "-p", "no:cacheprovider", str(SUITE)]
    environment = {**os.environ, "SIMILA_TEST_URL": addresses.url}
    done = subprocess.run(
        [sys.executable, "-c", code, *options], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b6 passed", done.stdout)
