"""A process is killed while it replaces a collection by a backup: the old one is there, or the new one."""

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.index.catalogue import Catalogue
from simila.services.backups import BackupService
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_writes import UpsertArrays

ROUNDS = 12
MOST_RESTORED = 3
ITEMS = 2000
DIMENSION = 64
LONGEST_SECONDS = 0.2
VECTORS = {name: unit_vectors(seed, ITEMS, DIMENSION) for seed, name in enumerate("ab")}

# Replaces the collection over and over, by the one backup and the other, and tells each time when it has.
RESTORER = """
import itertools, shutil, sys
from pathlib import Path
from simila.index.catalogue import Catalogue

root, *backups = map(Path, sys.argv[1:])
catalogue = Catalogue(root)
print(flush=True)
for backup in itertools.cycle(backups):
    upload = catalogue.scratch_folder() / "backup"
    shutil.copyfile(backup, upload)
    catalogue.restore("shoes", upload, replace=True)
    print(backup.stem, flush=True)
"""


@pytest.fixture
def backups(tmp_path: Path) -> list[Path]:
    paths = []
    for name, vectors in VECTORS.items():
        catalogue = Catalogue(tmp_path / f"made-{name}")
        spec = CollectionSpec.new("shoes", encoder="e", fingerprint=name, dimension=DIMENSION)
        collection, _ = catalogue.create(spec)
        collection.write(UpsertArrays([f"{name}{n}" for n in range(ITEMS)], vectors)).result()
        with asyncio.run(BackupService(catalogue).make("shoes")) as file:
            paths.append(tmp_path / f"{name}.simila")
            paths[-1].write_bytes(file.read())
        catalogue.close()
    return paths


def test_after_a_kill_the_collection_is_the_one_that_was_told_or_the_next(tmp_path: Path, backups: list[Path]) -> None:
    root = tmp_path / "collections"
    before = None
    moments = random.Random(7)
    for number in range(ROUNDS):
        told = restored_until_killed(root, backups, number % (MOST_RESTORED + 1), moments.random() * LONGEST_SECONDS)
        last = told[-1] if told else before
        following = "ab"[len(told) % 2]
        catalogue = Catalogue(root)
        assert [path.name for path in root.iterdir()] in ([], ["shoes"])
        before = catalogue.get("shoes").spec.fingerprint if catalogue.states() else None
        assert before in (last, following)
        if before:
            check_is_whole(catalogue, root, before)
        catalogue.close()


def restored_until_killed(root: Path, backups: list[Path], restored: int, seconds: float) -> list[str]:
    """Kill the process some seconds after it has told of so many; the names that it told, one after the other."""
    command = [sys.executable, "-c", RESTORER, str(root), *map(str, backups)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "\n"
        told = [process.stdout.readline().strip() for _ in range(restored)]
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        return told + process.stdout.read().split()


def check_is_whole(catalogue: Catalogue, root: Path, name: str) -> None:
    shoes = catalogue.get("shoes")
    assert [row.id for row in shoes.reader.page(0, ITEMS + 1)] == [f"{name}{n}" for n in range(ITEMS)]
    np.testing.assert_array_equal(shoes.reader.vectors(shoes.reader.sequences())[1], VECTORS[name])
    assert len(list((root / "shoes").glob("generation-*"))) == 1
