import asyncio

import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.domain.errors import DuplicateId, FingerprintMismatch, InvalidInput, InvalidVector, LimitExceeded
from simila.domain.results import Item, StoredItem
from simila.index.catalogue import Catalogue
from simila.services.ingestion import IngestionService, ItemColumns
from simila.services.item_checks import ItemLimits
from simila.storage.collection_file import CollectionSpec

LIMITS = ItemLimits(items=3, label_characters=8, payload_bytes=20, items_setting="THE_SETTING")
SPEC = CollectionSpec.new("shoes", encoder="e", fingerprint="f1", dimension=4)
VECTORS = unit_vectors(1, 3, 4)


@pytest.fixture
def catalogue(tmp_path):
    catalogue = Catalogue(tmp_path)
    catalogue.create(SPEC)
    yield catalogue
    catalogue.close()


def upsert(catalogue, columns, fingerprint=None):
    return asyncio.run(IngestionService(catalogue, LIMITS).upsert("shoes", columns, fingerprint=fingerprint))


def test_columns_become_items(catalogue):
    columns = ItemColumns(["a", "b"], VECTORS[:2] * [[3], [0.1]], ["heel", None], [None, '{"b":1, "a":2}'])
    assert upsert(catalogue, columns, "f1") == 2
    stored = catalogue.get("shoes").reader.get("b")
    np.testing.assert_allclose(stored.item.vector, VECTORS[1], rtol=1e-6)
    assert stored == StoredItem(2, Item("b", stored.item.vector, None, {"b": 1, "a": 2}))
    assert catalogue.get("shoes").reader.get("a").item.label == "heel"


def test_unit_vectors_are_kept_bit_for_bit(catalogue):
    upsert(catalogue, ItemColumns(["a", "b", "c"], VECTORS))
    _, stored = catalogue.get("shoes").reader.vectors(np.array([1, 2, 3]))
    np.testing.assert_array_equal(stored, VECTORS)


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        (
            ItemColumns(list("abcd"), np.ones((4, 4))),
            LimitExceeded,
            "4 items are more than the limit of 3 (THE_SETTING)",
        ),
        (ItemColumns([], np.ones((0, 4))), InvalidInput, "there are no items"),
        (ItemColumns(["a", "a"], VECTORS[:2]), DuplicateId, "items[1]: the id 'a' is that of items[0] too"),
        (
            ItemColumns(["a"], VECTORS[:1, :3]),
            InvalidVector,
            "items: the vectors have 3 dimensions; the encoder's have 4",
        ),
        (ItemColumns(["a"], VECTORS[:1], None, ["[]"]), InvalidInput, "items[0].payload: it is no JSON object"),
        (
            ItemColumns(["a"], VECTORS[:1], ["123456789"]),
            LimitExceeded,
            "items[0].label: 9 characters are more than the limit of 8 (SIMILA_LIMITS__MAX_LABEL_CHARACTERS)",
        ),
        (
            ItemColumns(["a"], VECTORS[:1], None, ['{"a": "%s"}' % ("x" * 20)]),
            LimitExceeded,
            "items[0].payload: 29 bytes are more than the limit of 20 (SIMILA_LIMITS__MAX_PAYLOAD_BYTES)",
        ),
    ],
    ids=["many", "none", "twice", "dimension", "payload", "label", "large-payload"],
)
def test_a_bad_column_keeps_all_out(catalogue, columns, error, message):
    with pytest.raises(error) as refused:
        upsert(catalogue, columns)
    assert (type(refused.value), refused.value.message) == (error, message)
    assert catalogue.get("shoes").reader.count() == 0


def test_another_fingerprint_is_refused(catalogue):
    with pytest.raises(
        FingerprintMismatch, match=r"^collection shoes holds vectors of e \(fingerprint f1\), and these"
    ):
        upsert(catalogue, ItemColumns(["a"], VECTORS[:1]), "f2")
