"""timm and OpenCLIP in a folder apart, because transformers would use torchvision wherever it finds it."""

import json
import os
import subprocess
import sys
from pathlib import Path

_TESTS = Path(__file__).parent
_PACKAGES = ["torchvision==0.28.0", "timm==1.0.31", "open_clip_torch==3.3.0", "ftfy==6.3.1", "wcwidth==0.9.4"]
"""Without their dependencies: torch stays as it is. torchvision is that of torch 2.13."""


def figures_of_torchvision_families(data_dir: Path, folder: Path) -> dict[str, dict[str, float]]:
    """What `torchvision_checkpoints.py` finds in an empty folder; the libraries are installed by the first call."""
    libraries = data_dir / "torchvision" / "-".join(_PACKAGES).replace("==", "-")
    if not libraries.exists():
        made = libraries.with_suffix(".new")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(made), *_PACKAGES]
        subprocess.run(command, check=True)
        made.rename(libraries)
    command = [sys.executable, str(_TESTS / "torchvision_checkpoints.py"), str(folder)]
    path = os.pathsep.join(map(str, (_TESTS, libraries)))
    run = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(run.stderr[-2000:])
    figures: dict[str, dict[str, float]] = json.loads(run.stdout)
    return figures
