"""Collections in files, by the command line and the client, through a real server."""

import json
from pathlib import Path

import faiss
import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from memory_vectors import unit_vectors
from simila.__main__ import app
from simila_client import Conflict, InvalidArgument, Simila

ENCODER, DIMENSION = "efficientnet-lite0", 1280
VECTORS = unit_vectors(3, 6, DIMENSION)
IDS = ["a", "ç/ü", "c", "d", "e", "f"]
LABELS = ["heel", None, "Stiefel", None, None, "heel"]
PAYLOADS = [{"größe": 38, "tags": ["x", None]}, None, {}, {"n": 1.5}, None, None]


@pytest.fixture
def client(server_url: str):
    with Simila(server_url) as client:
        yield client


@pytest.fixture
def run(server_url: str):
    def invoke(*arguments: object):
        return CliRunner().invoke(app, ["collections", *map(str, arguments), "--url", server_url])

    return invoke


@pytest.fixture
def shop(client: Simila):
    """A collection of six items; it and `copy` are gone after the test."""
    client.create_collection("shop", ENCODER)
    fingerprint = client.collection("shop").fingerprint
    stored = client.upsert_vectors("shop", IDS, VECTORS, labels=LABELS, payloads=PAYLOADS, fingerprint=fingerprint)
    assert (stored.count, stored.sequence) == (6, 6)
    yield "shop"
    for collection in client.collections():
        if collection.name in {"shop", "copy"}:
            client.delete_collection(collection.name)


def vectors_of(api: httpx.Client, name: str) -> dict[str, list[float]]:
    body = {"with_vectors": True, "limit": 100}
    return {
        row["id"]: row["vector"] for row in api.post(f"/v1/collections/{name}/items/scroll", json=body).json()["data"]
    }


def stored(client: Simila, name: str) -> list[tuple]:
    return [(item.id, item.label, item.payload) for item in client.all_items(name)]


def test_an_export_that_is_imported_is_the_same_bit_for_bit(api, client, run, shop, tmp_path: Path) -> None:
    exported = run("export", shop, tmp_path / "shop.parquet")
    assert exported.exit_code == 0, exported.stderr
    imported = run("import", "copy", tmp_path / "shop.parquet", "--encoder", ENCODER)
    assert (imported.exit_code, imported.stdout) == (0, '{"name": "copy", "stored": 6}\n')
    assert stored(client, "copy") == stored(client, shop)
    assert vectors_of(api, "copy") == vectors_of(api, shop)
    np.testing.assert_array_equal(np.array(list(vectors_of(api, "copy").values()), np.float32), VECTORS)


def test_an_export_of_what_matches(run, shop, tmp_path: Path) -> None:
    run("export", shop, tmp_path / "some.parquet", "--filter", '{"$label": "heel"}')
    assert pq.read_table(tmp_path / "some.parquet")["id"].to_pylist() == ["a", "f"]


def test_vectors_of_another_encoder_are_not_imported(client, run, shop, tmp_path: Path) -> None:
    run("export", shop, tmp_path / "shop.parquet")
    client.create_collection("copy", "efficientnet-lite2")
    refused = run("import", "copy", tmp_path / "shop.parquet")
    assert refused.exit_code == 1
    assert "holds vectors of efficientnet-lite2" in refused.stderr
    with pytest.raises(Conflict):
        client.upsert_vectors("copy", ["a"], VECTORS[:1], fingerprint="f" * 64)


def test_a_backup_goes_and_comes(api, client, run, shop, tmp_path: Path) -> None:
    backup = tmp_path / "shop.simila"
    assert run("backup", shop, backup).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["shop.simila"]
    restored = run("restore", "copy", backup)
    answer = json.loads(restored.stdout)
    assert (answer["name"], answer["items"], answer["encoder"]) == ("copy", 6, ENCODER)
    assert vectors_of(api, "copy") == vectors_of(api, shop)
    client.delete_item("copy", "a")
    refused = run("restore", "copy", backup)
    assert (refused.exit_code, client.collection("copy").items) == (1, 5)
    assert "to replace it, say replace=true" in refused.stderr
    assert run("restore", "copy", backup, "--replace").exit_code == 0
    assert client.collection("copy").items == 6


def test_a_file_that_is_there_is_not_replaced_unasked(run, shop, tmp_path: Path) -> None:
    file = tmp_path / "shop"
    file.write_text("mine")
    for command in ("backup", "export"):
        refused = run(command, shop, file)
        assert (refused.exit_code, refused.stderr) == (2, f"error: {file} is there already; --force replaces it\n")
    assert file.read_text() == "mine"
    assert run("backup", shop, file, "--force").exit_code == 0
    assert file.read_bytes().startswith(b"SQLite format 3")


def test_a_download_that_is_refused_leaves_the_file_alone(run, tmp_path: Path) -> None:
    file = tmp_path / "shop"
    file.write_text("mine")
    assert run("backup", "nowhere", file, "--force").exit_code == 1
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("shop", "mine")]


@pytest.mark.parametrize("beside", [False, True], ids=["within", "beside"])
def test_json_lines_are_imported(api, client, run, shop, tmp_path: Path, beside: bool) -> None:
    rows = [
        {"id": item, "label": label, "payload": payload, **({} if beside else {"vector": vector.tolist()})}
        for item, label, payload, vector in zip(IDS, LABELS, PAYLOADS, VECTORS, strict=True)
    ]
    lines, array = tmp_path / "items.jsonl", tmp_path / "vectors.npy"
    lines.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    np.save(array, VECTORS)
    result = run("import", "copy", lines, "--encoder", ENCODER, *(["--vectors", array] if beside else []))
    assert (result.exit_code, result.stdout) == (0, '{"name": "copy", "stored": 6}\n')
    assert stored(client, "copy") == stored(client, shop)
    assert vectors_of(api, "copy") == vectors_of(api, shop)


@pytest.mark.parametrize(
    ("factory", "ids"),
    [
        ("Flat", ["0", "1", "2", "3", "4", "5"]),
        ("IDMap,Flat", ["70", "60", "50", "40", "30", "20"]),
        ("IVF2,Flat", ["70", "60", "50", "40", "30", "20"]),
    ],
)
@pytest.mark.usefixtures("shop")
def test_an_index_is_imported_under_its_numbers(api, run, tmp_path: Path, factory: str, ids: list[str]) -> None:
    index = faiss.index_factory(DIMENSION, factory)
    index.train(VECTORS)
    if factory == "Flat":
        index.add(VECTORS)
    else:
        index.add_with_ids(VECTORS, np.array(ids, dtype=np.int64))
    faiss.write_index(index, str(tmp_path / "a.faiss"))
    result = run("import", "copy", tmp_path / "a.faiss", "--encoder", ENCODER)
    assert (result.exit_code, result.stdout) == (0, '{"name": "copy", "stored": 6}\n')
    expected = dict(zip(ids, VECTORS.tolist(), strict=True))
    assert {item: np.float32(vector).tolist() for item, vector in vectors_of(api, "copy").items()} == expected


def test_what_a_row_is_refused_for_is_said_with_its_place(client, run, shop, tmp_path: Path) -> None:
    rows = [{"id": "x", "vector": VECTORS[0].tolist()}, {"id": "x", "vector": VECTORS[1].tolist()}]
    (tmp_path / "twice.jsonl").write_text("\n".join(map(json.dumps, rows)))
    result = run("import", shop, tmp_path / "twice.jsonl")
    assert result.exit_code == 1
    assert "error: twice.jsonl: items[0] of what follows is row 0; rows before it are stored\n" in result.stderr
    assert "error: items[1]: the id 'x' is that of items[0] too\n" in result.stderr
    assert client.collection(shop).items == 6


def test_columns_of_different_length_are_not_sent(client, shop) -> None:
    with pytest.raises(InvalidArgument, match="the columns differ in length"):
        client.upsert_vectors(shop, ["a"], VECTORS[:2])
