"""One process owns a data folder."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from simila.domain.errors import DataFolderError
from simila.storage.data_folder import DataFolder

HOLDER = """
import sys
from pathlib import Path
from simila.storage.data_folder import DataFolder
with DataFolder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
CONTENDER = """
import sys
from pathlib import Path
from simila.domain.errors import DataFolderError
from simila.storage.data_folder import DataFolder
try:
    with DataFolder(Path(sys.argv[1])):
        print("held")
except DataFolderError as error:
    print(error)
"""


def contend(root: Path) -> str:
    command = [sys.executable, "-c", CONTENDER, str(root)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def test_the_folder_and_its_lock_are_private(tmp_path):
    with DataFolder(tmp_path / "data") as folder:
        assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder.root / ".lock").stat().st_mode) == 0o600
        assert (folder.root / ".lock").read_text() == f"{os.getpid()}\n"


def test_what_is_created_while_it_is_held_is_private_and_after_that_as_before(tmp_path):
    before = os.umask(0o022)
    try:
        with DataFolder(tmp_path):
            (tmp_path / "held").touch()
        (tmp_path / "let go").touch()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("held", "let go")]
    assert modes == [0o600, 0o644]


def test_the_lock_names_its_newest_holder(tmp_path):
    (tmp_path / ".lock").write_text("99999999999\n")
    with DataFolder(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_second_process_is_refused_until_the_first_lets_go(tmp_path):
    with DataFolder(tmp_path):
        message = contend(tmp_path)
        assert str(tmp_path) in message
        assert f"pid {os.getpid()}" in message
        assert "--data-dir" in message
        assert "SIMILA_DATA_DIR" in message
    assert contend(tmp_path) == "held"


def test_the_lock_ends_with_a_killed_process(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DataFolderError, match=f"pid {holder.pid}"), DataFolder(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=60)
    with DataFolder(tmp_path):
        pass


def test_a_refused_folder_can_be_tried_again(tmp_path):
    second = DataFolder(tmp_path)
    with DataFolder(tmp_path), pytest.raises(DataFolderError), second:
        pass
    with second:
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_file_is_no_data_folder(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(DataFolderError, match="File exists"), DataFolder(file):
        pass


def test_a_folder_in_which_nothing_can_be_made_is_refused(tmp_path):
    # A mode would not stop root; a folder in the place of the lock stops everyone.
    (tmp_path / ".lock").mkdir()
    with pytest.raises(DataFolderError, match="Is a directory"), DataFolder(tmp_path):
        pass
