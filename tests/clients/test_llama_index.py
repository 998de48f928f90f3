"""The client's part for LlamaIndex, in a process of its own: its thirty packages stay out of the others' way."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clients.conftest import Addresses

SUITE = Path(__file__).parent / "llama_index_suite" / "suite.py"
# What importing LlamaIndex loads, of the thirty that it asks for: half as many take a third of the time to install.
PACKAGES = (
    "llama-index-core==0.14.25",
    "banks==2.5.1",
    "colorama==0.4.6",
    "dataclasses-json==0.6.7",
    "Deprecated==1.3.1",
    "filetype==1.2.0",
    "griffecli==2.4.1",
    "griffelib==2.4.1",
    "llama-index-instrumentation==0.6.0",
    "llama-index-workflows==2.26.1",
    "marshmallow==3.26.2",
    "SQLAlchemy==2.1.9",
    "tinytag==2.3.2",
    "typing-inspect==0.9.0",
    "wrapt==2.5.2",
)


@pytest.fixture(scope="session")
def llama_index(data_dir: Path) -> Path:
    folder = data_dir / "clients" / PACKAGES[0]
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        unfinished = folder.with_suffix(".unfinished")
        subprocess.run([*pip, "--no-compile", "--target", str(unfinished), *PACKAGES], check=True)
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
