"""A write that changes the label of items and nothing else."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from simila.domain.vectors import Float32, Int64
from simila.storage.class_sum_rows import change_class_sums, class_sums_of
from simila.storage.collection_file import CollectionSpec
from simila.storage.connections import path_of, unavailable
from simila.storage.group_commit import Outcome
from simila.storage.item_rows import checksum, packed, unpacked_rows
from simila.storage.item_table import PIECE_ROWS, ids_of, last_sequence, sequences_of, utf8
from simila.storage.item_writes import Change, no_change

_SELECT_ITEMS = """
SELECT json_group_array(json_array(sequence, id, label, payload, checksum))
FROM (SELECT items.* FROM json_each(?) AS row CROSS JOIN items ON items.sequence = row.value ORDER BY sequence)
"""
_SELECT_VECTORS = """
SELECT CAST(group_concat(vector, '') AS BLOB) FROM (SELECT vector FROM vectors WHERE sequence >= ? ORDER BY sequence)
"""
_MOVED = "FROM json_each(:layout) AS row WHERE {table}.sequence = json_extract(row.value, '$[0]')"
_MOVE_ITEMS = f"""
UPDATE items SET sequence = :first + row.key, label = :label, checksum = json_extract(row.value, '$[1]')
{_MOVED.format(table="items")}
"""  # noqa: S608 - here and below, what is put in are constants
_MOVE_OTHERS = [
    f"UPDATE {table} SET sequence = :first + row.key {_MOVED.format(table=table)}"  # noqa: S608
    for table in ("vectors", "inputs")
]


@dataclass(frozen=True)
class Relabelled:
    """The items that there were, from the oldest to the newest: their ids, their new sequences and their old ones."""

    ids: Sequence[str]  # [n]
    sequences: Int64  # [n], ascending
    replaced: Int64  # [n], ascending


@dataclass(frozen=True)
class Relabel:
    """Give the items of these ids another label, or none; ids of no item are passed over.

    Their vectors, payloads and sources move to new sequences as they are, in the transaction that changes the label: no
    write of another's comes between.

    Raises:
        InvalidInput: the label is not Unicode text.
        LimitExceeded: the class has too many items.
        CollectionUnavailable: an item is not what was written.
        StorageFailed: SQLite cannot write.

    """

    ids: Sequence[str]
    label: str | None

    def prepared(self, spec: CollectionSpec) -> Callable[[sqlite3.Connection], Outcome[Relabelled, Change]]:
        ids = [item_id.encode("utf-8", "surrogatepass") for item_id in self.ids]
        pieces = [packed(ids[start : start + PIECE_ROWS]) for start in range(0, len(ids), PIECE_ROWS)]
        utf8([self.label])

        def run(connection: sqlite3.Connection) -> Outcome[Relabelled, Change]:
            found = np.unique(np.concatenate([np.empty(0, np.int64), *(sequences_of(connection, p) for p in pieces)]))
            if not len(found):
                return Outcome(Relabelled((), found, found), no_change(spec))
            return _relabelled(connection, spec, found, self.label)

        return run


def _relabelled(
    connection: sqlite3.Connection, spec: CollectionSpec, found: Int64, label: str | None
) -> Outcome[Relabelled, Change]:
    lost = class_sums_of(connection, spec.codec, found)
    first = last_sequence(connection) + 1
    sequences = np.arange(first, first + len(found), dtype=np.int64)
    for start in range(0, len(found), PIECE_ROWS):
        piece = found[start : start + PIECE_ROWS]
        moved = {"first": first + start, "layout": _layout(connection, piece, label)}
        connection.execute(_MOVE_ITEMS, {**moved, "label": label})
        for statement in _MOVE_OTHERS:
            connection.execute(statement, moved)
    # An update of the key alone leaves AUTOINCREMENT behind, and a sequence must not be given twice.
    connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'items'", (int(sequences[-1]),))
    change_class_sums(connection, spec.codec, class_sums_of(connection, spec.codec, sequences), lost)
    change = Change(sequences, _vectors_from(connection, spec, first), [label] * len(found), found)
    return Outcome(Relabelled(ids_of(connection, sequences), sequences, found), change)


def _layout(connection: sqlite3.Connection, sequences: Int64, label: str | None) -> str:
    """JSON: for each item its sequence, and its checksum under the new label."""
    (text,) = connection.execute(_SELECT_ITEMS, (orjson.dumps(sequences.tolist()).decode(),)).fetchone()
    try:
        rows = unpacked_rows(text)
    except ValueError as error:
        raise unavailable(path_of(connection), str(error)) from error
    checksums = [checksum(utf8([row.id, label, row.payload_json])) for row in rows]
    return orjson.dumps(list(zip(sequences.tolist(), checksums, strict=True))).decode()


def _vectors_from(connection: sqlite3.Connection, spec: CollectionSpec, first: int) -> Float32:
    (content,) = connection.execute(_SELECT_VECTORS, (first,)).fetchone()
    return spec.codec.decoded(content)
