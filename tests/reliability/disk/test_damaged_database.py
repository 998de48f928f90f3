"""Damaged bytes anywhere in a database: the answer is right or refused, and the other collections serve.

`DAMAGE_SPOTS` sets how many random places are damaged, each in a copy of its own: 60.
"""

import os
import random
import shutil

import pytest

from memory_vectors import clustered_vectors, unit_vectors
from simila.domain.errors import CollectionUnavailable
from simila.domain.results import Item
from simila.index.catalogue import Catalogue
from simila.index.collection_state import Available
from simila.index.filters import compile_filter
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_writes import DeclarePayloadIndex, Upsert
from small_collections import ENCODER, are_nearest, lower_flat_values, nearest

DIMENSION = 32
ROWS = 1500
FLAT_ROWS = 500
SPOTS = int(os.environ.get("DAMAGE_SPOTS", "60"))
COSINE_TOLERANCE = 1e-6
PAGE_BYTES = 8192
HEADER_BYTES = 100
# The first byte of a page of a b-tree.
PAGE_KINDS = {"index, inner": 2, "table, inner": 5, "index, leaf": 10, "table, leaf": 13}
VECTORS = clustered_vectors(0, ROWS, DIMENSION)
QUERY = unit_vectors(1, 1, DIMENSION)[0]
COSINES = (VECTORS @ QUERY).tolist()
WORDS = ["red", "green", "blue"]
FILTERS = {
    "indexed": (compile_filter({"n": {"$lt": 100}}), lambda number: number < 100),
    "scanned": (compile_filter({"word": "red"}), lambda number: number % 3 == 0),
    "label": (compile_filter({"$label": "even"}), lambda number: number % 2 == 0),
}


def item(number):
    payload = {"n": number, "word": WORDS[number % 3], "text": f"{number} " * 60}
    return Item(f"item{number}", VECTORS[number], "odd" if number % 2 else "even", payload)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder of two collections that are alike, with bodies, one of them to be damaged."""
    root = tmp_path_factory.mktemp("sound")
    with pytest.MonkeyPatch.context() as patch:
        lower_flat_values(patch, FLAT_ROWS * DIMENSION)
        catalogue = Catalogue(root)
        for name in ("bags", "hats"):
            collection, _ = catalogue.create(CollectionSpec.new(name, dimension=DIMENSION, **ENCODER))
            collection.write(DeclarePayloadIndex("n")).result()
            collection.write(Upsert([item(number) for number in range(ROWS)])).result()
        catalogue._background.submit(lambda: None).result()
        catalogue.close()
    return root


@pytest.fixture(autouse=True)
def _small_bodies(monkeypatch):
    lower_flat_values(monkeypatch, FLAT_ROWS * DIMENSION)


def database_of(root):
    (file,) = root.glob("hats/generation-*/items.sqlite")
    return file


def is_right_or_refused(collection):
    """Whether all reads gave what was written; each may say that it cannot."""
    refused = 0
    for read in (searches, filtered_searches, gets):
        try:
            read(collection)
        except CollectionUnavailable:
            refused += 1
    return refused == 0


def searches(collection):
    hits = nearest(collection, QUERY, 20, exact=True)
    assert are_nearest(hits, {f"item{number}": cosine for number, cosine in enumerate(COSINES)}, 20)
    for hit in [*hits, *nearest(collection, QUERY, 20)]:
        written = item(int(hit.id[4:]))
        assert (hit.label, hit.payload) == (written.label, written.payload)
        assert abs(hit.score - written.vector @ QUERY) < COSINE_TOLERANCE


def filtered_searches(collection):
    for where, is_match in FILTERS.values():
        expected = {f"item{number}": cosine for number, cosine in enumerate(COSINES) if is_match(number)}
        assert are_nearest(nearest(collection, QUERY, ROWS, where=where), expected, ROWS)
        assert collection.reader.count(where) == len(expected)


def gets(collection):
    for number in range(0, ROWS, 50):
        stored = collection.reader.get(f"item{number}")
        assert stored is not None
        assert (stored.item.label, stored.item.payload) == (item(number).label, item(number).payload)
        assert stored.item.vector.tobytes() == VECTORS[number].tobytes()
    assert collection.reader.label_counts() == {"even": ROWS // 2, "odd": ROWS // 2}
    assert [row.id for row in collection.reader.page(0, ROWS)] == [f"item{number}" for number in range(ROWS)]


def served(root):
    """Whether the damaged collection serves all, once it is checked. What it serves must be right."""
    catalogue = Catalogue(root)
    try:
        for pool in (catalogue._checks, catalogue._background):
            pool.submit(lambda: None).result()
        assert is_right_or_refused(catalogue.get("bags"))
        assert isinstance(catalogue.states()["bags"], Available)
        try:
            return is_right_or_refused(catalogue.get("hats"))
        except CollectionUnavailable:
            reason = catalogue.states()["hats"].reason
            assert "items.sqlite cannot be read" in reason
            return False
    finally:
        catalogue.close()


@pytest.mark.parametrize("place", [0, 5, 8, 2000, PAGE_BYTES - 200])
@pytest.mark.parametrize("kind", PAGE_KINDS)
def test_damage_in_every_page_of_a_kind_gives_no_wrong_answer(sound, tmp_path, kind, place):
    root = shutil.copytree(sound, tmp_path / "root")
    content = bytearray(database_of(root).read_bytes())
    pages = [page for page in range(PAGE_BYTES, len(content), PAGE_BYTES) if content[page] == PAGE_KINDS[kind]]
    assert int.from_bytes(content[16:18]) == PAGE_BYTES
    assert pages
    for page in pages:
        content[page + place : page + place + 200] = random.Random(page).randbytes(200)
    database_of(root).write_bytes(content)
    # The middle of an inner page is empty, its end has the cells; a leaf is full.
    assert served(root) == ("inner" in kind and place == 2000)


def test_an_index_at_odds_with_its_table_is_found(sound, tmp_path):
    """The item is there, and by its id it is not."""
    root = shutil.copytree(sound, tmp_path / "root")
    content = bytearray(database_of(root).read_bytes())
    leaves = [
        page for page in range(PAGE_BYTES, len(content), PAGE_BYTES) if content[page] == PAGE_KINDS["index, leaf"]
    ]
    (leaf,) = [page for page in leaves if b"item701" in content[page : page + PAGE_BYTES]]
    place = content.index(b"item701", leaf)
    content[place + 6] = ord("2")
    database_of(root).write_bytes(content)
    assert not served(root)


@pytest.mark.parametrize("offset", [0, 16, 18, 28, 40, 44, 52, 60, HEADER_BYTES, HEADER_BYTES + 3])
def test_a_damaged_header_is_found_or_does_no_harm(sound, tmp_path, offset):
    root = shutil.copytree(sound, tmp_path / "root")
    content = bytearray(database_of(root).read_bytes())
    content[offset] ^= 0xFF
    database_of(root).write_bytes(content)
    served(root)


@pytest.mark.parametrize("seed", range(SPOTS))
def test_damage_anywhere_gives_no_wrong_answer(sound, tmp_path, seed):
    root = shutil.copytree(sound, tmp_path / "root")
    content = bytearray(database_of(root).read_bytes())
    choice = random.Random(seed)
    start = choice.randrange(len(content))
    length = choice.choice([1, 1, 1, 8, 512, PAGE_BYTES])
    content[start : start + length] = bytes(byte ^ choice.randrange(1, 256) for byte in content[start : start + length])
    database_of(root).write_bytes(content)
    served(root)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_database_cut_short_is_found(sound, tmp_path, share):
    root = shutil.copytree(sound, tmp_path / "root")
    content = database_of(root).read_bytes()
    database_of(root).write_bytes(content[: int(share * len(content))])
    assert not served(root)
