"""Clients that write to a collection for ever, bodies being built all the while. Run as a script, to be killed.

What a client does at a step follows from the two numbers alone, so whoever started the script knows it too.
"""

import itertools
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simila.domain.results import Item
from simila.index import body_file, body_upkeep
from simila.index.catalogue import Catalogue
from simila.storage.collection_file import CollectionSpec
from simila.storage.data_folder import DataFolder
from simila.storage.item_writes import Delete, Upsert
from small_collections import ENCODER, lower_flat_values, versioned

NAME = "crash"
CLIENTS = 3
DIMENSION = 32
IDS_PER_CLIENT = 150
FLAT_ROWS = 150
SPEC = CollectionSpec.new(NAME, dimension=DIMENSION, **ENCODER)


def operation(client: int, step: int) -> Upsert | Delete:
    """What a client does at a step, to ids of its own."""
    choice = np.random.default_rng([client, step])
    numbers = choice.choice(IDS_PER_CLIENT, choice.integers(1, 40), replace=False)
    chosen = [f"{client}-{number}" for number in numbers]
    if choice.random() < 0.2:
        return Delete(chosen)
    return Upsert([versioned(item_id, step, DIMENSION) for item_id in chosen])


def after(items: Mapping[str, Item], client: int, step: int) -> dict[str, Item]:
    """A client's items after one more step."""
    done = operation(client, step)
    if isinstance(done, Delete):
        return {item_id: item for item_id, item in items.items() if item_id not in set(done.ids)}
    return dict(items) | {item.id: item for item in done.items}


def write_for_ever(root: Path, first_steps: list[int]) -> None:
    """Tell of each step, once it is acknowledged, on standard output."""
    with DataFolder(root):
        collection, _ = Catalogue(root / "collections").create(SPEC)

        def write(client: int, first_step: int) -> None:
            for step in itertools.count(first_step):
                collection.write(operation(client, step)).result()
                os.write(sys.stdout.fileno(), f"{client} {step}\n".encode())

        clients = [threading.Thread(target=write, args=pair) for pair in enumerate(first_steps)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()


def die_at_disk_call(patch: pytest.MonkeyPatch, number: int) -> None:
    """Kill this process when the saving of bodies has come to its n-th request of the disk."""
    requests = itertools.count()
    save = body_upkeep.save_body

    def dying(owner: object, name: str) -> None:
        request = getattr(owner, name)

        def request_or_die(*arguments: object, **options: object) -> object:
            if next(requests) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return request(*arguments, **options)

        patch.setattr(owner, name, request_or_die)

    def save_dying(*arguments: Any, **options: Any) -> None:
        patch.setattr(body_upkeep, "save_body", save)
        for owner, name in ((body_file, "sync_folder"), (os, "fsync"), (Path, "replace"), (Path, "unlink")):
            dying(owner, name)
        save(*arguments, **options)

    patch.setattr(body_upkeep, "save_body", save_dying)


if __name__ == "__main__":
    root, death, *first_steps = sys.argv[1:]
    with pytest.MonkeyPatch.context() as patch:
        lower_flat_values(patch, FLAT_ROWS * DIMENSION)
        if death != "killed":
            die_at_disk_call(patch, int(death))
        write_for_ever(Path(root), [int(step) for step in first_steps])
