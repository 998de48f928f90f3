import sqlite3
from contextlib import closing

import pytest

from simila.domain.errors import InvalidInput
from simila.storage.payload_paths import (
    MOST_KEY_CHARACTERS,
    MOST_KEY_NAMES,
    create_index_sql,
    drop_index_sql,
    key_names,
    path_sql,
    payload_text,
    type_sql,
    value_sql,
)

ODD_NAMES = [
    "",
    " ",
    "é",
    "😀",
    "it's",
    "back\\slash",
    "\\",
    "new\nline",
    "\x00",
    "\x1f",
    "\x7f",
    "[0]",
    "#",
    "$",
    "%s",
    "?",
]


@pytest.fixture
def connection():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE items (sequence INTEGER PRIMARY KEY, payload TEXT) STRICT")
        yield connection


def indexes(connection):
    return sorted(name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'"))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_without_a_dot_or_a_double_quote_is_addressed(connection, name):
    document = payload_text({name: {name: 7}, name + "x": 8})
    query = f"SELECT {value_sql('?', [name, name])}, {type_sql('?', [name, name])}"
    assert connection.execute(query, (document, document)).fetchone() == (7, "integer")


def test_dots_lead_into_nested_objects():
    assert key_names("a.b c.d") == ("a", "b c", "d")
    assert path_sql(["a", "b c", "it's"]) == """'$."a"."b c"."it''s"'"""


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ('a"b', "the key 'a\"b' has a double quote: SQLite cannot address it"),
        ("\ud800", "the key has half a surrogate pair: it is not Unicode text"),
        (".".join("a" * 9), f"the key 'a.a.a.a.a.a.a.a.a' is nested more than {MOST_KEY_NAMES} deep"),
        ("a" * 257, f"the key '{'a' * 80}…' is longer than {MOST_KEY_CHARACTERS} characters"),
    ],
)
def test_a_key_that_cannot_be_addressed_is_refused(key, message):
    with pytest.raises(InvalidInput) as caught:
        create_index_sql(key)
    assert caught.value.message == message


def test_text_is_stored_as_it_is():
    assert payload_text({"é": ["ü\n", 1.5, None, True]}) == '{"é":["ü\\n",1.5,null,true]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_json_is_refused(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        payload_text({"a": value})


@pytest.mark.parametrize("key", ["price", "a.b.c", "it's; DROP TABLE items", "[0]", "é%", *ODD_NAMES])
def test_indexes_come_and_go_and_twice_is_once(connection, key):
    connection.execute("INSERT INTO items VALUES (1, ?)", (payload_text({key: [1], "a": 2}),))
    for statement in create_index_sql(key) * 2:
        connection.execute(statement)
    assert len(indexes(connection)) == 1 + len(key_names(key))
    for statement in drop_index_sql(key) * 2:
        connection.execute(statement)
    assert indexes(connection) == []
    assert connection.execute("SELECT count(*) FROM items").fetchone() == (1,)


def test_keys_have_indexes_of_their_own(connection):
    """Also those that SQLite's names would not tell apart, and those that share a list."""
    keys = ["Price", "price", "a.b", "a.c", "a_b", "a"]
    for statement in (statement for key in keys for statement in create_index_sql(key)):
        connection.execute(statement)
    for statement in drop_index_sql("a.b"):
        connection.execute(statement)
    kept = sorted(statement.split()[5] for key in keys if key != "a.b" for statement in create_index_sql(key))
    assert indexes(connection) == kept
