"""What clients may rely on: the OpenAPI document of the last release, without its prose.

`python tests/docs/openapi_contract.py` says what breaks it, and fails unless the version says so: the major number, or
below 1.0 the minor one, must have grown (Semantic Versioning 2.0.0). `make check` runs it; `make docs` writes the
contract.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simila.api.application import documented_api

CONTRACT = Path(__file__).with_name("openapi_contract.json")
PROSE = {"title", "description", "summary", "example", "examples", "tags", "operationId", "default"}
BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern")
METHODS = ("get", "put", "post", "patch", "delete")

Schema = dict[str, Any]


def contract() -> dict[str, Any]:
    """The document of the present code."""
    document = json.loads(json.dumps(documented_api().openapi()))
    for operation in (methods[one] for methods in document["paths"].values() for one in methods):
        # Errors are the same for all routes of a protocol, and say what they are in their bodies.
        operation["responses"] = {key: value for key, value in operation["responses"].items() if key.startswith("2")}
    return {key: _without_prose(document[key]) for key in ("info", "paths", "components")}


def allows_breaking(old_version: str, new_version: str) -> bool:
    old, new = ([int(number) for number in version.split(".")] for version in (old_version, new_version))
    significant = 2 if new[0] == 0 else 1
    return new[:significant] > old[:significant]


def breaking_changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What a client of `old` cannot do with `new`, a sentence each."""
    return list(_Comparison(old, new).changes())


class _Comparison:
    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self._old = old
        self._new = new
        self._entered: set[tuple[str, str, bool]] = set()

    def changes(self) -> Iterator[str]:
        for path, methods in self._old["paths"].items():
            for method in (one for one in METHODS if one in methods):
                name = f"{method.upper()} {path}"
                operation = self._new["paths"].get(path, {}).get(method)
                if operation is None:
                    yield f"{name} is gone"
                else:
                    yield from self._operation(methods[method], operation, name)

    def _operation(self, old: Schema, new: Schema, name: str) -> Iterator[str]:
        before, after = ({one["name"]: one for one in operation.get("parameters", ())} for operation in (old, new))
        for parameter, entry in after.items():
            if entry.get("required") and not before.get(parameter, {}).get("required"):
                yield f"{name}: the parameter {parameter} is required now"
        for parameter, entry in before.items():
            if parameter not in after:
                yield f"{name}: the parameter {parameter} is gone"
            else:
                yield from self._schema(entry["schema"], after[parameter]["schema"], f"{name} {parameter}", sent=True)
        yield from self._bodies(old.get("requestBody", {}), new.get("requestBody", {}), f"{name} body", sent=True)
        for status, answer in old["responses"].items():
            if status not in new["responses"]:
                yield f"{name}: the answer {status} is gone"
            else:
                yield from self._bodies(answer, new["responses"][status], f"{name} {status}", sent=False)

    def _bodies(self, old: Schema, new: Schema, where: str, *, sent: bool) -> Iterator[str]:
        if new.get("required") and not old.get("required"):
            yield f"{where} is required now"
        for media_type, entry in old.get("content", {}).items():
            if media_type not in new.get("content", {}):
                yield f"{where}: {media_type} is gone"
            else:
                other = new["content"][media_type]
                yield from self._schema(entry.get("schema", {}), other.get("schema", {}), where, sent=sent)

    def _schema(self, old: Schema, new: Schema, where: str, *, sent: bool) -> Iterator[str]:
        """What `old` allows a client to send must stay allowed; what `new` answers must have been allowed before."""
        pair = (old.get("$ref", ""), new.get("$ref", ""), sent)
        if all(pair[:2]) and pair in self._entered:
            return
        self._entered.add(pair)
        old, new = _resolved(self._old, old), _resolved(self._new, new)
        narrow, wide = (old, new) if sent else (new, old)
        narrow_branches, wide_branches = _branches(narrow), _branches(wide)
        if len(narrow_branches) > 1 or len(wide_branches) > 1:
            for branch in narrow_branches:
                if not any(self._fits(branch, other, sent=sent) for other in wide_branches):
                    yield f"{where}: {_short(branch)} is {'no longer taken' if sent else 'new'}"
            return
        yield from self._one_schema(old, new, where, sent=sent)

    def _fits(self, narrow: Schema, wide: Schema, *, sent: bool) -> bool:
        old, new = (narrow, wide) if sent else (wide, narrow)
        entered = set(self._entered)
        fits = not any(self._schema(old, new, "", sent=sent))
        self._entered = entered
        return fits

    def _one_schema(self, old: Schema, new: Schema, where: str, *, sent: bool) -> Iterator[str]:
        narrow_type, wide_type = (one.get("type") for one in ((old, new) if sent else (new, old)))
        if wide_type not in (None, narrow_type) and (narrow_type, wide_type) != ("integer", "number"):
            yield f"{where} is {_short(new)}, not {_short(old)}"
        before, after = _values(old), _values(new)
        narrow, wide = (before, after) if sent else (after, before)
        if wide and not (narrow and narrow <= wide):
            yield f"{where} is one of {sorted(map(str, after))}, not of {sorted(map(str, before))}"
        for bound in BOUNDS:
            if sent and bound in new and new[bound] != old.get(bound):
                yield f"{where}: {bound} is {new[bound]}, not {old.get(bound)}"
        yield from self._properties(old, new, where, sent=sent)
        for key in ("items", "additionalProperties"):
            if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
                yield from self._schema(old[key], new[key], f"{where}[]", sent=sent)

    def _properties(self, old: Schema, new: Schema, where: str, *, sent: bool) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name not in after:
                yield f"{where}: {name} is gone"
            else:
                yield from self._schema(before[name], after[name], f"{where}.{name}", sent=sent)
        was_required, is_required = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(is_required - was_required if sent else (was_required - is_required) & set(after)):
            yield f"{where}: {name} is {'required now' if sent else 'no longer sure'}"


def _resolved(document: dict[str, Any], schema: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _branches(schema: Schema) -> list[Schema]:
    found: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return found


def _values(schema: Schema) -> set[Any]:
    return {schema["const"]} if "const" in schema else set(schema.get("enum", ()))


def _short(schema: Schema) -> str:
    return str(schema.get("$ref", schema.get("type", schema.get("const", "anything")))).rpartition("/")[2]


def _without_prose(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_prose(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    # A property may have the name of a keyword.
    return {
        key: {name: _without_prose(entry) for name, entry in sorted(inner.items())}
        if key == "properties"
        else _without_prose(inner)
        for key, inner in sorted(value.items())
        if key not in PROSE
    }


def main() -> None:
    new = contract()
    if CONTRACT.exists():
        old = json.loads(CONTRACT.read_text(encoding="utf-8"))
        changes = breaking_changes(old, new)
        if changes and not allows_breaking(old["info"]["version"], new["info"]["version"]):
            sys.exit("\n".join([*changes, "this breaks clients: keep it, or raise the version (simila/__init__.py)"]))
    if sys.argv[1:] == ["--write"]:
        CONTRACT.write_text(json.dumps(new, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
