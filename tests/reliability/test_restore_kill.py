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
ITEMS = 2000
DIMENSION = 64
LONGEST_SECONDS = 0.4
VECTORS = {name: unit_vectors(seed, ITEMS, DIMENSION) for seed, name in enumerate("ab")}

# Replaces the collection over and over, by the one backup and the other.
RESTORER = """
import itertools, shutil, sys
from pathlib import Path
from simila.index.catalogue import Catalogue

root, *backups = map(Path, sys.argv[1:])
catalogue = Catalogue(root)
print("restoring", flush=True)
for backup in itertools.cycle(backups):
    upload = catalogue.scratch_folder() / "backup"
    shutil.copyfile(backup, upload)
    catalogue.restore("shoes", upload, replace=True)
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


def test_after_a_kill_the_collection_is_the_old_one_or_the_new_one(tmp_path: Path, backups: list[Path]) -> None:
    root = tmp_path / "collections"
    seen = set()
    for moment in random.Random(7).choices(range(1000), k=ROUNDS):
        process = subprocess.Popen(
            [sys.executable, "-c", RESTORER, str(root), *map(str, backups)], stdout=subprocess.PIPE, text=True
        )
        with process:
            assert process.stdout
            assert process.stdout.readline() == "restoring\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(LONGEST_SECONDS * moment / 1000)
            process.kill()
        catalogue = Catalogue(root)
        assert [path.name for path in root.iterdir()] in ([], ["shoes"])
        if catalogue.states():
            shoes = catalogue.get("shoes")
            name = shoes.spec.fingerprint
            assert [row.id for row in shoes.reader.page(0, ITEMS + 1)] == [f"{name}{n}" for n in range(ITEMS)]
            np.testing.assert_array_equal(shoes.reader.vectors(shoes.reader.sequences())[1], VECTORS[name])
            assert len(list((root / "shoes").glob("generation-*"))) == 1
            seen.add(name)
        catalogue.close()
    assert seen == {"a", "b"}
