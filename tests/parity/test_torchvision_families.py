"""timm and OpenCLIP: checkpoints whose libraries need torchvision."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tolerances import PARITY_COSINE, ROUNDED_GREY_LEVELS

TESTS = Path(__file__).parents[1]
PACKAGES = ["torchvision==0.28.0", "timm==1.0.31", "open_clip_torch==3.3.0", "ftfy==6.3.1", "wcwidth==0.9.4"]
"""Without their dependencies: torch stays as it is. torchvision is that of torch 2.13."""


@pytest.fixture(scope="module")
def libraries(data_dir: Path) -> Path:
    """A folder apart, because transformers would use torchvision wherever it finds it."""
    folder = data_dir / "torchvision" / "-".join(PACKAGES).replace("==", "-")
    if not folder.exists():
        made = folder.with_suffix(".new")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(made), *PACKAGES]
        subprocess.run(command, check=True)
        made.rename(folder)
    return folder


def test_vectors_are_the_librarys(
    libraries: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    command = [sys.executable, str(TESTS / "torchvision_checkpoints.py"), str(tmp_path)]
    path = os.pathsep.join(map(str, (TESTS, libraries)))
    run = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    figures = json.loads(run.stdout)
    assert list(figures) == ["timm-resnet", "timm-vit", "timm-vgg-layer", "open-clip"]
    for name, found in figures.items():
        for what, figure in found.items():
            record_property(f"{name}, {what}", figure)
            if what == "grey levels":
                assert figure <= ROUNDED_GREY_LEVELS, name
            else:
                assert figure >= PARITY_COSINE, (name, what)
