"""Which licences pass without a person's look."""

import pytest

from docs.licences import closure, is_allowed


@pytest.mark.parametrize("found", ["MIT", "BSD License", "Apache-2.0 OR GPL-3.0-only", "MPL-2.0 AND MIT"])
def test_a_licence_that_asks_for_a_notice_is_allowed(found: str) -> None:
    assert is_allowed(found)


@pytest.mark.parametrize("found", ["", "GPL-3.0-only", "AGPL-3.0", "MIT AND LGPL-2.1", "Proprietary", "Commercial"])
def test_any_other_is_not(found: str) -> None:
    assert not is_allowed(found)


def test_what_dependencies_depend_on_is_among_them() -> None:
    found = closure("simila[cpu]")
    assert found["starlette"] == "BSD-3-Clause"
    assert "onnxruntime" in found
    assert "torch" not in found
