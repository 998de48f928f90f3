"""Catalogues with collections of one item each."""

import numpy as np

from simila.domain.results import Item
from simila.index.catalogue import Catalogue
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_writes import Upsert

EAST, NORTH, _ = np.eye(3, dtype=np.float32)

MINILM = {"encoder": "all-minilm-l6-v2", "fingerprint": "ab" * 32, "dimension": 3}

LITE = {"encoder": "simila-lite", "fingerprint": "cd" * 32, "dimension": 3}


def filled(root, *names):
    """Collections of one item each, closed again."""
    catalogue = Catalogue(root)
    for name in names:
        collection, _ = catalogue.create(CollectionSpec.new(name, **MINILM))
        upsert(collection, Item("a", EAST, name, {"text": "x" * 3000}))
    catalogue.close()


def upsert(collection, *items):
    return collection.write(Upsert(items)).result()


def items_file(root, name):
    (file,) = (root / name).glob("generation-*/items.sqlite")
    return file
