import json
import time

import pytest

from simila.cli.errors import WrongUsage
from simila.cli.keys import expiry
from simila.settings import Settings
from simila.storage.api_keys import ApiKeys

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z


def test_a_key_is_printed_once_and_then_listed_without_its_secret(run):
    made = run("keys", "create", "ada", "--scope", "write", "--collections", "shoes, bags", "--expires", "30d")

    text = made.stdout.strip()
    listed = run("keys", "list").stdout
    assert ApiKeys(Settings().keys_path).key_of(text).name == "ada"
    assert "ada" in listed
    assert "bags, shoes" in listed
    assert text.split("_", 2)[2] not in listed


def test_a_revoked_key_stays_in_the_list(run):
    made = json.loads(run("keys", "create", "ada", "--json").stdout)
    assert "is revoked" in run("keys", "revoke", made["id"]).stdout

    (key,) = json.loads(run("keys", "list", "--json").stdout)
    assert key["id"] == made["id"]
    assert key["revoked"]
    assert run("keys", "list").stdout.rstrip().endswith("revoked")


def test_revoking_nobody_is_an_error(run):
    result = run("keys", "revoke", "nobody")
    assert (result.exit_code, result.stderr) == (1, "error: no key has the id 'nobody'; simila keys list shows them\n")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10m", NOW + 600), ("2h", NOW + 7200), ("1w", NOW + 604_800), ("2027-01-16T08:00", NOW + 86_400)],
)
def test_the_end_is_a_span_or_a_date(text, seconds):
    assert expiry(text, NOW) == seconds


@pytest.mark.parametrize("text", ["soon", "-3d", "2020-01-01", "0d", ""])
def test_an_end_that_is_none_is_refused(text):
    with pytest.raises(WrongUsage, match="--expires"):
        expiry(text, NOW)


def test_an_expired_key_is_marked(run):
    run("keys", "create", "ada", "--expires", "1m")
    keys = ApiKeys(Settings().keys_path)
    keys.create("bob", keys.all()[0].scope, expires_at=time.time() - 5)
    assert run("keys", "list").stdout.rstrip().endswith("expired")
