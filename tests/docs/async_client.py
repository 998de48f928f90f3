"""The awaiting shells of the Python client, made of the blocking ones: `--write` writes them, else they are compared.

Both shells only name calls of the wire, so all that differs is `async` and `await`. What differs in more than that (the
transport, requests side by side) is written by hand, and stands in files of its own.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "clients" / "python" / "simila_client"
SHELLS = ("client", "item_calls", "classifier_calls", "map_calls", "model_calls")
NOTE = "# Written by tests/docs/async_client.py from {name}.py; change that, then: make docs\n"

WORDS = (
    (r"\bdef __enter__", "async def __aenter__"),
    (r"\bdef __exit__", "async def __aexit__"),
    (r"^    def (?!__)", "    async def "),
    (r"\bself\.(_transport\.|items\(|search\(|close\()", r"await self.\1"),
    (r"await self\._transport = ", "self._transport = "),
    (r"\bIterator\b", "AsyncIterator"),
    (r"\byield from (\S+)", r"for one in \1:\n{indent}    yield one"),
    (
        r"^from simila_client\.transport import (.*)Transport(?:, )?(.*)",
        r"from simila_client.async_transport import Transport\nfrom simila_client.transport import \1\2",
    ),
    (r"\nfrom simila_client\.transport import $", ""),
    (r"\b(Transport|Simila(?! server)|(?:Embedding|Item|Classifier|Map|Model)Calls)\b", r"Async\1"),
    (r"\bhttpx\.BaseTransport\b", "httpx.AsyncBaseTransport"),
    (r"simila_client\.(\w+_calls) import (Async\w+)", r"simila_client.async_\1 import \2"),
    ("The blocking client: `wire` over httpx.", "The awaiting client: `wire` over httpx."),
    ("of the blocking client", "of the awaiting client"),
)


def awaiting(name: str) -> str:
    """The source of the shell `name`, awaiting."""
    source = (PACKAGE / f"{name}.py").read_text(encoding="utf-8")
    lines = []
    for line in source.splitlines():
        indent = re.match(" *", line)[0]
        for pattern, replacement in WORDS:
            line = re.sub(pattern, replacement.replace("{indent}", indent), line)  # noqa: PLW2901
        lines.append(line)
    return formatted(NOTE.format(name=name) + "\n".join(lines) + "\n")


def formatted(source: str) -> str:
    ruff = Path(sys.executable).with_name("ruff")
    for arguments in (["check", "--quiet", "--fix", "--select", "I"], ["format", "--quiet"]):
        command = [str(ruff), *arguments, "--stdin-filename", str(PACKAGE / "shell.py"), "-"]
        source = subprocess.run(command, input=source, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return source


def main() -> None:
    for name in SHELLS:
        path, text = PACKAGE / f"async_{name}.py", awaiting(name)
        if sys.argv[1:] == ["--write"]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path.name} is not what {name}.py makes; run: make docs")


if __name__ == "__main__":
    main()
