"""The client's part for LlamaIndex, in a process of its own: its thirty packages stay out of the others' way."""

import os
import re
import subprocess
import sys
from pathlib import Path

from clients.conftest import Addresses
from llama_index_package import installed

SUITE = Path(__file__).parent / "llama_index_suite" / "suite.py"


def test_an_index_on_a_collection(addresses: Addresses, data_dir: Path) -> None:
    folder = str(installed(data_dir))
    code = f"import sys; sys.path.append({folder!r}); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    options = ["-q", "-c", os.devnull, "--rootdir", str(SUITE.parent), "-p", "no:cacheprovider", str(SUITE)]
    environment = {**os.environ, "SIMILA_TEST_URL": addresses.url}
    done = subprocess.run(
        [sys.executable, "-c", code, *options], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b6 passed", done.stdout)
