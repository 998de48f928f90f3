"""LlamaIndex beside the test data: its thirty packages stay out of the others' way."""

import subprocess
import sys
from pathlib import Path

# What importing it loads, of the thirty that it asks for: half as many take a third of the time to install.
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


def installed(data_dir: Path) -> Path:
    """The folder to put on a path, behind the packages that both have. Only the first run installs into it."""
    folder = data_dir / "clients" / PACKAGES[0]
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        unfinished = folder.with_suffix(".unfinished")
        subprocess.run([*pip, "--no-compile", "--target", str(unfinished), *PACKAGES], check=True)
        unfinished.rename(folder)
    return folder
