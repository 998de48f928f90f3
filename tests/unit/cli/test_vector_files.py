import json
import sys

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memory_vectors import unit_vectors
from simila.cli import vector_files
from simila.cli.errors import WrongUsage
from simila.cli.faiss_files import open_faiss, read_ids
from simila.cli.parquet_files import open_parquet
from simila.cli.vector_files import batch_rows, open_array, open_json_lines

VECTORS = unit_vectors(1, 5, 4)


def read(file):
    batches = list(file.batches)
    assert [batch.start for batch in batches] == np.cumsum([0, *(len(batch.ids) for batch in batches)])[:-1].tolist()
    ids = [item for batch in batches for item in batch.ids]
    return ids, np.concatenate([batch.vectors for batch in batches])


def lines(path, *rows):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def index_file(path, index, ids=None):
    index.train(VECTORS)
    index.add(VECTORS) if ids is None else index.add_with_ids(VECTORS, np.array(ids))
    faiss.write_index(index, str(path))
    return path


def test_a_request_takes_so_many_vectors_that_it_fits():
    assert [batch_rows(dimension) for dimension in (1, 384, 768, 4096, 10**9)] == [8192, 8192, 8192, 1536, 1]


def test_a_table_of_another_program_is_read(tmp_path):
    table = pa.table({"id": [7, 8], "vector": VECTORS[:2].astype(np.float64).tolist(), "colour": ["red", "blue"]})
    pq.write_table(table, tmp_path / "a.parquet")
    file = open_parquet(tmp_path / "a.parquet")
    ids, vectors = read(file)
    assert (file.rows, file.fingerprint, ids) == (2, None, ["7", "8"])
    np.testing.assert_array_equal(vectors, VECTORS[:2])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"id": ["a"]}, "has no column vector; it has id"),
        ({"id": ["a"], "vector": [1.0]}, "its column vector is of double, not of lists of numbers"),
        ({"id": ["a", "b"], "vector": [[1.0], [1.0, 2.0]]}, "are not all of one length; look at row 1"),
        ({"id": ["a", "b"], "vector": [[1.0], None]}, "are not all of one length; look at row 1"),
    ],
)
def test_a_table_that_cannot_be_imported_says_why(tmp_path, table, message):
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(WrongUsage, match=message):
        read(open_parquet(tmp_path / "a.parquet"))


def test_what_is_no_parquet_says_so(tmp_path):
    with pytest.raises(WrongUsage, match="is no Parquet file"):
        open_parquet(lines(tmp_path / "a.parquet", "text"))


def test_json_lines_come_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_files, "MOST_ROWS", 2)
    np.save(tmp_path / "v.npy", VECTORS)
    file = open_json_lines(lines(tmp_path / "a.jsonl", *({"id": n} for n in range(5))), tmp_path / "v.npy")
    ids, vectors = read(file)
    assert (file.rows, ids) == (5, ["0", "1", "2", "3", "4"])
    np.testing.assert_array_equal(vectors, VECTORS)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["{"], "line 1: it is not JSON"),
        (
            [{"id": "a", "vector": [1]}, [1]],
            "line 2: it is no object with id and vector; give the vectors with --vectors",
        ),
        ([{"id": "a"}], "line 1: it is no object with id and vector"),
        ([{"id": None, "vector": [1]}], "line 1: the id is neither a text nor a whole number"),
        ([{"id": True, "vector": [1]}], "line 1: the id is neither a text nor a whole number"),
        ([{"id": "a", "vector": [1]}, {"id": "b", "vector": [1, 2]}], "are not all lists of as many numbers"),
        ([{"id": "a", "vector": 1}], "are no lists of numbers"),
    ],
)
def test_lines_that_cannot_be_imported_say_where(tmp_path, rows, message):
    with pytest.raises(WrongUsage, match=message):
        read(open_json_lines(lines(tmp_path / "a.jsonl", *rows), None))


def test_as_many_lines_as_vectors_are_needed(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    with pytest.raises(WrongUsage, match=r"has 1 lines, and .*v\.npy has 5 vectors"):
        open_json_lines(lines(tmp_path / "a.jsonl", {"id": 1}), tmp_path / "v.npy")


@pytest.mark.parametrize("array", [np.ones(3), np.ones((2, 2), int), np.array([["a"]]), np.array([{}])])
def test_an_array_that_is_not_of_vectors_is_refused(tmp_path, array):
    np.save(tmp_path / "v.npy", array)
    with pytest.raises(WrongUsage, match=r"v\.npy is no "):
        open_array(tmp_path / "v.npy")


@pytest.mark.parametrize("factory", ["Flat", "IDMap,Flat", "IDMap2,Flat", "HNSW8", "IDMap,HNSW8", "IVF1,Flat"])
def test_an_exact_index_gives_its_vectors_back(tmp_path, factory):
    numbers = None if factory in {"Flat", "HNSW8"} else [9, 3, 7, 1, 5]
    file = open_faiss(index_file(tmp_path / "a.faiss", faiss.index_factory(4, factory), numbers), None)
    ids, vectors = read(file)
    found = dict(zip(ids, vectors.tolist(), strict=True))
    expected = [str(number) for number in numbers or range(5)]
    assert (file.rows, file.warnings) == (5, ())
    assert found == dict(zip(expected, VECTORS.tolist(), strict=True))


def test_a_quantised_index_is_imported_with_a_warning(tmp_path):
    file = open_faiss(index_file(tmp_path / "a.faiss", faiss.index_factory(4, "SQ8")), None)
    np.testing.assert_allclose(read(file)[1], VECTORS, atol=0.01)
    assert "approximations" in file.warnings[0]


@pytest.mark.parametrize("factory", ["LSH", "RaBitQ"])
def test_an_index_that_keeps_no_vectors_is_refused(tmp_path, factory):
    with pytest.raises(WrongUsage, match=f"a Index{factory} does not give its vectors back"):
        open_faiss(index_file(tmp_path / "a.faiss", faiss.index_factory(4, factory)), None)


def test_ids_name_the_vectors_of_an_index(tmp_path):
    index = index_file(tmp_path / "a.faiss", faiss.index_factory(4, "IDMap,Flat"), [9, 3, 7, 1, 5])
    names = lines(tmp_path / "ids.txt", "v", "w", "x", "y", "z")
    ids, vectors = read(open_faiss(index, names))
    assert ids == ["v", "w", "x", "y", "z"]
    np.testing.assert_array_equal(vectors, VECTORS)
    with pytest.raises(WrongUsage, match=r"holds 5 vectors, and .* has 1 ids"):
        open_faiss(index, lines(tmp_path / "ids.txt", "v"))


def test_ids_are_read_from_arrays_and_lines(tmp_path):
    np.save(tmp_path / "numbers.npy", np.array([3, 2]))
    np.save(tmp_path / "texts.npy", np.array(["ü", "b"]))
    np.save(tmp_path / "floats.npy", np.array([1.5]))
    assert read_ids(tmp_path / "numbers.npy") == ["3", "2"]
    assert read_ids(tmp_path / "texts.npy") == ["ü", "b"]
    with pytest.raises(WrongUsage, match="is no list of ids: 1 dimensions of float64"):
        read_ids(tmp_path / "floats.npy")


def test_an_index_with_one_number_twice_is_refused(tmp_path):
    index = index_file(tmp_path / "a.faiss", faiss.index_factory(4, "IVF1,Flat"), [1, 1, 2, 3, 4])
    with pytest.raises(WrongUsage, match="holds two vectors of one number"):
        open_faiss(index, None)


def test_what_is_no_index_says_so(tmp_path):
    with pytest.raises(WrongUsage, match=r"a\.faiss is no FAISS index"):
        open_faiss(lines(tmp_path / "a.faiss", "text"), None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.parquet", "--vectors", "v.npy"], "--vectors belongs to a JSON Lines file, and a.parquet is none"),
        (["a.jsonl", "--ids", "v.npy"], "--ids belongs to a FAISS index, and a.jsonl is none"),
        (["a.jsonl", "b.jsonl", "--vectors", "v.npy"], "--vectors and --ids belong to one file; import one at a time"),
        (["a.csv"], "a.csv is no file of vectors that can be imported (.faiss .index .jsonl .ndjson .parquet .pq)"),
    ],
)
def test_files_and_options_that_do_not_fit_are_refused(run, server, tmp_path, arguments, message):
    for name in ("a.parquet", "a.jsonl", "b.jsonl", "a.csv"):
        (tmp_path / name).touch()
    result = run("collections", "import", "shop", *arguments)
    assert (result.exit_code, result.stderr) == (2, f"error: {message}\n")
    assert server.requests == []


def test_an_index_without_faiss_says_what_to_install(run, tmp_path, monkeypatch):
    (tmp_path / "a.faiss").touch()
    monkeypatch.delitem(sys.modules, "simila.cli.faiss_files")
    monkeypatch.setitem(sys.modules, "faiss", None)
    result = run("collections", "import", "shop", "a.faiss")
    expected = "error: this needs faiss, which is not installed; run: pip install 'simila[cpu]'\n"
    assert (result.exit_code, result.stderr) == (1, expected)
