"""Label names for classification: names of ImageNet classes, and pairs of short ones where many are wanted."""

from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path

import simila_models


def label_names(number: int) -> list[str]:
    """Distinct names, spread evenly over ImageNet's where these are enough."""
    file = Path(simila_models.__file__ or "").parent / "data" / "imagenet_classes.txt"
    names = list(dict.fromkeys(file.read_text(encoding="utf-8").splitlines()))
    if number <= len(names):
        return names[:: len(names) // number][:number]
    return list(islice(_pairs(names), number))


def _pairs(names: list[str]) -> Iterator[str]:
    short = sorted(names, key=len)
    return (f"{one} and {other}" for one, other in product(short, short))
