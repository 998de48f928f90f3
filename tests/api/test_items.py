"""Counting, scrolling and deleting by filter, and what speeds filters up."""

import httpx
import pytest

from api.wire import axis, error, search, upsert


@pytest.fixture
def shop(api: httpx.Client, collection) -> str:
    """Ten items, "0" to "9", with their number `n` and whether it is odd."""
    path: str = collection("efficientnet-lite0")
    upsert(api, path, *({"id": str(n), "vector": axis(n), "payload": {"n": n, "odd": bool(n % 2)}} for n in range(10)))
    return path


def counted(api: httpx.Client, path: str, **body: object) -> int:
    response = api.post(f"{path}/count", json=body)
    assert response.status_code == httpx.codes.OK, response.text
    assert set(response.json()) == {"count"}
    count: int = response.json()["count"]
    return count


def test_items_are_counted(api: httpx.Client, shop: str) -> None:
    assert counted(api, shop) == 10
    assert counted(api, shop, filter={"odd": True, "n": {"$gt": 4}}) == 3
    assert counted(api, shop, filter={"$id": {"$in": ["1", "2", "x"]}}) == 2


def test_scrolling_reads_every_match_once(api: httpx.Client, shop: str) -> None:
    seen, after = [], 0
    while after is not None:
        body = {"filter": {"odd": True}, "after": after, "limit": 2, "with_vectors": True}
        page = api.post(f"{shop}/items/scroll", json=body).json()
        seen += page["data"]
        after = page["next"]
    assert [entry["id"] for entry in seen] == ["1", "3", "5", "7", "9"]
    assert seen[2] == {"id": "5", "label": None, "payload": {"n": 5, "odd": True}, "sequence": 6, "vector": axis(5)}
    plain = api.post(f"{shop}/items/scroll", json={"limit": 1}).json()
    assert plain["data"][0]["vector"] is None
    assert plain["next"] == 1


def test_a_label_changes_alone(api: httpx.Client, shop: str) -> None:
    before = api.get(f"{shop}/items/3", params={"vector": True}).json()
    assert api.patch(f"{shop}/items/3", json={"label": "prime"}).json() == {"upserted": 1, "sequence": 11}
    assert api.get(f"{shop}/items/3", params={"vector": True}).json() == {**before, "label": "prime", "sequence": 11}
    many = api.patch(f"{shop}/items", json={"ids": ["5", "nobody", "3", "5", "nobody", "no/one"], "label": None})
    assert many.json() == {"relabelled": 2, "sequence": 13, "missing": ["nobody", "no/one"]}
    assert api.get(shop).json()["labels"] == {}
    assert search(api, shop, vector=axis(3), limit=1)[0]["id"] == "3"


def test_labels_that_are_refused(api: httpx.Client, shop: str) -> None:
    for path, body, status, param in (
        ("items/none", {"label": "a"}, 404, "id"),
        ("items/1", {"label": " "}, 400, "label"),
        ("items", {"ids": ["1"] * 65, "label": "a"}, 413, "ids"),
    ):
        refused = api.patch(f"{shop}/{path}", json=body)
        assert (refused.status_code, error(refused)["param"]) == (status, param)
    nobody = api.patch(f"{shop}/items", json={"ids": ["none"], "label": "a"})
    assert nobody.json() == {"relabelled": 0, "sequence": None, "missing": ["none"]}


def test_items_are_deleted_by_ids_by_filter_and_all(api: httpx.Client, shop: str) -> None:
    def deleted(**body: object) -> object:
        response = api.post(f"{shop}/items/delete", json=body)
        assert response.status_code == httpx.codes.OK, response.text
        return response.json()

    assert deleted(ids=["nobody", "1", "0", "nobody"]) == {"deleted": 2, "missing": ["nobody"]}
    assert deleted(filter={"odd": True}) == {"deleted": 4, "missing": []}
    assert [hit["id"] for hit in search(api, shop, vector=axis(4))] == ["4", "2", "6", "8"]
    assert deleted(all=True) == {"deleted": 4, "missing": []}
    assert counted(api, shop) == 0
    assert search(api, shop, vector=axis(4)) == []


def test_a_payload_index_is_declared_shown_and_dropped(api: httpx.Client, shop: str) -> None:
    first, again = (api.put(f"{shop}/indexes/size.eu") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() == {"key": "size.eu"}
    assert api.get(shop).json()["payload_indexes"] == ["size.eu"]
    upsert(api, shop, {"id": "new", "vector": axis(0), "payload": {"size": {"eu": 42}}})
    assert counted(api, shop, filter={"size.eu": {"$gte": 40}}) == 1
    assert api.delete(f"{shop}/indexes/size.eu").status_code == 204
    response = api.delete(f"{shop}/indexes/size.eu")
    assert (response.status_code, error(response)["param"]) == (404, "key")
    assert api.get(shop).json()["payload_indexes"] == []


def test_a_collection_says_how_it_is_kept_and_searched(api: httpx.Client) -> None:
    path = "/v1/collections/described"
    options = {"encoder": "efficientnet-lite0", "vector_dtype": "float16", "store_inputs": True, "recall_target": 0.9}
    try:
        assert api.put(path, json=options).status_code == 201
        upsert(api, path, {"id": "a", "vector": axis(0)}, {"id": "b", "vector": axis(1)})
        api.delete(f"{path}/items/a")
        described = api.get(path).json()
    finally:
        api.delete(path)
    assert {key: described[key] for key in options} == options
    assert described["disk_bytes"] > 10_000
    index = described["index"]
    assert (index["kind"], index["head_rows"], index["deleted_rows"]) == ("flat", 2, 1)
    nothing = ("effort", "recall_at_10", "p50_milliseconds", "bytes_per_vector", "building", "problem")
    assert all(index[key] is None for key in nothing)


def test_an_unknown_encoder_is_named_as_the_field_is(api: httpx.Client) -> None:
    response = api.put("/v1/collections/x", json={"encoder": "nope"})
    assert (response.status_code, error(response)["param"]) == (404, "encoder")


@pytest.mark.parametrize(
    ("route", "body", "status", "param", "words"),
    [
        ("count", {"filter": {"n": {"$gt": None}}}, 400, "filter.n.$gt", "null has no order"),
        ("count", {"filter": "n"}, 400, "filter", "valid dictionary"),
        ("count", {"where": {}}, 400, "where", "is no field of this request"),
        ("items/scroll", {"filter": {"$nor": []}}, 400, "filter.$nor", "at least one filter"),
        ("items/scroll", {"after": -1}, 400, "after", "greater than or equal to 0"),
        ("items/scroll", {"limit": 1001}, 413, "limit", "SIMILA_LIMITS__MAX_SEARCH_RESULTS"),
        ("items/delete", {}, 400, None, "exactly one of ids, filter, all; got none"),
        ("items/delete", {"ids": ["1"], "all": True}, 400, None, "got ids, all"),
        ("items/delete", {"ids": []}, 400, "ids", "must not be empty"),
        ("items/delete", {"ids": ["x"] * 65}, 413, "ids", "SIMILA_LIMITS__MAX_ITEMS"),
        ("items/delete", {"filter": {}}, 400, "filter", "it matches every item"),
        ("items/delete", {"all": False}, 400, "all", "should be True"),
    ],
)
def test_bad_requests(
    api: httpx.Client, shop: str, route: str, body: dict, status: int, param: str | None, words: str
) -> None:
    response = api.post(f"{shop}/{route}", json=body)
    assert (response.status_code, error(response)["param"]) == (status, param)
    assert words in error(response)["message"]
    assert counted(api, shop) == 10


def test_a_key_that_sqlite_cannot_address_has_no_index(api: httpx.Client, shop: str) -> None:
    response = api.put(f"{shop}/indexes/a%22b")
    assert (response.status_code, error(response)["param"]) == (400, "key")
    assert "has a double quote" in error(response)["message"]


def test_a_key_that_no_filter_addresses_is_not_indexed(api: httpx.Client, shop: str) -> None:
    response = api.put(f"{shop}/indexes/$label")
    assert (response.status_code, error(response)["param"]) == (400, "key")
