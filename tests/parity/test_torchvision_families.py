"""timm and OpenCLIP: checkpoints whose libraries need torchvision."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tolerances import PARITY_COSINE, ROUNDED_GREY_LEVELS
from torchvision_libraries import Findings, findings_on_torchvision_families


@pytest.fixture(scope="module")
def found(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    return findings_on_torchvision_families(data_dir, tmp_path_factory.mktemp("torchvision"))


def test_vectors_are_the_librarys(found: Findings, record_property: Callable[[str, object], None]) -> None:
    figures = found.figures
    assert list(figures) == ["timm-resnet", "timm-vit", "timm-vgg, layer features.10", "open-clip"]
    for name, measured in figures.items():
        for what, figure in measured.items():
            record_property(f"{name}, {what}", figure)
            if what == "grey levels":
                assert figure <= ROUNDED_GREY_LEVELS, name
            elif what != "seconds":
                assert figure >= PARITY_COSINE, (name, what)


def test_names_without_weights_that_can_be_read_are_refused(found: Findings) -> None:
    assert found.refusals == [
        "timm knows no weights on the hub called 'resnet50.of_nobody'",
        "open_clip knows no weights on the hub called 'ViT-B-32/of_nobody'",
        "hf:jienengchen/ViTamin-S@main has no *.safetensors; pickled weights (*.bin, *.pt, *.pth) are never read",
    ]
