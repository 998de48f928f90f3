"""Aliases outlast the server, and a torn file is not taken for none."""

import pytest

from simila.domain.errors import DataFolderError, StorageFailed
from simila.storage.alias_file import AliasFile


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "data" / "aliases.json"
    assert AliasFile(path).stored == {}
    AliasFile(path).write({"prod": "words", "ä": "tiny"})
    assert AliasFile(path).stored == {"prod": "words", "ä": "tiny"}
    AliasFile(path).write({})
    assert AliasFile(path).stored == {}
    assert [entry.name for entry in path.parent.iterdir()] == ["aliases.json"]


@pytest.mark.parametrize("content", [b"", b'{"prod": "wor', b"[]", b'{"prod": 1}'])
def test_a_damaged_file_is_named_with_a_remedy(tmp_path, content):
    path = tmp_path / "aliases.json"
    path.write_bytes(content)
    with pytest.raises(DataFolderError, match=r"aliases\.json cannot be read .*; remove the file, and set them again"):
        AliasFile(path)


def test_a_disk_that_refuses_leaves_what_was(tmp_path):
    path = tmp_path / "aliases.json"
    AliasFile(path).write({"prod": "words"})
    (tmp_path / "aliases.json.new").mkdir()
    with pytest.raises(StorageFailed, match="the aliases cannot be written: Is a directory"):
        AliasFile(path).write({"prod": "tiny"})
    assert AliasFile(path).stored == {"prod": "words"}
