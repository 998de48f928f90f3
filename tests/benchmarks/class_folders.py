"""Photographs sorted into folders: `train/CLASS/*.jpg` and `test/CLASS/*.jpg`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from simila.domain.inputs import ImageInput
from simila.services.prompt_checks import FEWEST_LABELS
from simila_models.progress import Progress

CHUNK_ITEMS = 32
LAYOUT = "train/CLASS/*.jpg and test/CLASS/*.jpg"

T = TypeVar("T")


class NoClassFolders(Exception):
    """A folder is not laid out as the benchmark needs it."""


@dataclass(frozen=True)
class Photograph:
    """An image file and the class whose folder it lies in."""

    path: Path
    label: str

    def read(self) -> ImageInput:
        return ImageInput(self.path.read_bytes())


@dataclass(frozen=True)
class ClassFolders:
    """Both splits, each sorted by class and then by file name; `labels` in alphabetical order."""

    labels: tuple[str, ...]
    train: tuple[Photograph, ...]
    test: tuple[Photograph, ...]


def read_class_folders(folder: Path) -> ClassFolders:
    """Find the photographs of both splits.

    Raises:
        NoClassFolders: the folder or a split is missing, there are too few classes, or the splits have other classes.

    """
    if not folder.is_dir():
        raise NoClassFolders(f"there is no folder {folder}; give one with {LAYOUT}")
    train, test = (_split(folder / name) for name in ("train", "test"))
    labels, test_labels = ({photograph.label for photograph in split} for split in (train, test))
    if labels != test_labels:
        odd = ", ".join(sorted(labels ^ test_labels))
        raise NoClassFolders(f"{folder}: train and test must have the same classes, but only one has: {odd}")
    if len(labels) < FEWEST_LABELS:
        raise NoClassFolders(f"{folder}: at least {FEWEST_LABELS} classes are needed, found {len(labels)}")
    return ClassFolders(tuple(sorted(labels)), train, test)


def in_chunks(items: Sequence[T], description: str, progress: Progress) -> Iterator[Sequence[T]]:
    """Cut a list into pieces and tell, as they are taken, how many items are done."""
    for start in range(0, len(items), CHUNK_ITEMS):
        progress.step(description, start, len(items), unit="steps")
        yield items[start : start + CHUNK_ITEMS]
    progress.step(description, len(items), len(items), unit="steps")


def _split(folder: Path) -> tuple[Photograph, ...]:
    photographs = tuple(Photograph(path, path.parent.name) for path in sorted(folder.glob("*/*.jpg")))
    if not photographs:
        raise NoClassFolders(f"{folder} has no class folders with *.jpg files; give a folder with {LAYOUT}")
    return photographs
