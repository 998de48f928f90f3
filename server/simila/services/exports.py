"""Use case: a collection as a table that other programs read."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simila.domain.errors import StorageFailed
from simila.domain.vectors import Float32
from simila.index.catalogue import Catalogue
from simila.index.filters import compile_filter
from simila.index.generations import remove_tree
from simila.storage.collection_file import CollectionSpec
from simila.storage.item_reader import ItemReader
from simila.storage.item_rows import ItemRow
from simila.storage.payload_paths import payload_text
from simila.storage.where import Where

ROW_GROUP_ROWS = 8192


class ExportService:
    """Collections as Parquet: `id`, `vector`, `label`, `payload` (JSON) and `sequence`, from the oldest item on."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def parquet(self, name: str, filter: Any = None) -> BinaryIO:  # noqa: A002 - the wire's name
        """Write the items that match, as they are at this moment, to a file without a name: closed, it is gone.

        A file and not a stream, so that a row that cannot be read is an error and not a table cut short, and so that a
        slow client does not keep the store from folding in its log.

        Raises:
            InvalidInput: the filter is malformed.
            StorageFailed: the disk has no room for it.
            CollectionUnavailable: a row is not what was written.

        """
        where = compile_filter({} if filter is None else filter)
        return await asyncio.to_thread(self._write, name, where)

    def _write(self, name: str, where: Where) -> BinaryIO:
        collection = self._catalogue.get(name)
        folder = self._catalogue.scratch_folder()
        try:
            path = folder / "items.parquet"
            with collection.reader.snapshot() as reader:
                _write_parquet(path, collection.spec, reader, where)
            return path.open("rb")
        except OSError as error:
            raise StorageFailed(f"collection {name} cannot be exported: {error.strerror or error}") from error
        finally:
            remove_tree(folder)


def _write_parquet(path: Path, spec: CollectionSpec, reader: ItemReader, where: Where) -> None:
    schema = _schema(spec)
    after = 0
    # Vectors do not get smaller, and nobody looks for the least of their values.
    with pq.ParquetWriter(path, schema, use_dictionary=["label"], write_statistics=["sequence"]) as writer:
        while rows := reader.page(after, ROW_GROUP_ROWS, where):
            after = rows[-1].sequence
            _, vectors = reader.vectors(np.array([row.sequence for row in rows], dtype=np.int64))
            writer.write_batch(_batch(rows, vectors, schema))


def _schema(spec: CollectionSpec) -> pa.Schema:
    columns = [
        pa.field("id", pa.string(), nullable=False),
        pa.field("vector", pa.list_(pa.field("element", pa.float32(), nullable=False), spec.dimension), nullable=False),
        pa.field("label", pa.string()),
        pa.field("payload", pa.string()),
        pa.field("sequence", pa.int64(), nullable=False),
    ]
    facts = {"encoder": spec.encoder, "fingerprint": spec.fingerprint, "dimension": str(spec.dimension)}
    return pa.schema(columns, metadata={f"simila.{name}": fact for name, fact in facts.items()})


def _batch(rows: Sequence[ItemRow], vectors: Float32, schema: pa.Schema) -> pa.RecordBatch:
    payloads = [None if row.payload is None else payload_text(dict(row.payload)) for row in rows]
    columns = [
        pa.array([row.id for row in rows], pa.string()),
        pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), type=schema.field("vector").type),
        pa.array([row.label for row in rows], pa.string()),
        pa.array(payloads, pa.string()),
        pa.array([row.sequence for row in rows], pa.int64()),
    ]
    return pa.record_batch(columns, schema=schema)
