"""timm and OpenCLIP: checkpoints whose libraries need torchvision."""

from collections.abc import Callable
from pathlib import Path

from tolerances import PARITY_COSINE, ROUNDED_GREY_LEVELS
from torchvision_libraries import figures_of_torchvision_families


def test_vectors_are_the_librarys(
    data_dir: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    figures = figures_of_torchvision_families(data_dir, tmp_path)
    assert list(figures) == ["timm-resnet", "timm-vit", "timm-vgg-layer", "open-clip"]
    for name, found in figures.items():
        for what, figure in found.items():
            record_property(f"{name}, {what}", figure)
            if what == "grey levels":
                assert figure <= ROUNDED_GREY_LEVELS, name
            elif what != "seconds":
                assert figure >= PARITY_COSINE, (name, what)
