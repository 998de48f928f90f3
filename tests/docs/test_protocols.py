"""docs/protocols.md has the table that the tests make."""

from docs import conformance


def test_the_table_is_that_of_the_tests() -> None:
    page = conformance.PAGE.read_text(encoding="utf-8")
    assert conformance.with_table(page) == page
