from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from file_size_limit import no_file_larger_than
from memory_vectors import MemoryVectors, unit_vectors
from simila.domain.errors import StorageFailed
from simila.index.body import Body, Measured, Setting
from simila.index.body_builder import BuildWatch, build_body
from simila.index.body_file import BodyUnusable, load_body, remove_body, save_body
from simila.index.recipes import RECIPES, Recipe, recipe_of

DIMENSION = 16
ROWS = 700


def built(recipe: Recipe = RECIPES[0], rows: int = ROWS) -> Body:
    sequences = np.arange(1, rows + 1) * 2
    stored = MemoryVectors(sequences, unit_vectors(0, rows, DIMENSION))
    return build_body(recipe, stored, sequences, DIMENSION, BuildWatch())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_body(built(), tmp_path, "store")
    return tmp_path


def manifest_of(folder: Path) -> str:
    return (folder / "body.json").read_text()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.kind)
def test_a_body_comes_back_as_it_was_saved(recipe: Recipe, tmp_path: Path) -> None:
    measured = Measured({"stored": 0.97}, 0.5, 400.25, meets_target=True)
    body = replace(built(recipe), setting=Setting(4, 8), measured=measured)

    save_body(body, tmp_path, "store")
    loaded = load_body(tmp_path, "store", DIMENSION)

    assert loaded is not None
    assert (loaded.recipe, loaded.setting, loaded.measured) == (recipe, Setting(4, 8), measured)
    assert loaded.sequences.tolist() == body.sequences.tolist()
    queries = unit_vectors(1, 5, DIMENSION)
    assert loaded.candidates(queries, 10, 4).tolist() == body.candidates(queries, 10, 4).tolist()


def test_where_none_was_saved_there_is_none(tmp_path: Path) -> None:
    assert load_body(tmp_path, "store", DIMENSION) is None


def test_a_new_body_replaces_the_old_one_and_its_files(folder: Path) -> None:
    save_body(built(recipe_of("ivf-sq8"), 300), folder, "store")

    loaded = load_body(folder, "store", DIMENSION)
    assert loaded is not None
    assert len(loaded.sequences) == 300
    assert sorted(path.suffix for path in folder.iterdir()) == [".faiss", ".json", ".sequences"]


def test_a_body_in_use_outlives_its_files(folder: Path) -> None:
    loaded = load_body(folder, "store", DIMENSION)
    assert loaded is not None
    before = loaded.candidates(unit_vectors(1, 5, DIMENSION), 10, 64)

    save_body(built(rows=300), folder, "store")

    assert loaded.candidates(unit_vectors(1, 5, DIMENSION), 10, 64).tolist() == before.tolist()


def test_what_a_crash_left_behind_is_removed_by_the_next_save(folder: Path) -> None:
    (folder / "body-0000.faiss").write_bytes(b"half")

    save_body(built(), folder, "store")

    assert not (folder / "body-0000.faiss").exists()


@pytest.mark.parametrize("suffix", [".faiss", ".sequences"])
def test_every_flipped_byte_is_noticed(folder: Path, suffix: str) -> None:
    path = next(folder.glob(f"*{suffix}"))
    content = path.read_bytes()
    for place in (0, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :])
        with pytest.raises(BodyUnusable, match="checksum"):
            load_body(folder, "store", DIMENSION)


@pytest.mark.parametrize("suffix", [".faiss", ".sequences"])
def test_a_torn_file_is_noticed(folder: Path, suffix: str) -> None:
    path = next(folder.glob(f"*{suffix}"))
    content = path.read_bytes()
    path.write_bytes(content[:-100])

    with pytest.raises(BodyUnusable, match=f"has {len(content) - 100} bytes of {len(content)}"):
        load_body(folder, "store", DIMENSION)


@pytest.mark.parametrize("suffix", [".faiss", ".sequences"])
def test_a_missing_file_is_noticed(folder: Path, suffix: str) -> None:
    next(folder.glob(f"*{suffix}")).unlink()

    with pytest.raises(BodyUnusable, match="lacks a file"):
        load_body(folder, "store", DIMENSION)


@pytest.mark.parametrize(
    ("written", "found", "reason"),
    [
        (f'"faiss": "{faiss.__version__}"', '"faiss": "1.0.0"', "FAISS 1.0.0"),
        ('"format": 1', '"format": 2', "cannot be read"),
        ('"kind": "hnsw-sq8"', '"kind": "lsh"', "cannot be read"),
        ("{", "", "cannot be read"),
    ],
)
def test_a_manifest_of_another_version_is_noticed(folder: Path, written: str, found: str, reason: str) -> None:
    manifest = manifest_of(folder)
    assert written in manifest
    (folder / "body.json").write_text(manifest.replace(written, found))

    with pytest.raises(BodyUnusable, match=reason):
        load_body(folder, "store", DIMENSION)


def test_a_body_of_another_store_is_noticed(folder: Path) -> None:
    with pytest.raises(BodyUnusable, match="another store"):
        load_body(folder, "other", DIMENSION)


def test_a_body_of_another_dimension_is_noticed(folder: Path) -> None:
    with pytest.raises(BodyUnusable, match="16 dimensions"):
        load_body(folder, "store", 8)


@pytest.mark.usefixtures("folder")
def test_a_full_disk_leaves_the_old_body(tmp_path: Path) -> None:
    before = manifest_of(tmp_path)

    larger = built(rows=300)

    with no_file_larger_than(4096), pytest.raises(StorageFailed, match="cannot be saved"):
        save_body(larger, tmp_path, "store")

    assert manifest_of(tmp_path) == before
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".faiss", ".json", ".sequences"]
    assert load_body(tmp_path, "store", DIMENSION) is not None


def test_a_removed_body_is_gone(folder: Path) -> None:
    remove_body(folder)

    assert list(folder.iterdir()) == []
    assert load_body(folder, "store", DIMENSION) is None
