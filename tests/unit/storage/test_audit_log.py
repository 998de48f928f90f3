"""The record of who changed what, and what becomes visible when somebody changes it."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from simila.domain.errors import StorageFailed
from simila.storage.audit_log import NO_HASH, AuditLog, Chain, audit_entry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "audit.jsonl"


@pytest.fixture
def log(path: Path) -> AuditLog:
    log = AuditLog(path)
    log.append([{"subject": "first"}])
    log.append([{"subject": "Zoë"}, {"subject": "third"}])
    return log


def hashes(path: Path) -> list[str]:
    return [json.loads(line)["hash"] for line in path.read_text().splitlines()]


def test_what_is_added_holds(log: AuditLog, path: Path) -> None:
    assert [json.loads(line)["subject"] for line in path.read_text().splitlines()] == ["first", "Zoë", "third"]
    assert log.verify() == Chain(3, hashes(path)[2])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_holds_in_a_log_that_is_not_there(path: Path) -> None:
    assert AuditLog(path).verify() == Chain(0, NO_HASH)


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        (lambda lines: [lines[0], lines[1].replace(b"Zo", b"zo"), lines[2]], 2),
        (lambda lines: [lines[0], lines[2]], 2),
        (lambda lines: [lines[1], lines[2]], 1),
        (lambda lines: [lines[0], lines[2], lines[1]], 2),
        (lambda lines: [lines[0], lines[0], *lines[1:]], 2),
        (lambda lines: [*lines, b"\n"], 4),
        (lambda lines: [*lines, b'{"subject": "mine"}\n'], 4),
        (lambda lines: [*lines[:2], lines[2][:-9]], 3),
        (lambda lines: [*lines[:2], lines[2].replace(b"third", b"thir\xff")], 3),
    ],
)
def test_a_line_that_is_changed_moved_or_put_in_is_found(log: AuditLog, path: Path, change, broken: int) -> None:
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    assert log.verify().broken_line == broken


def test_an_end_that_was_cut_is_missed_by_who_noted_its_hash(log: AuditLog, path: Path) -> None:
    noted = hashes(path)[2]
    assert log.verify(noted).holds_expected
    log.append([{"subject": "later"}])
    assert log.verify(noted).holds_expected
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert log.verify() == Chain(2, hashes(path)[1])
    assert not log.verify(noted).holds_expected


def test_a_line_that_a_power_cut_tore_is_cut_and_the_chain_goes_on(log: AuditLog, path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"subject": "to')
    assert log.verify().broken_line == 4
    log.append([{"subject": "fourth"}])
    assert log.verify() == Chain(4, hashes(path)[3])


def test_several_writers_make_one_chain(log: AuditLog, path: Path) -> None:
    def write(writer: int) -> None:
        own = AuditLog(path)
        for number in range(20):
            own.append([{"subject": f"{writer}.{number}"}])

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.verify() == Chain(83, hashes(path)[82])


def test_when_the_disk_refuses_the_log_is_as_it_was(log: AuditLog, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, content: write(file, content[:10]))
    with pytest.raises(StorageFailed, match="the audit log cannot be written"):
        log.append([{"subject": "lost"}])
    assert path.read_bytes() == before


def test_a_long_subject_is_cut() -> None:
    assert len(audit_entry("id", "PUT", "/" + "é" * 10_000)["subject"]) == 1000
