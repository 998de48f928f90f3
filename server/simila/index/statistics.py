"""What a collection tells of itself."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from simila.index.body import Measured, Setting
from simila.index.body_upkeep import BuildProgress


@dataclass(frozen=True)
class IndexStatistics:
    """How a collection is searched. `kind` is "flat" while every vector is compared."""

    kind: str
    head_rows: int
    deleted_rows: int
    setting: Setting | None
    measured: Measured | None
    building: BuildProgress | None
    problem: str | None


@dataclass(frozen=True)
class CollectionStatistics:
    """How much a collection holds. `labels` counts the items of each label."""

    items: int
    labels: Mapping[str, int]
    last_sequence: int
    disk_bytes: int
    payload_indexes: Sequence[str]
    index: IndexStatistics


def disk_bytes(folder: Path) -> int:
    """How much the files of a folder take."""
    total = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):  # logs and bodies come and go
            total += file.stat().st_size
    return total
