"""A writer with eight clients, killed at a random moment, keeps all that it acknowledged and half of nothing.

`CRASH_ROUNDS` sets the number of kills (5). Run as a script, this file is the writer.
"""

import os
import random
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np

from simila.domain.results import Item
from simila.domain.vectors import unit_rows
from simila.storage.collection_file import CollectionSpec
from simila.storage.collection_store import CollectionStore
from simila.storage.item_writes import Delete, Upsert

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "5"))
CLIENTS = 8
IDS_PER_CLIENT = 20
DIMENSION = 32
LONGEST_LIFE_SECONDS = 0.5

State = dict[str, tuple[bytes, str | None, int]]


def operation(client: int, step: int) -> Upsert | Delete:
    """What a client does at a step, to ids of its own."""
    generator = np.random.default_rng((client, step))
    ids = [f"{client}/{number}" for number in generator.choice(IDS_PER_CLIENT, size=5, replace=False)]
    if generator.random() < 0.3:
        return Delete(ids)
    vectors = unit_rows(generator.normal(size=(len(ids), DIMENSION)).astype(np.float32))
    payload = {"step": step, "text": "x" * int(generator.integers(3000))}
    return Upsert([Item(item_id, vector, f"{step % 3}", payload) for item_id, vector in zip(ids, vectors, strict=True)])


def apply(state: State, client: int, step: int) -> State:
    change = operation(client, step)
    if isinstance(change, Delete):
        return {item_id: content for item_id, content in state.items() if item_id not in change.ids}
    return state | {item.id: (item.vector.tobytes(), item.label, step) for item in change.items}


def write_for_ever(store: CollectionStore, client: int, step: int) -> None:
    while True:
        store.submit(operation(client, step)).result()
        os.write(sys.stdout.fileno(), f"{client} {step}\n".encode())
        step += 1


def acknowledged_until_killed(path: Path, steps: list[int], life_seconds: float) -> list[int]:
    """Run the writer from these steps of the clients, kill it, and return the steps that it did not acknowledge."""
    command = [sys.executable, __file__, str(path), *map(str, steps)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        first = writer.stdout.readline()
        timer = threading.Timer(life_seconds, writer.kill)
        timer.start()
        lines = [first, *writer.stdout]
        timer.join()
    assert writer.returncode == -9
    following = list(steps)
    for line in lines:
        client, step = map(int, line.split())
        assert step == following[client]
        following[client] += 1
    return following


def stored(store: CollectionStore) -> State:
    store.check_pages()
    rows = store.reader.page(0, CLIENTS * IDS_PER_CLIENT + 1)
    found, vectors = store.reader.vectors(np.array([row.sequence for row in rows], dtype=np.int64))
    assert found.tolist() == [row.sequence for row in rows]
    return {
        row.id: (vector.tobytes(), row.label, row.payload["step"]) for row, vector in zip(rows, vectors, strict=True)
    }


def of_client(state: State, client: int) -> State:
    return {item_id: content for item_id, content in state.items() if item_id.startswith(f"{client}/")}


def test_what_was_acknowledged_to_any_client_is_there_after_a_kill(tmp_path):
    path = tmp_path / "items.sqlite"
    spec = CollectionSpec.new("crash", encoder="e", fingerprint="f", dimension=DIMENSION)
    CollectionStore.create(path, spec).close()
    model: list[State] = [{} for _ in range(CLIENTS)]
    steps = [0] * CLIENTS
    moments = random.Random(2)
    for _ in range(ROUNDS):
        following = acknowledged_until_killed(path, steps, moments.uniform(0, LONGEST_LIFE_SECONDS))
        with closing(CollectionStore.open(path)) as store:
            found = stored(store)
        for client in range(CLIENTS):
            for step in range(steps[client], following[client]):
                model[client] = apply(model[client], client, step)
            # The step that was under way when the kill came is there as a whole, or not at all.
            under_way = apply(model[client], client, following[client])
            if of_client(found, client) == under_way:
                model[client] = under_way
                following[client] += 1
            assert of_client(found, client) == model[client]
        steps = following


if __name__ == "__main__":
    opened = CollectionStore.open(Path(sys.argv[1]))
    clients = [
        threading.Thread(target=write_for_ever, args=(opened, client, int(step)))
        for client, step in enumerate(sys.argv[2:])
    ]
    for thread in clients:
        thread.start()
