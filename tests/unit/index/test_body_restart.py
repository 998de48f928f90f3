"""Bodies at a start: one that can be used is, whatever else lies there is built again."""

import json
import shutil
import zlib

import numpy as np
import pytest

from grown_collections import (
    DIMENSION,
    FLAT_ROWS,
    ROWS,
    SPEC,
    Grown,
)
from simila.storage.collection_file import CollectionSpec
from small_collections import ENCODER, lower_flat_values, new_folder

pytestmark = pytest.mark.usefixtures("small_bodies")


def test_a_restart_loads_the_body_and_what_came_after(grown):
    grown.executor.run()
    grown.upsert(range(ROWS, ROWS + 20))
    grown.upsert(range(5), seed=7)
    grown.delete(range(10, 15))
    before = grown.index
    again = grown.restarted()
    assert again.index == before
    assert (again.index.head_rows, again.index.deleted_rows) == (25, 10)
    assert not again.executor.waiting
    again.model = grown.model
    again.check()
    again.collection.close()


def test_an_older_body_is_loaded_and_the_rest_replayed(grown, tmp_path):
    grown.executor.run()
    shutil.copytree(grown.folder, tmp_path / "older", ignore=shutil.ignore_patterns("items*"))
    grown.delete(range(400))
    grown.upsert(range(ROWS, ROWS + 50))
    grown.executor.run()
    grown.collection.close()
    for file in grown.folder.glob("body*"):
        file.unlink()
    shutil.copytree(tmp_path / "older", grown.folder, dirs_exist_ok=True)
    again = Grown(grown.folder)
    assert (again.index.kind, again.index.head_rows, again.index.deleted_rows) == ("hnsw-sq8", 50, 400)
    again.check()
    again.executor.run()
    assert (again.index.head_rows, again.index.deleted_rows) == (0, 0)
    again.check()
    again.collection.close()


def cut(suffix, part):
    def damage(folder):
        (file,) = folder.glob(f"body*.{suffix}")
        content = file.read_bytes()
        file.write_bytes(content[: int(part * len(content))] if part < 1 else content[:-1])

    damage.__name__ = f"{suffix}-cut-at-{part}"
    return damage


def flipped(suffix):
    def damage(folder):
        (file,) = folder.glob(f"body*.{suffix}")
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)

    damage.__name__ = f"{suffix}-flipped"
    return damage


def removed(suffix):
    def damage(folder):
        for file in folder.glob(f"body*.{suffix}"):
            file.unlink()

    damage.__name__ = f"{suffix}-removed"
    return damage


def retold(field, value):
    def damage(folder):
        manifest = json.loads((folder / "body.json").read_text())
        (folder / "body.json").write_text(json.dumps(manifest | {field: value}))

    damage.__name__ = f"other-{field}"
    return damage


def of_another_store(folder):
    """The very files of another collection with the same items."""
    other = Grown(new_folder(folder.parent, CollectionSpec.new("other", dimension=DIMENSION, **ENCODER)))
    other.upsert(range(ROWS))
    other.executor.run()
    other.collection.close()
    removed("*")(folder)
    shutil.copytree(other.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("items*"))


DAMAGES = [
    *(removed(suffix) for suffix in ("json", "faiss", "sequences", "*")),
    *(cut(suffix, part) for suffix in ("json", "faiss", "sequences") for part in (0, 0.01, 0.5, 1)),
    *(flipped(suffix) for suffix in ("faiss", "sequences")),
    *(retold(*change) for change in [("faiss", "1.7.0"), ("format", 2), ("kind", "octree"), ("store_id", "00" * 16)]),
    of_another_store,
]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a collection that has a body, to be copied."""
    with pytest.MonkeyPatch.context() as patch:
        lower_flat_values(patch, FLAT_ROWS * DIMENSION)
        grown = Grown(new_folder(tmp_path_factory.mktemp("built"), SPEC))
        grown.upsert(range(ROWS))
        grown.executor.run()
        grown.collection.close()
    return grown.folder


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_body_that_cannot_be_used_is_built_again_while_exact_search_serves(built, tmp_path, damage):
    folder = tmp_path / SPEC.name
    shutil.copytree(built, folder)
    damage(folder)
    again = Grown(folder)
    assert (again.index.kind, again.index.head_rows) == ("flat", ROWS)
    again.check()
    assert again.executor.run() == 1
    again.check()
    rebuilt = again.index
    assert (rebuilt.kind, rebuilt.head_rows) == ("hnsw-sq8", 0)
    last = again.restarted()
    assert (last.index.kind, last.index.head_rows, len(last.executor.waiting)) == ("hnsw-sq8", 0, 0)
    last.check()
    assert len(list(last.folder.glob("body*"))) == 3
    last.collection.close()


def test_a_body_that_lacks_items_is_built_again(grown, caplog):
    """As when somebody puts an older database in the place of the newer one."""
    grown.executor.run()
    grown.collection.close()
    manifest = json.loads((grown.folder / "body.json").read_text())
    sequences = np.fromfile(grown.folder / manifest["sequences"]["name"], "<i8")
    shifted = np.concatenate([sequences[:10] - 1, sequences[10:]]).astype("<i8").tobytes()
    (grown.folder / manifest["sequences"]["name"]).write_bytes(shifted)
    manifest["sequences"]["crc32"] = zlib.crc32(shifted)
    (grown.folder / "body.json").write_text(json.dumps(manifest))
    again = Grown(grown.folder)
    assert "it lacks items" in caplog.text
    assert again.index.kind == "flat"
    again.check()
    again.collection.close()


def test_a_body_of_a_later_store_is_not_used(grown, tmp_path, caplog):
    """An older copy of the database gives sequences again that the body holds with other vectors."""
    shutil.copytree(grown.folder, tmp_path / "copy")
    older = Grown(grown.folder)
    older.upsert(range(ROWS, ROWS + 400))
    older.executor.run()
    older.collection.close()
    grown.collection.close()
    (grown.folder / "items.sqlite-wal").unlink(missing_ok=True)
    shutil.copytree(tmp_path / "copy", grown.folder, dirs_exist_ok=True)
    again = Grown(grown.folder)
    assert again.index.kind == "flat"
    assert "newer than the items" in caplog.text
    again.upsert(range(ROWS, ROWS + 400), seed=9)
    again.executor.run()
    again.check()
    again.collection.close()


def test_leftovers_of_a_save_that_was_cut_short_are_removed(grown):
    grown.executor.run()
    grown.collection.close()
    files = sorted(file.name for file in grown.folder.glob("body*"))
    (grown.folder / "body-00ff00ff.faiss").write_bytes(b"half a body")
    (grown.folder / "body-00ff00ff.json").write_bytes(b"{")
    again = Grown(grown.folder)
    assert sorted(file.name for file in grown.folder.glob("body*")) == files
    assert again.index.kind == "hnsw-sq8"
    again.collection.close()
