"""How a payload and its keys are written for SQLite: one text for filters, for indexes and for what is stored.

SQLite 3.40 compares a key with the characters that stand in the stored JSON, escapes and all, and uses an index on an
expression only where a query repeats that expression. So all three have to spell them alike.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from simila.domain.errors import InvalidInput, quoted

MOST_KEY_NAMES = 8
MOST_KEY_CHARACTERS = 256

_PAYLOAD = "payload"


def payload_text(value: Any) -> str:
    """The one JSON text of a payload or of a part of it.

    Raises:
        ValueError: it holds NaN, an infinity, or an integer of thousands of digits.
        TypeError: it holds what JSON has no word for.

    """
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def key_names(key: str) -> tuple[str, ...]:
    """The names from the payload's root down to the value of a dotted key.

    Raises:
        InvalidInput: SQLite cannot address it, or it is too long or nested too deep.

    """
    if len(key) > MOST_KEY_CHARACTERS:
        raise InvalidInput(f"the key {quoted(key)} is longer than {MOST_KEY_CHARACTERS} characters")
    names = tuple(key.split("."))
    if len(names) > MOST_KEY_NAMES:
        raise InvalidInput(f"the key {quoted(key)} is nested more than {MOST_KEY_NAMES} deep")
    if '"' in key:
        raise InvalidInput(f"the key {quoted(key)} has a double quote: SQLite cannot address it")
    if any("\ud800" <= character <= "\udfff" for character in key):
        raise InvalidInput("the key has half a surrogate pair: it is not Unicode text")
    return names


def path_sql(names: Sequence[str]) -> str:
    """A JSON path as a literal: a bound path would match no index."""
    path = "$" + "".join(f".{payload_text(name)}" for name in names)
    return "'" + path.replace("'", "''") + "'"


def value_sql(document: str, names: Sequence[str]) -> str:
    """The value at a path: a number, a string, 1 or 0 for a boolean, NULL for null and for nothing, else JSON text."""
    return f"json_extract({document}, {path_sql(names)})"


def type_sql(document: str, names: Sequence[str]) -> str:
    """The type of the value at a path: integer, real, text, true, false, null, array, object; NULL where nothing is."""
    return f"json_type({document}, {path_sql(names)})"


def create_index_sql(key: str) -> list[str]:
    """The statements that make a payload key quick to search. Done twice they do no harm.

    One index holds the value and its type. One more for each name holds only the rows with a list there: they have to
    be looked into one by one, and where no row has a list it is empty.

    Raises:
        InvalidInput: as `key_names`.

    """
    names = key_names(key)
    value_name, *list_names = _index_names(key)
    value = f"({value_sql(_PAYLOAD, names)}, {type_sql(_PAYLOAD, names)})"
    types = [type_sql(_PAYLOAD, names[:length]) for length in range(1, len(names) + 1)]
    return [
        f"CREATE INDEX IF NOT EXISTS {value_name} ON items {value}",
        *(
            f"CREATE INDEX IF NOT EXISTS {name} ON items ({json_type}) WHERE {json_type} = 'array'"
            for name, json_type in zip(list_names, types, strict=True)
        ),
    ]


def drop_index_sql(key: str) -> list[str]:
    """The statements that undo `create_index_sql`; they do nothing where there is no index.

    Raises:
        InvalidInput: as `key_names`.

    """
    return [f"DROP INDEX IF EXISTS {name}" for name in _index_names(key)]


def _index_names(key: str) -> list[str]:
    # A digest, because two keys that differ in case alone would be one name to SQLite.
    prefix = f"payload_{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    return [f"{prefix}_value", *(f"{prefix}_list_{place}" for place in range(len(key_names(key))))]
