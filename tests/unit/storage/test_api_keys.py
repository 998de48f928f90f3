import stat
import time

import pytest

from simila.domain.access import Allowance, Scope
from simila.domain.errors import DataFolderError, StorageFailed, UnknownKey
from simila.storage import api_keys
from simila.storage.api_keys import ApiKeys


@pytest.fixture
def file(tmp_path):
    return tmp_path / "data" / "keys.sqlite3"


@pytest.fixture(autouse=True)
def _always_fresh(monkeypatch):
    monkeypatch.setattr(api_keys, "_FRESH_SECONDS", 0.0)


def test_a_key_is_known_by_its_text_and_by_nothing_like_it(file):
    keys = ApiKeys(file)
    key, text = keys.create("ada", Scope.WRITE, collections=["b", "a"], allowance=Allowance(10, 1000))
    other, _ = keys.create("bob", Scope.READ)

    assert keys.key_of(text).id == key.id
    assert (key.scope, key.collections, key.allowance) == (Scope.WRITE, {"a", "b"}, Allowance(10, 1000))
    _, id_, secret = text.split("_", 2)
    for wrong in ("", "simila", f"simila_{id_}_", f"simila_{other.id}_{secret}", f"other_{id_}_{secret}", text[:-1]):
        assert keys.key_of(wrong) is None


def test_what_is_kept_has_no_secret_in_it_and_is_for_its_owner_alone(file):
    _, text = ApiKeys(file).create("ada", Scope.READ)

    assert text.split("_", 2)[2].encode() not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) & 0o077 == 0


def test_a_key_ends_when_it_expires(file):
    keys = ApiKeys(file)
    _, past = keys.create("ada", Scope.READ, expires_at=time.time() - 1)
    _, future = keys.create("ada", Scope.READ, expires_at=time.time() + 60)

    assert keys.key_of(past) is None
    assert keys.key_of(future)


def test_a_key_that_another_process_revokes_ends_here_too(file):
    keys, elsewhere = ApiKeys(file), ApiKeys(file)
    key, text = elsewhere.create("ada", Scope.READ)
    assert keys.key_of(text)

    elsewhere.revoke(key.id)

    assert keys.key_of(text) is None
    assert keys.all()[0].revoked_at
    with pytest.raises(UnknownKey, match="no key has the id 'nobody'"):
        keys.revoke("nobody")


def test_the_last_use_is_kept_to_the_minute(file, monkeypatch):
    keys = ApiKeys(file)
    _, text = keys.create("ada", Scope.READ)
    assert keys.all()[0].last_used_at is None

    now = time.time()
    for seconds, written in ((0, 0), (59, 0), (61, 61)):
        monkeypatch.setattr(time, "time", lambda seconds=seconds: now + seconds)
        keys.key_of(text)
        assert ApiKeys(file).all()[0].last_used_at == now + written


def test_keys_are_wanted_once_there_is_one_and_ever_after(file):
    keys = ApiKeys(file)
    assert not keys.are_wanted()
    key, _ = keys.create("ada", Scope.READ)
    assert keys.are_wanted()
    keys.revoke(key.id)
    assert keys.are_wanted()


def test_a_file_that_is_no_database_is_told(file):
    file.parent.mkdir()
    file.write_bytes(b"no database" * 1000)

    with pytest.raises(DataFolderError, match=r"cannot be read: .*; restore it, or remove it and make keys"):
        ApiKeys(file)


def test_a_key_that_a_full_disk_does_not_take_is_told(file):
    keys = ApiKeys(file)
    keys._connection.execute("PRAGMA max_page_count = 1")  # no lower than what is there

    with pytest.raises(StorageFailed, match=r"^the API keys in .*keys\.sqlite3 cannot be written: .* full$"):
        keys.create("ada" * 10_000, Scope.READ)

    assert not keys.are_wanted()
