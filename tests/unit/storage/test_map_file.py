"""A map beside the items that it is of."""

import numpy as np
import pytest

from simila.domain.errors import StorageFailed
from simila.storage.map_file import MAP_FILE, StoredMap, load_map, remove_map, save_map

STORED = StoredMap(
    mean=np.arange(3, dtype=np.float32),
    axes=np.eye(3, 2, dtype=np.float32),
    centres=np.ones((2, 3), np.float32),
    sequences=np.array([4, 7], np.int64),
    places=np.array([[1, 2], [3, 4]], np.float32),
    clusters=np.array([1, 0], np.int64),
    neighbours=np.array([7, 4], np.int64),
    cosines=np.array([0.5, 0.5], np.float32),
)


def test_it_comes_back_as_it_was_saved(tmp_path):
    save_map(tmp_path, STORED, "store")
    loaded = load_map(tmp_path, "store")
    for name, array in vars(STORED).items():
        assert vars(loaded)[name].dtype == array.dtype
        np.testing.assert_array_equal(vars(loaded)[name], array)
    assert (tmp_path / MAP_FILE).stat().st_mode & 0o077 == 0


def test_there_is_none_of_another_store_or_none_at_all(tmp_path):
    assert load_map(tmp_path, "store") is None
    save_map(tmp_path, STORED, "store")
    assert load_map(tmp_path, "another") is None


def test_a_damaged_one_is_not_used(tmp_path):
    save_map(tmp_path, STORED, "store")
    content = (tmp_path / MAP_FILE).read_bytes()
    for at in range(0, len(content), 13):
        for damaged in (content[:at], content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :]):
            (tmp_path / MAP_FILE).write_bytes(damaged)
            assert load_map(tmp_path, "store") is None


def test_nothing_is_left_of_one_that_is_removed(tmp_path):
    save_map(tmp_path, STORED, "store")
    (tmp_path / f"{MAP_FILE}.new").write_bytes(b"cut short")
    remove_map(tmp_path)
    remove_map(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_says_so(tmp_path):
    with pytest.raises(StorageFailed, match="the map cannot be saved: No such file"):
        save_map(tmp_path / "nowhere", STORED, "store")
