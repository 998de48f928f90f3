"""Items as an Arrow stream, through a real server."""

import httpx
import numpy as np
import pytest

from api.wire import error
from arrow_streams import arrow_stream, fixed_lists
from memory_vectors import unit_vectors

ENCODER, DIMENSION = "efficientnet-lite0", 1280
ARROW = {"content-type": "application/vnd.apache.arrow.stream"}
VECTORS = unit_vectors(1, 4, DIMENSION)


def send(api: httpx.Client, path: str, *batches: dict, **headers: str) -> httpx.Response:
    return api.post(f"{path}/items", content=arrow_stream(*batches), headers=ARROW | headers)


def columns(ids: list[str], vectors: np.ndarray, **more: list) -> dict:
    return {"id": ids, "vector": fixed_lists(vectors), **more}


def test_what_is_stored_is_what_was_sent(api: httpx.Client, collection) -> None:
    path = collection(ENCODER)
    first = columns(["a", "b"], VECTORS[:2], label=["heel", None], payload=[None, '{"größe": 38}'])
    second = columns(["ç/ü"], VECTORS[2:3], label=["Stiefel"], payload=["{}"])
    assert send(api, path, first, second).json() == {"upserted": 3, "sequence": 3}
    stored = api.get(f"{path}/items/b", params={"vector": True}).json()
    assert np.array_equal(np.array(stored.pop("vector"), np.float32), VECTORS[1])
    assert stored == {"id": "b", "label": None, "payload": {"größe": 38}, "sequence": 2}
    assert api.get(f"{path}/items/ç/ü").json()["label"] == "Stiefel"
    found = api.post(f"{path}/search", json={"vector": VECTORS[2].tolist(), "limit": 1}).json()["results"]
    assert (found[0]["id"], found[0]["score"]) == ("ç/ü", pytest.approx(1))


def test_an_item_that_is_there_is_replaced(api: httpx.Client, collection) -> None:
    path = collection(ENCODER)
    send(api, path, columns(["a", "b"], VECTORS[:2]))
    assert send(api, path, columns(["b", "c"], VECTORS[2:])).json() == {"upserted": 2, "sequence": 4}
    assert api.get(path).json()["items"] == 3


def test_one_bad_row_keeps_all_out_and_is_named(api: httpx.Client, collection) -> None:
    path = collection(ENCODER)
    damaged = VECTORS.copy()
    damaged[2, 5] = np.nan
    response = send(api, path, columns(list("ab"), damaged[:2]), columns(list("cd"), damaged[2:]))
    assert response.status_code == 400
    detail = error(response)
    assert (detail["code"], detail["param"]) == ("invalid_vector", "items[2].vector")
    assert detail["message"] == "items[2].vector: the value at position 5 is not a finite float32"
    assert api.get(path).json()["items"] == 0


@pytest.mark.parametrize(
    ("batch", "code", "param"),
    [
        (columns(["a", "b", "a"], VECTORS[:3]), "duplicate_id", "items[2].id"),
        (columns(["a", " "], VECTORS[:2]), "invalid_input", "items[1].id"),
        (columns(["a"], VECTORS[:1], label=[" "]), "invalid_labels", "items[0].label"),
        (columns(["a"], VECTORS[:1], payload=["[1]"]), "invalid_input", "items[0].payload"),
        (columns(["a"], VECTORS[:1], payload=["{"]), "invalid_input", "items[0].payload"),
        (columns(["a"], VECTORS[:1, :7]), "invalid_vector", "items"),
        (columns(["a", "b"], VECTORS[:2] * [[1], [0]]), "invalid_vector", "items[1].vector"),
    ],
    ids=["twice", "blank", "label", "payload-list", "payload-torn", "dimension", "zero"],
)
def test_what_is_wrong_with_an_item_is_named(api: httpx.Client, collection, batch, code, param) -> None:
    response = send(api, collection(ENCODER), batch)
    assert response.status_code == 400
    assert (error(response)["code"], error(response)["param"]) == (code, param)


def test_vectors_of_another_fingerprint_are_refused_in_both_forms(api: httpx.Client, collection) -> None:
    path = collection(ENCODER)
    fingerprint = api.get(path).json()["fingerprint"]
    item = {"id": "a", "vector": VECTORS[0].tolist()}
    refused = [
        send(api, path, columns(["a"], VECTORS[:1]), **{"X-Simila-Fingerprint": "f" * 64}),
        api.post(f"{path}/items", json={"items": [item], "fingerprint": "f" * 64}),
    ]
    for response in refused:
        assert response.status_code == 409
        assert error(response)["code"] == "fingerprint_mismatch"
        assert fingerprint[:12] in error(response)["message"]
    assert api.get(path).json()["items"] == 0
    assert send(api, path, columns(["a"], VECTORS[:1]), **{"X-Simila-Fingerprint": fingerprint}).status_code == 200
    assert api.post(f"{path}/items", json={"items": [item], "fingerprint": fingerprint}).status_code == 200


def test_a_body_that_is_no_stream_is_refused(api: httpx.Client, collection) -> None:
    response = api.post(f"{collection(ENCODER)}/items", content=b'{"items": []}', headers=ARROW)
    assert response.status_code == 400
    assert error(response)["message"].startswith("the body is no sound Arrow IPC stream: ")


def test_a_collection_that_is_not_there_is_404(api: httpx.Client) -> None:
    response = send(api, "/v1/collections/nowhere", columns(["a"], VECTORS[:1]))
    assert (response.status_code, error(response)["code"]) == (404, "collection_not_found")


def test_the_documentation_has_both_forms(api: httpx.Client) -> None:
    operation = api.get("/openapi.json").json()["paths"]["/v1/collections/{name}/items"]["post"]
    assert set(operation["requestBody"]["content"]) == {"application/json", ARROW["content-type"]}
    assert "X-Simila-Fingerprint" in {parameter["name"] for parameter in operation["parameters"]}
