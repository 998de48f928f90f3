import asyncio
import threading

import numpy as np
import pyarrow.parquet as pq
import pytest

from memory_vectors import unit_vectors
from simila.domain.errors import CollectionUnavailable, InvalidInput, UnknownCollection
from simila.index.catalogue import Catalogue
from simila.services import exports
from simila.services.exports import ExportService
from simila.storage.collection_file import CollectionSpec
from simila.storage.connections import ReadConnections, closed
from simila.storage.item_reader import ItemReader
from simila.storage.item_writes import Delete, UpsertArrays

SPEC = CollectionSpec.new("shoes", encoder="e", fingerprint="f1", dimension=4)
VECTORS = unit_vectors(1, 10, 4)
IDS = [f"i{n}" for n in range(10)]


@pytest.fixture
def catalogue(tmp_path):
    catalogue = Catalogue(tmp_path)
    collection, _ = catalogue.create(SPEC)
    payloads = [f'{{"n":{n}}}' for n in range(10)]
    collection.write(UpsertArrays(IDS, VECTORS, None, payloads)).result()
    yield catalogue
    catalogue.close()


def exported(catalogue, **options):
    with asyncio.run(ExportService(catalogue).parquet("shoes", **options)) as file:
        return pq.ParquetFile(file), pq.read_table(file)


def test_rows_come_in_groups_so_that_memory_is_bounded(catalogue, monkeypatch):
    monkeypatch.setattr(exports, "ROW_GROUP_ROWS", 4)
    file, table = exported(catalogue)
    assert [file.metadata.row_group(group).num_rows for group in range(3)] == [4, 4, 2]
    assert table["id"].to_pylist() == IDS
    np.testing.assert_array_equal(np.stack(table["vector"].to_numpy()), VECTORS)


def test_what_is_written_meanwhile_is_not_in_it(catalogue, monkeypatch):
    monkeypatch.setattr(exports, "ROW_GROUP_ROWS", 4)
    collection = catalogue.get("shoes")
    read_page = ItemReader.page

    def page_then_write(reader, *arguments):
        rows = read_page(reader, *arguments)
        collection.write(Delete(["i9"])).result()
        collection.write(UpsertArrays(["i5", "new"], VECTORS[:2])).result()
        return rows

    monkeypatch.setattr(ItemReader, "page", page_then_write)
    _, table = exported(catalogue)
    assert (table["id"].to_pylist(), table["sequence"].to_pylist()) == (IDS, list(range(1, 11)))


def test_a_filter_chooses(catalogue):
    _, table = exported(catalogue, filter={"n": {"$in": [3, 7]}})
    assert table["payload"].to_pylist() == ['{"n":3}', '{"n":7}']


def test_what_cannot_be_exported_leaves_nothing(catalogue, tmp_path):
    with pytest.raises(InvalidInput):
        exported(catalogue, filter={"n": {"$near": 3}})
    with pytest.raises(UnknownCollection):
        asyncio.run(ExportService(catalogue).parquet("boots"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["shoes"]


def test_a_row_that_cannot_be_read_is_an_error_and_not_a_shorter_table(catalogue, tmp_path, monkeypatch):
    def damaged(*_):
        raise CollectionUnavailable("a vector fails its checksum")

    monkeypatch.setattr(ItemReader, "vectors", damaged)
    with pytest.raises(CollectionUnavailable):
        exported(catalogue)
    assert [entry.name for entry in tmp_path.iterdir()] == ["shoes"]


def test_a_collection_that_is_dropped_ends_its_export(catalogue, monkeypatch):
    read_page, close = ItemReader.page, ReadConnections.close
    is_closing = threading.Event()
    dropping = threading.Thread(target=catalogue.drop, args=("shoes",))

    def page_then_drop(reader, *arguments):
        rows = read_page(reader, *arguments)
        dropping.start()
        assert is_closing.wait(60)
        return rows

    def closing(connections, refusal):
        connections._refusal = closed("shoes")
        is_closing.set()
        close(connections, refusal)

    monkeypatch.setattr(ReadConnections, "close", closing)
    monkeypatch.setattr(ItemReader, "page", page_then_drop)
    with pytest.raises(UnknownCollection, match="is closed"):
        exported(catalogue)
    dropping.join()
