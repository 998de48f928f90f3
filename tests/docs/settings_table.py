"""The README's table of settings, made from the code. `make check` compares it, `make docs` writes it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from simila.settings import Settings

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- settings: written by make docs -->\n", "<!-- end of settings -->"
DEFAULTS_THAT_DEPEND_ON_THE_MACHINE = {"data_dir": "the user's data folder"}


def table() -> str:
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    rows += [f"| `{variable}` | {default} | {description} |" for variable, default, description in _rows(Settings)]
    return "\n".join(rows) + "\n"


def _rows(model: type[BaseModel], prefix: str = "SIMILA_") -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _rows(field.annotation, f"{prefix}{name.upper()}__")
        else:
            yield prefix + name.upper(), _default(name, field), field.description or ""


def _default(name: str, field: FieldInfo) -> str:
    if name in DEFAULTS_THAT_DEPEND_ON_THE_MACHINE:
        return DEFAULTS_THAT_DEPEND_ON_THE_MACHINE[name]
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value))}`" if value else "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def with_table(readme: str) -> str:
    before, _, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"{README.name} has no place for the settings: {BEGIN.strip()} … {END}")
    return before + BEGIN + table() + end + after


def main() -> None:
    readme = README.read_text(encoding="utf-8")
    if sys.argv[1:] == ["--write"]:
        README.write_text(with_table(readme), encoding="utf-8")
    elif with_table(readme) != readme:
        sys.exit("the settings in README.md are not those of the code; run: make docs")


if __name__ == "__main__":
    main()
