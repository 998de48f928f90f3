"""Infinity's own client. It pins an older httpx than Simila's, so it is installed without its dependencies."""

import subprocess
import sys
from pathlib import Path

PACKAGES = ("infinity-client==0.0.78", "attrs==26.1.0")


def installed(data_dir: Path) -> Path:
    """The folder to import it from: installed once, beside the test data."""
    folder = data_dir / "clients" / PACKAGES[0]
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--target", str(folder), *PACKAGES], check=True)
    return folder
