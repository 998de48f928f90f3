"""What is damaged hinders nothing else."""

import logging

import pytest

from filled_catalogues import EAST, LITE, MINILM, filled, items_file
from simila.domain.errors import (
    CollectionUnavailable,
)
from simila.index.catalogue import Catalogue
from simila.index.collection import Collection
from simila.index.collection_state import Available, Unavailable
from simila.storage.collection_file import CollectionSpec
from small_collections import nearest


def empty(file):
    file.write_bytes(b"")


def truncate(file):
    file.write_bytes(file.read_bytes()[:5000])


def overwrite(file):
    content = bytearray(file.read_bytes())
    content[4096:12288] = b"\x5a" * 8192
    file.write_bytes(content)


def replace_by_text(file):
    file.write_text("not a database\n" * 500)


def remove(file):
    file.unlink()


@pytest.mark.parametrize("damage", [empty, truncate, overwrite, replace_by_text, remove])
def test_a_damaged_collection_hinders_no_other(root, caplog, damage):
    filled(root, "bags", "hats", "shoes")
    damage(items_file(root, "hats"))
    with caplog.at_level(logging.ERROR, "simila.index"):
        catalogue = Catalogue(root)
    [record] = caplog.records
    assert record.getMessage().startswith("collection hats is unavailable: hats/generation-")
    assert record.getMessage().endswith("; restore it from a backup, or delete the collection")
    assert record.exc_info is None
    for name in ("bags", "shoes"):
        assert nearest(catalogue.get(name), EAST, 1)[0].label == name
    with pytest.raises(CollectionUnavailable, match=r"items\.sqlite cannot be read: .*; restore it"):
        catalogue.get("hats")
    with pytest.raises(CollectionUnavailable):
        catalogue.create(CollectionSpec.new("hats", **MINILM))
    states = catalogue.states()
    assert list(states) == ["bags", "hats", "shoes"]
    assert isinstance(states["hats"], Unavailable)
    assert "items.sqlite cannot be read" in states["hats"].reason
    catalogue.drop("hats")
    _, created = catalogue.create(CollectionSpec.new("hats", **LITE))
    assert created
    catalogue.close()


def test_a_failure_of_another_kind_hinders_no_other(root, monkeypatch):
    filled(root, "bags", "hats")
    opened = Collection.open

    def fail_once(folder, **options):
        if folder.parent.name == "bags":
            raise MemoryError
        return opened(folder, **options)

    monkeypatch.setattr(Collection, "open", fail_once)
    catalogue = Catalogue(root)
    assert catalogue.states()["bags"] == Unavailable("MemoryError")
    assert isinstance(catalogue.states()["hats"], Available)
    catalogue.close()


def flip_a_bit_of(file, text):
    """Damage what SQLite's own checks do not see."""
    content = bytearray(file.read_bytes())
    content[content.index(text)] ^= 1
    file.write_bytes(content)


def test_rows_that_are_damaged_are_found_in_the_background(root, caplog):
    filled(root, "bags", "hats")
    flip_a_bit_of(items_file(root, "hats"), b"x" * 3000)
    catalogue = Catalogue(root)
    catalogue._checks.submit(lambda: None).result()  # the checks are done by then
    with pytest.raises(CollectionUnavailable, match=r"item 'a' \(sequence 1\) fails its checksum"):
        catalogue.get("hats")
    assert "collection hats is unavailable" in caplog.text
    assert isinstance(catalogue.states()["bags"], Available)
    assert "fails its checksum" in catalogue.states()["hats"].reason
    catalogue.close()


@pytest.mark.parametrize("damage", [remove, empty, replace_by_text])
def test_a_collection_that_does_not_name_its_generation_is_unavailable_and_kept(root, damage):
    filled(root, "bags", "hats")
    pointer = root / "hats" / "current"
    named = pointer.read_text()
    damage(pointer)
    catalogue = Catalogue(root)
    with pytest.raises(CollectionUnavailable):
        catalogue.get("hats")
    assert nearest(catalogue.get("bags"), EAST, 1)[0].label == "bags"
    catalogue.close()
    pointer.write_text(named)
    catalogue = Catalogue(root)
    assert nearest(catalogue.get("hats"), EAST, 1)[0].label == "hats"
    catalogue.close()
