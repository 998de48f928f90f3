"""The page of promises names tests that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATH = re.compile(r"`((?:tests/[\w/]+|test_\w+)(?:\.py)?)`")


def test_every_test_that_a_promise_names_is_there():
    named = PATH.findall((ROOT / "docs" / "promises.md").read_text(encoding="utf-8"))
    assert len(named) > 15
    assert [
        path for path in named if not any((ROOT / folder / path).exists() for folder in ("", "tests/reliability"))
    ] == []
