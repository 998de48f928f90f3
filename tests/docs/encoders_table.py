"""The table of `docs/encoders.md`: `python tests/docs/encoders_table.py --write` measures it anew (minutes)."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from added_encoder import lowest_cosine  # noqa: E402
from parity.test_bands import compared_with_transformers  # noqa: E402
from parity.test_families import (  # noqa: E402
    IMAGES,
    INNER_LAYER,
    TEXTS,
    added,
    inner_layer_compared,
    reference_images,
    reference_texts,
)
from random_checkpoints import CHECKPOINTS  # noqa: E402
from torchvision_libraries import findings_on_torchvision_families  # noqa: E402

DOCUMENT = TESTS.parent / "docs" / "encoders.md"
BEGIN, END = "<!-- table: tests/docs/encoders_table.py --write -->\n", "<!-- end of table -->"
COLUMNS = ("checkpoint", "compared with", "lowest cosine, images", "lowest cosine, texts", "seconds to add")
HEADER = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"
SENTENCE = "sentence-transformers"
BANDS = "resnet, 5 bands of 16 bits"
REFERENCES = {
    BANDS: "transformers, torch",
    "clip": "transformers", "siglip": "transformers", "siglip2": "transformers",
    "bert": SENTENCE, "mpnet": SENTENCE, "xlm_roberta": SENTENCE, "modernbert": SENTENCE, "qwen3": SENTENCE,
    "timm-resnet": "timm", "timm-vit": "timm", "timm-vgg, layer features.10": "timm", "open-clip": "OpenCLIP",
}  # fmt: skip


def rows(data_dir: Path) -> Iterator[str]:
    """One line a checkpoint."""
    for name in CHECKPOINTS:
        with TemporaryDirectory() as folder:
            began_at = time.process_time()
            checkpoint, encoder = added(name, Path(folder))
            seconds = time.process_time() - began_at
            figures = {"seconds": seconds}
            if encoder.manifest.image:
                figures["image"] = lowest_cosine(encoder.image_vectors(IMAGES), reference_images(checkpoint, IMAGES))
            if encoder.manifest.text:
                figures["text"] = lowest_cosine(encoder.text_vectors(TEXTS), reference_texts(checkpoint, TEXTS))
            yield line(name, figures)
    with TemporaryDirectory() as folder:
        began_at = time.process_time()
        cosine = inner_layer_compared(Path(folder))
        yield line(f"convnext, layer {INNER_LAYER}", {"image": cosine, "seconds": time.process_time() - began_at})
    with TemporaryDirectory() as folder:
        began_at = time.process_time()
        _, cosine = compared_with_transformers(Path(folder))
        yield line(BANDS, {"image": cosine, "seconds": time.process_time() - began_at})
    with TemporaryDirectory() as folder:
        for name, figures in findings_on_torchvision_families(data_dir, Path(folder)).figures.items():
            yield line(name, figures)


def line(name: str, figures: dict[str, float]) -> str:
    image, text = (f"{figures[tower]:.7f}" if tower in figures else "" for tower in ("image", "text"))
    return f"| {name} | {REFERENCES.get(name, 'transformers')} | {image} | {text} | {figures['seconds']:.1f} |\n"


def main() -> None:
    table = HEADER + "".join(rows(TESTS.parent / ".cache" / "test-data"))
    if "--write" not in sys.argv:
        sys.stdout.write(table)
        return
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(before + BEGIN + table + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
