"""Items in and out of the tables of a collection, within a transaction of the caller's."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from simila.domain.errors import InvalidInput, quoted
from simila.domain.vectors import Float32, Int64
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_rows import Packed, Source, integers, packed, packed_checksum, packed_column

PIECE_ROWS = 8192  # SQLite holds no value of more than a gigabyte

_ID, _LABEL, _PAYLOAD = (f"CAST({packed_column(column)} AS TEXT)" for column in range(3))
_SELECT_EXISTING = f"""
SELECT group_concat(items.sequence) FROM json_each(:layout) AS row CROSS JOIN items ON items.id = {_ID}
"""  # noqa: S608 - here and below, what is put in are constants
_INSERT_ITEMS = f"""
INSERT INTO items (sequence, id, label, payload, checksum)
SELECT :first + key, {_ID}, {_LABEL}, {_PAYLOAD}, {packed_checksum(3)} FROM json_each(:layout) AS row
"""  # noqa: S608
_INSERT_VECTORS = """
INSERT INTO vectors (sequence, vector, checksum)
SELECT :first + key, substr(:content, key * :row_bytes + 1, :row_bytes), value FROM json_each(:checksums)
"""
_INSERT_INPUTS = f"""
INSERT INTO inputs (sequence, kind, content, checksum)
SELECT :first + key, CAST({packed_column(0)} AS TEXT), {packed_column(1)}, {packed_checksum(2)}
FROM json_each(:layout) AS row WHERE {packed_column(1)} IS NOT NULL
"""  # noqa: S608
_SELECT_IDS = (
    "SELECT json_group_array(items.id) FROM json_each(?) AS row CROSS JOIN items ON items.sequence = row.value"
)


@dataclass(frozen=True)
class EncodedItems:
    """Consecutive items as SQLite takes them."""

    rows: Packed
    vectors: bytes
    vector_checksums: str  # JSON
    sources: Packed | None
    labels: Sequence[str | None]


def encoded_items(
    spec: CollectionSpec,
    ids: Sequence[str],
    vectors: Float32,
    labels: Sequence[str | None],
    payload_texts: Sequence[str | None],
    sources: Sequence[Source | None] | None,
) -> Iterator[EncodedItems]:
    """Encode columns of equal length, `PIECE_ROWS` at once; sources are left out unless the collection keeps them.

    Raises:
        InvalidInput: an id, a label or a payload is not Unicode text.

    """
    for start in range(0, len(ids), PIECE_ROWS):
        rows = slice(start, start + PIECE_ROWS)
        kept = sources[rows] if sources is not None and spec.store_inputs else ()
        blobs = spec.codec.encoded(vectors[rows])
        yield EncodedItems(
            packed(utf8(ids[rows]), utf8(labels[rows]), utf8(payload_texts[rows])),
            blobs,
            orjson.dumps(spec.codec.checksums(blobs)).decode(),
            _packed_sources(kept) if any(kept) else None,
            labels[rows],
        )


def insert_items(connection: sqlite3.Connection, spec: CollectionSpec, items: EncodedItems, first: int) -> None:
    """Give items the sequences from `first` on. Their ids must be free."""
    connection.execute(_INSERT_ITEMS, {**items.rows._asdict(), "first": first})
    vectors = {
        "content": items.vectors,
        "checksums": items.vector_checksums,
        "row_bytes": spec.codec.row_bytes,
        "first": first,
    }
    connection.execute(_INSERT_VECTORS, vectors)
    if items.sources is not None:
        connection.execute(_INSERT_INPUTS, {**items.sources._asdict(), "first": first})


def sequences_of(connection: sqlite3.Connection, ids: Packed) -> Int64:
    """The sequences of the items that exist of packed rows that begin with an id."""
    (found,) = connection.execute(_SELECT_EXISTING, ids._asdict()).fetchone()
    return integers(found)


def ids_of(connection: sqlite3.Connection, sequences: Int64) -> list[str]:
    """The ids of the items that exist, in the order of the sequences."""
    (found,) = connection.execute(_SELECT_IDS, (json.dumps(sequences.tolist()),)).fetchone()
    ids: list[str] = json.loads(found)
    return ids


def remove_items(connection: sqlite3.Connection, sequences: Int64) -> None:
    """Delete the items that have these sequences, with their vectors and sources."""
    if not sequences.size:
        return
    chosen = json.dumps(sequences.tolist())
    for table in ("items", "vectors", "inputs"):
        connection.execute(
            f"DELETE FROM {table} WHERE sequence IN (SELECT value FROM json_each(?))",  # noqa: S608 - constants above
            (chosen,),
        )


def last_sequence(connection: sqlite3.Connection) -> int:
    """The newest sequence ever given; 0 before the first."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'items'").fetchone()
    return int(row[0]) if row else 0


def _packed_sources(sources: Sequence[Source | None]) -> Packed:
    kinds = [None if source is None else source.kind.encode() for source in sources]
    return packed(kinds, [None if source is None else source.content for source in sources])


def utf8(texts: Sequence[str | None]) -> list[bytes | None]:
    """Texts as SQLite keeps them.

    Raises:
        InvalidInput: one is not Unicode text.

    """
    try:
        return [None if text is None else text.encode() for text in texts]
    except UnicodeEncodeError as error:
        text = error.object.encode(errors="replace").decode()
        raise InvalidInput(f"{quoted(text)} is not Unicode text: {error.reason}") from error
