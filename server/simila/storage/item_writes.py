"""What can be written to a collection: each operation is one savepoint of a transaction."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from simila.domain.class_sum import ClassSum, sums_by_class
from simila.domain.errors import DuplicateId, InvalidInput, InvalidVector
from simila.domain.results import Item, Payload
from simila.domain.vectors import Float32, Int64
from simila.storage.class_sum_rows import change_class_sums, class_sums_of
from simila.storage.collection_file import CollectionSpec
from simila.storage.group_commit import Outcome
from simila.storage.item_rows import Source, integers, packed
from simila.storage.item_table import (
    PIECE_ROWS,
    EncodedItems,
    encoded_items,
    ids_of,
    insert_items,
    last_sequence,
    remove_items,
    sequences_of,
)
from simila.storage.payload_paths import create_index_sql, drop_index_sql, payload_text
from simila.storage.where import Where

_NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Change:
    """What a write changed for an index: the rows that came, and the sequences that went (none of those that came)."""

    sequences: Int64  # [n], ascending
    vectors: Float32  # [n, d], unit length, as they will be read
    labels: Sequence[str | None]  # [n]
    removed: Int64  # [m]


@dataclass(frozen=True)
class Written:
    """What an upsert did: the new sequences in the order of the items, and the sequences that are no more."""

    sequences: Int64  # [n]
    replaced: Int64  # [m]


@dataclass(frozen=True)
class Deleted:
    """What a delete did, from the oldest item to the newest; `classes` counts the items of each label."""

    ids: Sequence[str]
    sequences: Int64  # [m], ascending
    classes: Mapping[str, int]


T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


class Operation(Protocol[R_co]):
    """A write. `prepared` checks and encodes it, and returns what the writer's thread runs."""

    def prepared(self, spec: CollectionSpec) -> Callable[[sqlite3.Connection], Outcome[R_co, Change]]: ...


@dataclass(frozen=True)
class UpsertArrays:
    """Write items given by column: all or, when it raises, none. A replaced item gets a new sequence.

    `vectors` is `float32 [n, d], unit length`; `payloads_json` holds JSON objects; `sources` are kept if the collection
    keeps them.

    Raises:
        DuplicateId: two items have the same id.
        InvalidVector: the array has another shape, or a value that is not finite.
        InvalidInput: the columns differ in length, a text is not Unicode, or a payload is no JSON object.
        StorageFailed: SQLite cannot write.

    """

    ids: Sequence[str]
    vectors: Float32
    labels: Sequence[str | None] | None = None
    payloads_json: Sequence[str | None] | None = None
    sources: Sequence[Source | None] | None = None

    def prepared(self, spec: CollectionSpec) -> Callable[[sqlite3.Connection], Outcome[Written, Change]]:
        absent = [None] * len(self.ids)
        labels = absent if self.labels is None else self.labels
        payloads = absent if self.payloads_json is None else self.payloads_json
        pairs = _paired(self.ids, payloads, "payloads_json")
        texts = [None if text is None else _canonical(item_id, text) for item_id, text in pairs]
        return _upsert(spec, self.ids, self.vectors, labels, texts, self.sources)


@dataclass(frozen=True)
class Upsert:
    """Write items: all or, when it raises, none. A replaced item gets a new sequence. Raises as `UpsertArrays` does."""

    items: Sequence[Item]
    sources: Sequence[Source | None] | None = None

    def prepared(self, spec: CollectionSpec) -> Callable[[sqlite3.Connection], Outcome[Written, Change]]:
        for item in self.items:
            if item.vector.shape != (spec.dimension,):
                shape = " x ".join(map(str, item.vector.shape))
                raise InvalidVector(f"item '{item.id}': the vector has {shape} dimensions, not {spec.dimension}")
        vectors = np.array([item.vector for item in self.items], dtype=np.float32).reshape(-1, spec.dimension)
        texts = [None if item.payload is None else _payload_text(item.id, item.payload) for item in self.items]
        ids, labels = [item.id for item in self.items], [item.label for item in self.items]
        return _upsert(spec, ids, vectors, labels, texts, self.sources)


@dataclass(frozen=True)
class Delete:
    """Delete the items that have these ids; ids of no item are passed over.

    Raises:
        StorageFailed: SQLite cannot write.

    """

    ids: Sequence[str]

    def prepared(self, spec: CollectionSpec) -> Callable[[sqlite3.Connection], Outcome[Deleted, Change]]:
        pieces = [
            packed([item_id.encode("utf-8", "surrogatepass") for item_id in self.ids[start : start + PIECE_ROWS]])
            for start in range(0, len(self.ids), PIECE_ROWS)
        ]

        def run(connection: sqlite3.Connection) -> Outcome[Deleted, Change]:
            found = [sequences_of(connection, piece) for piece in pieces]
            return _deleted(connection, spec, np.unique(np.concatenate([_NONE, *found])))

        return run


@dataclass(frozen=True)
class DeleteWhere:
    """Delete all items that match.

    Raises:
        StorageFailed: SQLite cannot write, or cannot evaluate the condition.

    """

    where: Where

    def prepared(self, spec: CollectionSpec) -> Callable[[sqlite3.Connection], Outcome[Deleted, Change]]:
        matching = f"SELECT sequence FROM items WHERE {self.where.sql} ORDER BY sequence"  # noqa: S608 - bound values
        query = f"SELECT group_concat(sequence) FROM ({matching})"  # noqa: S608 - as above

        def run(connection: sqlite3.Connection) -> Outcome[Deleted, Change]:
            (found,) = connection.execute(query, self.where.parameters).fetchone()
            return _deleted(connection, spec, integers(found))

        return run


@dataclass(frozen=True)
class DeclarePayloadIndex:
    """Index a key of the payloads; False if it was indexed before. At a million items, writes wait for seconds.

    Raises:
        InvalidInput: SQLite cannot address the key.
        StorageFailed: SQLite cannot write.

    """

    key: str

    def prepared(self, spec: CollectionSpec) -> Callable[[sqlite3.Connection], Outcome[bool, Change]]:
        insert = "INSERT OR IGNORE INTO payload_indexes VALUES (?)"
        statements = create_index_sql(self.key)
        return lambda connection: _reindexed(connection, spec, insert, self.key, statements)


@dataclass(frozen=True)
class DropPayloadIndex:
    """Index a key of the payloads no more; False if it was not indexed.

    Raises:
        InvalidInput: SQLite cannot address the key.
        StorageFailed: SQLite cannot write.

    """

    key: str

    def prepared(self, spec: CollectionSpec) -> Callable[[sqlite3.Connection], Outcome[bool, Change]]:
        delete = "DELETE FROM payload_indexes WHERE key = ?"
        statements = drop_index_sql(self.key)
        return lambda connection: _reindexed(connection, spec, delete, self.key, statements)


def _upsert(
    spec: CollectionSpec,
    ids: Sequence[str],
    vectors: Float32,
    labels: Sequence[str | None],
    payload_texts: Sequence[str | None],
    sources: Sequence[Source | None] | None,
) -> Callable[[sqlite3.Connection], Outcome[Written, Change]]:
    if len(set(ids)) < len(ids):
        raise DuplicateId("two items of one upsert have the same id")
    if vectors.shape != (len(ids), spec.dimension):
        shape = " x ".join(map(str, vectors.shape))
        raise InvalidVector(f"{shape} values are no {len(ids)} vectors of {spec.dimension} dimensions")
    if not np.isfinite(vectors).all():
        raise InvalidVector("a vector has a value that is not finite")
    _paired(ids, labels, "labels")
    _paired(ids, sources or [None] * len(ids), "sources")
    pieces = list(encoded_items(spec, ids, vectors, labels, payload_texts, sources))
    # As they will be read: what a class gains now is what it loses one day.
    decoded = spec.codec.decoded(b"".join(piece.vectors for piece in pieces))
    gained = sums_by_class(decoded, labels)
    return lambda connection: _upserted(connection, spec, pieces, decoded, gained)


def _upserted(
    connection: sqlite3.Connection,
    spec: CollectionSpec,
    pieces: Sequence[EncodedItems],
    vectors: Float32,
    gained: Mapping[str, ClassSum],
) -> Outcome[Written, Change]:
    replaced = np.concatenate([_NONE, *(sequences_of(connection, piece.rows) for piece in pieces)])
    change_class_sums(connection, spec.codec, gained, class_sums_of(connection, spec.codec, replaced))
    remove_items(connection, replaced)
    first = following = last_sequence(connection) + 1
    for piece in pieces:
        insert_items(connection, spec, piece, following)
        following += len(piece.labels)
    sequences = np.arange(first, following, dtype=np.int64)
    labels = [label for piece in pieces for label in piece.labels]
    return Outcome(Written(sequences, replaced), Change(sequences, vectors, labels, replaced))


def _deleted(connection: sqlite3.Connection, spec: CollectionSpec, sequences: Int64) -> Outcome[Deleted, Change]:
    ids = ids_of(connection, sequences)
    lost = class_sums_of(connection, spec.codec, sequences)
    change_class_sums(connection, spec.codec, {}, lost)
    remove_items(connection, sequences)
    classes = {label: total.count for label, total in lost.items()}
    return Outcome(Deleted(ids, sequences, classes), _removal(spec, sequences))


def _reindexed(
    connection: sqlite3.Connection, spec: CollectionSpec, record: str, key: str, statements: Sequence[str]
) -> Outcome[bool, Change]:
    changed = connection.execute(record, (key,)).rowcount > 0
    if changed:
        for statement in statements:
            connection.execute(statement)
    return Outcome(changed, no_change(spec))


def no_change(spec: CollectionSpec) -> Change:
    """What a write changed that touched no item."""
    return _removal(spec, _NONE)


def _removal(spec: CollectionSpec, sequences: Int64) -> Change:
    return Change(_NONE, np.empty((0, spec.dimension), dtype=np.float32), [], sequences)


def _paired(ids: Sequence[str], column: Sequence[T], name: str) -> Iterator[tuple[str, T]]:
    if len(column) != len(ids):
        raise InvalidInput(f"there are {len(column)} {name} for {len(ids)} ids", param=name)
    return zip(ids, column, strict=True)


def _canonical(item_id: str, text: str) -> str:
    """A caller's JSON as filters expect it: they compare keys as they are spelt."""
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the payload of item '{item_id}' is not JSON: {error}", param="payload") from error
    if not isinstance(payload, dict):
        raise InvalidInput(f"the payload of item '{item_id}' is no JSON object", param="payload")
    return _payload_text(item_id, payload)


def _payload_text(item_id: str, payload: Payload) -> str:
    try:
        return payload_text(dict(payload))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the payload of item '{item_id}' is not JSON: {error}", param="payload") from error
