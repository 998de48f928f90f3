"""A writer killed at a random moment loses nothing that it acknowledged, and leaves nothing half done.

`CRASH_ROUNDS` sets the number of kills (5). Run as a script, this file is the writer.
"""

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from simila.domain.results import Item
from simila.domain.vectors import unit_rows
from simila.index.catalogue import Catalogue
from simila.storage.data_folder import DataFolder

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "5"))
DIMENSION = 32
IDS = 200
LONGEST_LIFE_SECONDS = 0.5
COSINE_TOLERANCE = 1e-6
ENCODER = {"encoder": "encoder", "fingerprint": "ab" * 32, "dimension": DIMENSION}


def operation(step: int) -> list[Item] | str:
    """What the writer does at a step: items to upsert, or an id to delete."""
    generator = np.random.default_rng(step)
    if generator.random() < 0.3:
        return f"id{generator.integers(IDS)}"
    chosen = generator.choice(IDS, size=generator.integers(1, 20), replace=False)
    vectors = unit_rows(generator.normal(size=(len(chosen), DIMENSION)).astype(np.float32))
    return [
        Item(f"id{number}", vector, f"label{step % 3}", {"step": step, "text": "x" * int(generator.integers(5000))})
        for number, vector in zip(chosen, vectors, strict=True)
    ]


def write_for_ever(root: Path, step: int) -> None:
    with DataFolder(root):
        collection, _ = Catalogue(root / "collections").create("crash", **ENCODER)
        while True:
            change = operation(step)
            if isinstance(change, str):
                collection.delete(change)
            else:
                collection.upsert(change)
            os.write(sys.stdout.fileno(), f"{step}\n".encode())
            step += 1


def apply(model: dict[str, Item], step: int) -> dict[str, Item]:
    change = operation(step)
    if isinstance(change, str):
        return {item_id: item for item_id, item in model.items() if item_id != change}
    return model | {item.id: item for item in change}


def contents(items: list[Item]) -> dict[str, tuple[object, ...]]:
    return {item.id: (item.vector.tobytes(), item.label, item.payload) for item in items}


def kill_after(root: Path, step: int, life_seconds: float) -> int:
    """Run the writer from `step`, kill it, and return how many steps it acknowledged."""
    command = [sys.executable, __file__, str(root), str(step)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        first = writer.stdout.readline()
        timer = threading.Timer(life_seconds, writer.kill)
        timer.start()
        acknowledged = [first, *writer.stdout]
        timer.join()
    assert writer.returncode == -9
    assert [int(line) for line in acknowledged] == list(range(step, step + len(acknowledged)))
    return len(acknowledged)


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path):
    model: dict[str, Item] = {}
    step = 0
    for _ in range(ROUNDS):
        acknowledged = kill_after(tmp_path, step, random.uniform(0, LONGEST_LIFE_SECONDS))
        for done in range(step, step + acknowledged):
            model = apply(model, done)
        step += acknowledged
        with DataFolder(tmp_path):
            catalogue = Catalogue(tmp_path / "collections")
            collection = catalogue.get("crash")
            found = [stored.item for stored in collection.page(0, IDS + 1)]
            # The step that was under way when the kill came is there as a whole, or not at all.
            under_way = apply(model, step)
            if contents(found) == contents(list(under_way.values())):
                model = under_way
                step += 1
            assert contents(found) == contents(list(model.values()))
            query = unit_rows(np.random.default_rng(step).normal(size=(1, DIMENSION)).astype(np.float32))[0]
            hits = collection.search(query, IDS)
            cosines = {item.id: float(item.vector @ query) for item in model.values()}
            assert [hit.id for hit in hits] == sorted(cosines, key=lambda item_id: -cosines[item_id])
            assert [hit.score for hit in hits] == pytest.approx(
                sorted(cosines.values(), reverse=True), abs=COSINE_TOLERANCE
            )
            catalogue.close()


if __name__ == "__main__":
    write_for_ever(Path(sys.argv[1]), int(sys.argv[2]))
