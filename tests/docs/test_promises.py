"""The page of promises names tests that are there, and what they found in figures."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
PATH = re.compile(r"`((?:tests/[\w/]+|test_\w+)(?:\.py)?)`")


def test_every_test_that_a_promise_names_is_there():
    named = PATH.findall(PAGE)
    assert len(named) > 15
    assert [
        path for path in named if not any((ROOT / folder / path).exists() for folder in ("", "tests/reliability"))
    ] == []


def test_every_promise_has_a_test_and_a_figure():
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    promises = [row for row in rows if row[0] != "promise"]
    assert len(promises) > 20
    assert [row for row in promises if len(row) != 3 or not re.search("`(tests/|make )", row[1])] == []
    assert [row[0] for row in promises if not re.search(r"\d|`GET ", row[2])] == []
