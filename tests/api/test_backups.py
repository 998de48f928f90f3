"""Backup, restore and export, through a real server."""

import io
import json

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest

from api.conftest import serving
from api.wire import error
from arrow_streams import arrow_stream, fixed_lists
from memory_vectors import unit_vectors
from simila.settings import LimitSettings, Settings

ENCODER, DIMENSION = "efficientnet-lite0", 1280
ARROW = {"content-type": "application/vnd.apache.arrow.stream"}
VECTORS = unit_vectors(2, 5, DIMENSION)
IDS = ["a", "b", "ç/ü", "d", "e"]
LABELS = ["heel", None, "Stiefel", None, "heel"]
PAYLOADS = [None, '{"größe": 38}', "{}", '{"größe": 40}', None]


@pytest.fixture
def path(api: httpx.Client, collection) -> str:
    """A collection of five items."""
    path = collection(ENCODER)
    columns = {"id": IDS, "vector": fixed_lists(VECTORS), "label": LABELS, "payload": PAYLOADS}
    assert api.post(f"{path}/items", content=arrow_stream(columns), headers=ARROW).status_code == 200
    return path


@pytest.fixture
def backup(api: httpx.Client, path: str) -> bytes:
    response = api.get(f"{path}/backup")
    assert response.status_code == 200
    assert response.headers["content-length"] == str(len(response.content))
    return response.content


@pytest.fixture
def restored(api: httpx.Client):
    """Where to restore to; gone after the test."""
    yield "/v1/collections/restored"
    api.delete("/v1/collections/restored")


def rows(api: httpx.Client, path: str) -> list[dict]:
    return api.get(f"{path}/items").json()["data"]


def nearest(api: httpx.Client, path: str) -> dict:
    answer = api.post(f"{path}/search", json={"vector": VECTORS[2].tolist(), "limit": 5})
    return {hit["id"]: hit["score"] for hit in answer.json()["results"]}


def table(response: httpx.Response):
    assert response.status_code == 200, response.text
    assert response.headers["content-length"] == str(len(response.content))
    return pq.read_table(io.BytesIO(response.content))


def test_a_backup_is_restored_under_another_name(api: httpx.Client, path: str, backup: bytes, restored: str) -> None:
    made = api.put(f"{restored}/backup", content=backup)
    assert (made.status_code, made.json()["name"], made.json()["items"]) == (201, "restored", 5)
    assert made.json()["fingerprint"] == api.get(path).json()["fingerprint"]
    assert rows(api, restored) == rows(api, path)
    assert nearest(api, restored) == nearest(api, path)
    for item in IDS:
        vector = {"vector": True}
        assert (
            api.get(f"{restored}/items/{item}", params=vector).json()
            == api.get(f"{path}/items/{item}", params=vector).json()
        )
    assert api.get(f"{restored}/backup").status_code == 200


def test_a_collection_that_is_there_is_replaced_only_when_asked(api: httpx.Client, path: str, backup: bytes) -> None:
    before = rows(api, path)
    api.delete(f"{path}/items/a")
    refused = api.put(f"{path}/backup", content=backup)
    assert (refused.status_code, error(refused)["code"]) == (409, "conflict")
    assert error(refused)["message"].endswith("to replace it, say replace=true, or give another name")
    assert rows(api, path) == before[1:]
    assert api.put(f"{path}/backup", params={"replace": True}, content=backup).status_code == 200
    assert rows(api, path) == before
    assert api.post(f"{path}/items", json={"items": [{"id": "a", "vector": VECTORS[0].tolist()}]}).status_code == 200


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-4096],
        lambda content: content[:50],
        lambda _: b"",
        lambda _: b"PAR1" * 1000,
        lambda content: content.replace(b"Stiefel", b"Stiefeh"),
        lambda content: content.replace(VECTORS[3].tobytes()[:16], VECTORS[4].tobytes()[:16]),
    ],
    ids=["half", "end", "head", "empty", "foreign", "label", "vector"],
)
def test_a_damaged_backup_changes_nothing(api: httpx.Client, path: str, backup: bytes, restored: str, damage) -> None:
    damaged = damage(backup)
    assert damaged != backup
    before = rows(api, path)
    for target in (restored, path):
        response = api.put(f"{target}/backup", params={"replace": True}, content=damaged)
        assert (response.status_code, error(response)["code"]) == (400, "invalid_backup")
        assert error(response)["message"].startswith("the file cannot be restored: ")
    assert api.get(restored).status_code == 404
    assert rows(api, path) == before


def test_a_name_that_breaks_the_rule_is_refused(api: httpx.Client, backup: bytes) -> None:
    assert api.put("/v1/collections/.transient-x/backup", content=backup).status_code == 400


def test_a_backup_of_nothing_is_404(api: httpx.Client) -> None:
    assert api.get("/v1/collections/nowhere/backup").status_code == 404


def test_an_export_is_what_was_stored(api: httpx.Client, path: str) -> None:
    exported = table(api.get(f"{path}/export", params={"format": "parquet"}))
    assert exported.column_names == ["id", "vector", "label", "payload", "sequence"]
    assert exported["id"].to_pylist() == IDS
    assert exported["label"].to_pylist() == LABELS
    assert [text and json.loads(text) for text in exported["payload"].to_pylist()] == [
        text and json.loads(text) for text in PAYLOADS
    ]
    assert exported["sequence"].to_pylist() == [1, 2, 3, 4, 5]
    vectors = exported["vector"].combine_chunks()
    assert vectors.type.list_size == DIMENSION
    np.testing.assert_array_equal(vectors.flatten().to_numpy().reshape(-1, DIMENSION), VECTORS)
    described = api.get(path).json()
    assert {key.decode(): value.decode() for key, value in exported.schema.metadata.items()} == {
        "simila.encoder": ENCODER,
        "simila.fingerprint": described["fingerprint"],
        "simila.dimension": str(DIMENSION),
    }


def test_an_export_may_be_of_what_matches(api: httpx.Client, path: str) -> None:
    query = {"filter": json.dumps({"größe": {"$gt": 38}})}
    assert table(api.get(f"{path}/export", params=query))["id"].to_pylist() == ["d"]
    nothing = table(api.get(f"{path}/export", params={"filter": '{"$label": "none"}'}))
    assert (nothing.num_rows, nothing.column_names) == (0, ["id", "vector", "label", "payload", "sequence"])


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"filter": "{"}, "filter"),
        ({"filter": '{"a": {"$near": 1}}'}, "filter.a.$near"),
        ({"filter": "[1]"}, "filter"),
        ({"format": "csv"}, "format"),
    ],
    ids=["torn", "operator", "list", "format"],
)
def test_an_export_of_what_cannot_be_read_is_refused(api: httpx.Client, path: str, query, param) -> None:
    response = api.get(f"{path}/export", params=query)
    assert (response.status_code, error(response)["param"]) == (400, param)


def test_a_larger_backup_than_the_limit_names_the_setting(data_folder) -> None:
    limits = LimitSettings(max_backup_bytes=10_000, max_body_bytes=100)
    settings = Settings(data_dir=data_folder(), encoders=(), limits=limits)
    with serving(settings) as url, httpx.Client(base_url=url) as api:
        declared = api.put("/v1/collections/c/backup", content=b"x" * 10_001)
        streamed = api.put("/v1/collections/c/backup", content=iter([b"x" * 10_001]))
        smaller = api.put("/v1/collections/c/backup", content=b"x" * 9_000)
    for response in (declared, streamed):
        assert response.status_code == 413
        assert "the limit of 10000 bytes (SIMILA_LIMITS__MAX_BACKUP_BYTES)" in error(response)["message"]
    assert (smaller.status_code, error(smaller)["code"]) == (400, "invalid_backup")


def test_nothing_is_left_on_the_disk(data_folder) -> None:
    folder = data_folder()
    with serving(Settings(data_dir=folder, encoders=("efficientnet-lite0",))) as url, httpx.Client(base_url=url) as api:
        api.put("/v1/collections/c", json={"encoder": ENCODER})
        backup = api.get("/v1/collections/c/backup").content
        api.get("/v1/collections/c/export")
        api.put("/v1/collections/c/backup", params={"replace": True}, content=backup)
        api.put("/v1/collections/c/backup", params={"replace": True}, content=backup[:5000])
        api.put("/v1/collections/d/backup", content=backup[:5000])
        assert [entry.name for entry in (folder / "collections").iterdir()] == ["c"]
        assert len(list((folder / "collections" / "c").glob("generation-*"))) == 1
