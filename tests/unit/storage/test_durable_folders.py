"""Folders get a private mode, and move as a whole."""

import stat

from simila.storage.durable_folders import make_folder, rename_folder


def test_a_folder_is_made_with_its_parents_for_this_user_alone(tmp_path):
    make_folder(tmp_path / "outer" / "inner")
    assert stat.S_IMODE((tmp_path / "outer" / "inner").stat().st_mode) == 0o700


def test_a_folder_that_exists_keeps_its_mode(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o750)
    make_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


def test_a_folder_is_renamed_with_what_it_holds(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("content")
    rename_folder(source, tmp_path / "target")
    assert (tmp_path / "target" / "file").read_text() == "content"
    assert not source.exists()
