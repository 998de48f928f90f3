import json

from simila.settings import Settings


def test_the_log_of_keys_made_and_revoked_holds(run):
    made = json.loads(run("keys", "create", "ada", "--json").stdout)
    run("keys", "revoke", made["id"])

    lines = [json.loads(line) for line in Settings().audit_path.read_text().splitlines()]
    noted = [(line["action"], line["subject"], line["name"], line["scope"]) for line in lines]
    assert noted == [
        ("simila keys create", made["id"], "ada", "read"),
        ("simila keys revoke", made["id"], "ada", "read"),
    ]
    verified = run("audit", "verify", "--expect", lines[0]["hash"])
    assert verified.stdout == f"2 entries hold; the last has the hash {lines[1]['hash']}\n"


def test_a_log_that_was_changed_is_an_error(run):
    for name in ("ada", "bob"):
        run("keys", "create", name)
    path = Settings().audit_path
    path.write_text(path.read_text().replace("bob", "eve"))

    result = run("audit", "verify")
    assert (result.exit_code, result.stderr) == (
        1,
        f"error: {path}: line 2 does not follow from the 1 before it\n",
    )


def test_entries_that_were_noted_and_are_gone_are_an_error(run):
    run("keys", "create", "ada")
    result = run("audit", "verify", "--expect", "f" * 64)
    assert result.exit_code == 1
    assert "entries are missing at the end, or all are new" in result.stderr
