"""A writer killed at a random moment loses nothing that it acknowledged, and leaves nothing half done.

`CRASH_ROUNDS` sets the number of kills: 20, and 200 in the long mode.
"""

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from memory_vectors import unit_vectors
from reliability.crash.writer import CLIENTS, DIMENSION, FLAT_ROWS, NAME, after
from simila.domain.results import Item
from simila.index.catalogue import Catalogue
from simila.index.collection import Collection
from simila.index.filters import compile_filter
from simila.storage.data_folder import DataFolder
from small_collections import are_nearest, lower_flat_values, nearest

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "20"))
LONGEST_LIFE_SECONDS = 0.6
HANG_SECONDS = 60
BODY = "hnsw-sq8"
DISK_CALLS_OF_A_SAVE = 8
WRITER = Path(__file__).with_name("writer.py")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
ODD = compile_filter({"parity": "odd"})


class Survivors:
    """What each client's acknowledged steps have made."""

    def __init__(self) -> None:
        self.steps = [0] * CLIENTS
        self.items: list[dict[str, Item]] = [{} for _ in range(CLIENTS)]

    def take(self, client: int) -> None:
        self.items[client] = after(self.items[client], client, self.steps[client])
        self.steps[client] += 1

    def kill_after(self, root: Path, life_seconds: float) -> None:
        """Let the writer go on, and kill it so long after its first acknowledgement."""
        with self._running(root, "killed") as writer:
            first = writer.stdout.readline()
            timer = threading.Timer(life_seconds, writer.kill)
            timer.start()
            self._take_all([first, *writer.stdout])
            timer.join()
        assert writer.returncode == -9

    def let_die(self, root: Path, disk_call: int) -> None:
        """Let the writer go on until it kills itself while it saves a body."""
        with self._running(root, str(disk_call)) as writer:
            self._take_all(list(writer.stdout))
        assert writer.returncode == -9

    def check(self, root: Path) -> str:
        """Compare the collection with what it must hold; return the kind of its index at the start."""
        with DataFolder(root):
            catalogue = Catalogue(root / "collections")
            collection = catalogue.get(NAME)
            kind = collection.statistics().index.kind
            self._check_items(collection)
            self._check_searches(collection)
            collection.check()
            catalogue.close()
        return kind

    def _running(self, root: Path, death: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(WRITER), str(root), death, *map(str, self.steps)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)

    def _take_all(self, acknowledged: list[str]) -> None:
        for line in acknowledged:
            client, step = map(int, line.split())
            assert step == self.steps[client]
            self.take(client)

    def _check_items(self, collection: Collection) -> None:
        found = {row.id: (row.label, row.payload, row.sequence) for row in collection.reader.page(0, 10**6)}
        sequences = np.array([sequence for _, _, sequence in found.values()], dtype=np.int64)
        vectors = dict(zip(found, collection.reader.vectors(sequences)[1], strict=True))
        stored = {item_id: (vectors[item_id].tobytes(), *found[item_id][:2]) for item_id in found}
        for client in range(CLIENTS):
            own = {item_id: parts for item_id, parts in stored.items() if item_id.startswith(f"{client}-")}
            # The step that was under way when the kill came is there as a whole, or not at all.
            if own != contents(self.items[client]):
                self.take(client)
            assert own == contents(self.items[client])

    def _check_searches(self, collection: Collection) -> None:
        items = [item for own in self.items for item in own.values()]
        for query in unit_vectors(sum(self.steps), 3, DIMENSION):
            cosines = {item.id: float(item.vector @ query) for item in items}
            assert are_nearest(nearest(collection, query, len(items), exact=True), cosines, len(items))
            hits = nearest(collection, query, 10)
            assert are_nearest(hits, {hit.id: cosines[hit.id] for hit in hits}, 10)
            assert len(hits) == min(10, len(items))
            odd = {item.id: cosines[item.id] for item in items if item.payload["parity"] == "odd"}
            assert are_nearest(nearest(collection, query, len(items), where=ODD), odd, len(items))


def contents(items: dict[str, Item]) -> dict[str, tuple[object, ...]]:
    return {item.id: (item.vector.tobytes(), item.label, item.payload) for item in items.values()}


@pytest.fixture(autouse=True)
def _small_bodies(monkeypatch):
    lower_flat_values(monkeypatch, FLAT_ROWS * DIMENSION)


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path):
    survivors, kinds, chance = Survivors(), set(), random.Random(1)
    lives_seconds = [chance.uniform(0, LONGEST_LIFE_SECONDS) for _ in range(ROUNDS)]
    while lives_seconds:
        survivors.kill_after(tmp_path, life_seconds := lives_seconds.pop(0))
        kinds.add(survivors.check(tmp_path))
        # A busy machine may have built no body yet.
        if not lives_seconds and BODY not in kinds and life_seconds < HANG_SECONDS:
            lives_seconds.append(2 * (life_seconds + LONGEST_LIFE_SECONDS))
    assert BODY in kinds


def test_a_kill_while_a_body_is_saved_costs_no_more_than_the_body(tmp_path):
    survivors, kinds = Survivors(), []
    for disk_call in range(DISK_CALLS_OF_A_SAVE):
        survivors.let_die(tmp_path, disk_call)
        kinds.append(survivors.check(tmp_path))
        assert len(list(tmp_path.glob("collections/*/generation-*/body*"))) in {0, 3}
    assert set(kinds) == {"flat", BODY}
