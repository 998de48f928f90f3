"""The table of protocols in docs/protocols.md, made from the tests. `make check` compares it, `make docs` writes it.

A module of tests says what it is about with `pytestmark = pytest.mark.protocol(NAME, client=PACKAGE)`; without a client
its requests are written by hand.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "protocols.md"
PINS = (TESTS.parent / "constraints.txt", TESTS / "infinity_package.py")
BEGIN, END = "<!-- conformance: written by make docs -->\n", "<!-- end of conformance -->"
BY_HAND = "requests by hand"


def table() -> str:
    rows = sorted(
        (protocol, client == BY_HAND, client, path, sentences) for protocol, client, path, sentences in _modules()
    )
    lines = ["| protocol | client | what its tests show |", "|---|---|---|"]
    for protocol, _, client, path, sentences in rows:
        lines.append(f"| {protocol} | {client} | {'; '.join(sentences)} ([tests](../{path})) |")
    return "\n".join(lines) + "\n"


def _modules() -> Iterator[tuple[str, str, str, list[str]]]:
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for mark in (call for statement in tree.body if (call := _mark(statement))):
            protocol = ast.literal_eval(mark.args[0])
            package = next((ast.literal_eval(keyword.value) for keyword in mark.keywords), None)
            tests = [one.name for one in tree.body if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")]
            sentences = [name.removeprefix("test_").replace("_", " ") for name in tests]
            relative = path.relative_to(TESTS.parent).as_posix()
            yield protocol, _version(package) if package else BY_HAND, relative, sentences


def _mark(statement: ast.stmt) -> ast.Call | None:
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
        return None
    return statement.value if ast.unparse(statement).startswith("pytestmark = pytest.mark.protocol(") else None


def _version(package: str) -> str:
    """The client with the version that is tested."""
    pins = "\n".join(path.read_text(encoding="utf-8") for path in PINS)
    found = re.search(rf"(?:^|\"){re.escape(package)}==([\w.]+)", pins, re.MULTILINE)
    return f"{package} {found[1]}" if found else package


def with_table(page: str) -> str:
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"{PAGE.name} has no place for the table: {BEGIN.strip()} … {END}")
    return before + BEGIN + table() + end + after


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(with_table(page), encoding="utf-8")
    elif with_table(page) != page:
        sys.exit("the table of protocols in docs/protocols.md is not that of the tests; run: make docs")


if __name__ == "__main__":
    main()
