"""timm and OpenCLIP in a folder apart, because transformers would use torchvision wherever it finds it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_TESTS = Path(__file__).parent
_PACKAGES = ["torchvision==0.28.0", "timm==1.0.31", "open_clip_torch==3.3.0", "ftfy==6.3.1", "wcwidth==0.9.4"]
"""Without their dependencies: torch stays as it is. torchvision is that of torch 2.13."""


@dataclass(frozen=True)
class Findings:
    """By encoder what was measured, and what was said of sources that are refused."""

    figures: dict[str, dict[str, float]]
    refusals: list[str]


def findings_on_torchvision_families(data_dir: Path, folder: Path) -> Findings:
    """What `torchvision_checkpoints.py` finds in an empty folder; the libraries are installed by the first call."""
    libraries = data_dir / "torchvision" / "-".join(_PACKAGES).replace("==", "-")
    if not libraries.exists():
        made = libraries.with_suffix(".new")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(made), *_PACKAGES]
        subprocess.run(command, check=True)
        made.rename(libraries)
    command = [sys.executable, str(_TESTS / "torchvision_checkpoints.py"), str(folder)]
    path = os.pathsep.join(map(str, (_TESTS, libraries)))
    environment = {**os.environ, "PYTHONPATH": path, "HF_HUB_CACHE": str(folder / "hub"), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(run.stderr[-2000:])
    return Findings(**json.loads(run.stdout))
