"""Searches over HTTP, compared with numpy."""

import json
import math
import threading
from itertools import count
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from api.wire import DIMENSION, axis, b64, embed, error, search, upsert, vectors
from tolerances import FLOAT32_VALUES

PHOTOS = ["coffee.png", "rocket.jpg", "chelsea.png", "page.png"]
TEXTS = 384


def unit(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def base64_floats(vector: NDArray[np.float32]) -> str:
    return b64(vector.astype("<f4").tobytes())


def filled(api: httpx.Client, path: str, items: int, payload=lambda n: {"n": n}, start: int = 0):
    """Random vectors of 384 dimensions under the ids "0", "1", …: `float32 [n, d]`."""
    rows = unit(np.random.default_rng(5 + start).normal(size=(items, TEXTS)))
    for first in range(0, items, 64):
        upsert(
            api,
            path,
            *(
                {"id": str(start + n), "vector": base64_floats(rows[n]), "payload": payload(start + n)}
                for n in range(first, min(first + 64, items))
            ),
        )
    return rows


def ids(hits: list[dict]) -> list[str]:
    return [hit["id"] for hit in hits]


def brute_force(rows: NDArray[np.float32], query: NDArray[np.float32], admitted=None) -> list[str]:
    order = np.argsort(-(rows @ query), kind="stable").tolist()
    return [str(n) for n in order if admitted is None or n in admitted]


def test_search_ranks_by_cosine(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    rows = np.random.default_rng(7).normal(size=(30, DIMENSION))
    upsert(api, path, *({"id": str(n), "vector": row.tolist()} for n, row in enumerate(rows)))
    query = rows[3] + rows[4]
    cosines = rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
    expected = np.argsort(-cosines)[:10]
    hits = search(api, path, vector=query.tolist(), limit=10)
    assert [hit["id"] for hit in hits] == [str(n) for n in expected]
    np.testing.assert_allclose([hit["score"] for hit in hits], cosines[expected], atol=FLOAT32_VALUES)


def test_search_by_text_and_by_image(api: httpx.Client, collection, photo) -> None:
    path = collection("simila-lite")
    upsert(api, path, *({"id": name, "image": b64(photo(name)), "payload": {"file": name}} for name in PHOTOS))
    [by_text] = search(api, path, text="a cat", limit=1)
    assert (by_text["id"], by_text["label"], by_text["payload"]) == ("chelsea.png", None, {"file": "chelsea.png"})
    text, image = vectors(embed(api, "simila-lite", ["a cat", {"image": b64(photo("chelsea.png"))}]))
    assert by_text["score"] == pytest.approx(float(text @ image), abs=FLOAT32_VALUES)
    assert search(api, path, image=b64(photo("rocket.jpg")), limit=1)[0]["id"] == "rocket.jpg"


def test_search_by_id_leaves_the_item_out(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    upsert(api, path, *({"id": name, "vector": axis(n)} for n, name in enumerate(["a", "b", "c"])))
    assert [hit["id"] for hit in search(api, path, id="b")] == ["a", "c"]
    response = api.post(f"{path}/search", json={"id": "nope"})
    assert (response.status_code, error(response)["code"]) == (404, "item_not_found")


def test_the_threshold_is_a_least_cosine(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    upsert(api, path, {"id": "same", "vector": axis(0)}, {"id": "other", "vector": axis(1)})
    assert [hit["id"] for hit in search(api, path, vector=axis(0), score_threshold=0.5)] == ["same"]
    assert [hit["id"] for hit in search(api, path, vector=axis(0), score_threshold=0.0)] == ["same", "other"]


def test_the_length_of_a_given_vector_does_not_matter(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    upsert(api, path, {"id": "long", "vector": axis(0, 1e30)}, {"id": "short", "vector": axis(0, 1e-30)})
    assert [hit["score"] for hit in search(api, path, vector=axis(0, 5))] == [1.0, 1.0]


def test_vectors_may_be_base64_in_items_and_queries(api: httpx.Client, collection) -> None:
    path = collection("simila-lite")
    rows = filled(api, path, 20)
    stored = api.get(f"{path}/items/7", params={"vector": True}).json()["vector"]
    assert np.array_equal(np.array(stored, np.float32), rows[7])
    as_numbers = search(api, path, vector=rows[3].tolist())
    assert search(api, path, vector=base64_floats(rows[3])) == as_numbers
    assert as_numbers[0]["id"] == "3"


def test_min_of_limit_and_matches_come_back_under_a_filter(api: httpx.Client, collection) -> None:
    path = collection("simila-lite")
    rows = filled(api, path, 300)
    query = unit(np.random.default_rng(1).normal(size=TEXTS))
    for least, limit in ((0, 10), (150, 10), (290, 10), (290, 50), (297, 10), (300, 10)):
        hits = search(api, path, vector=query.tolist(), limit=limit, filter={"n": {"$gte": least}})
        assert ids(hits) == brute_force(rows, query, range(least, 300))[:limit]
        assert all(hit["payload"]["n"] >= least for hit in hits)


def test_weighted_queries_and_examples_agree_with_numpy(api: httpx.Client, collection) -> None:
    path = collection("simila-lite")
    rows = filled(api, path, 100)
    text = vectors(embed(api, "simila-lite", "a cat"))[0]
    queries = [
        {"text": "a cat", "weight": 2.0},
        {"id": "5"},
        {"vector": base64_floats(rows[9]), "weight": -0.5},
    ]
    expected = unit(2 * text + rows[5] - 0.5 * rows[9])
    found = search(api, path, queries=queries, limit=20)
    assert ids(found) == brute_force(rows, expected, set(range(100)) - {5})[:20]
    assert found[0]["score"] == pytest.approx(float((rows @ expected)[int(found[0]["id"])]), abs=FLOAT32_VALUES)
    examples = {"positive": [{"id": "1"}, {"id": "2"}], "negative": [{"text": "a cat"}, {"id": "3"}]}
    expected = unit(0.75 * (rows[1] + rows[2]) / 2 - 0.15 * (text + rows[3]) / 2)
    found = search(api, path, **examples, limit=20)
    assert ids(found) == brute_force(rows, expected, set(range(100)) - {1, 2, 3})[:20]


def test_an_answer_holds_what_was_asked_for(api: httpx.Client, collection) -> None:
    path = collection("simila-lite")
    rows = filled(api, path, 5)
    body = api.post(f"{path}/search", json={"vector": rows[0].tolist(), "limit": 9}).json()
    assert set(body) == {"results", "next"}
    assert set(body["results"][0]) == {"id", "score", "label", "payload"}
    (hit,) = search(api, path, vector=rows[0].tolist(), limit=1, with_payload=False, with_vectors=True)
    assert set(hit) == {"id", "score", "label", "vector"}
    assert np.array_equal(np.array(hit["vector"], np.float32), rows[0])


def test_a_payload_may_hold_integers_of_any_size(api: httpx.Client, collection) -> None:
    path = collection("efficientnet-lite0")
    upsert(api, path, {"id": "x", "vector": axis(0), "payload": {"n": 2**70}})
    assert search(api, path, vector=axis(0))[0]["payload"] == {"n": 2**70}


def test_an_explanation_says_how_it_was_searched(api: httpx.Client, collection) -> None:
    path = collection("simila-lite")
    rows = filled(api, path, 50)
    body = {"vector": rows[0].tolist(), "filter": {"n": {"$lt": 25}}, "exact": True, "explain": True}
    explained = api.post(f"{path}/search", json=body).json()["explain"]
    milliseconds, filtered = explained.pop("milliseconds"), explained.pop("filter")
    assert explained == {
        "kind": "flat",
        "plan": "exact",
        "effort": 0,
        "scored_again": 0,
        "head_rows": 50,
        "recall_at_10": None,
        "searches": 1,
    }
    assert 0 < milliseconds < 60_000
    assert filtered["plan"]
    assert 0.4 < filtered["share"] < 0.6


def test_groups_agree_with_numpy(api: httpx.Client, collection) -> None:
    path = collection("simila-lite")
    rows = filled(api, path, 250, lambda n: {"shop": {"name": "big" if n < 200 else f"s{n % 9}"}} if n % 5 else {})
    query = unit(np.random.default_rng(2).normal(size=TEXTS))
    names = {str(n): "big" if n < 200 else f"s{n % 9}" for n in range(250) if n % 5}
    order = [one for one in brute_force(rows, query) if one in names]
    values = list(dict.fromkeys(names[one] for one in order))
    body = {"vector": query.tolist(), "group_by": "shop.name", "group_size": 4, "limit": 50}
    answer = api.post(f"{path}/search", json=body).json()
    assert answer["next"] is None
    assert [(group["value"], ids(group["results"])) for group in answer["groups"]] == [
        (value, [one for one in order if names[one] == value][:4]) for value in values
    ]


def test_diversity_is_maximal_marginal_relevance(api: httpx.Client, collection) -> None:
    path = collection("simila-lite")
    rows = filled(api, path, 80)
    query = unit(np.random.default_rng(3).normal(size=TEXTS))
    cosines, left = rows @ query, [int(one) for one in brute_force(rows, query)[:30]]
    chosen = [left.pop(0)]
    while len(chosen) < 8:
        worth = [0.4 * cosines[n] - 0.6 * (rows[chosen] @ rows[n]).max() for n in left]
        chosen.append(left.pop(int(np.argmax(worth))))
    hits = search(api, path, vector=query.tolist(), limit=8, diversity={"lambda": 0.4, "candidates": 30})
    assert ids(hits) == [str(n) for n in chosen]


def test_pages_repeat_and_lose_nothing_beside_a_writer(api: httpx.Client, collection) -> None:
    path = collection("simila-lite")
    rows = filled(api, path, 200)
    query = unit(np.random.default_rng(4).normal(size=TEXTS))
    order = brute_force(rows, query)
    done, wrote = threading.Event(), threading.Event()

    def write() -> None:
        """Put copies of the query, nearer than anything else, and take from the end of the ranking."""
        for n in count():
            upsert(api, path, {"id": f"new{n}", "vector": base64_floats(query), "payload": {}})
            if n < 20:
                assert api.delete(f"{path}/items/{order[-1 - n]}").status_code == 204
            wrote.set()
            if done.is_set():
                return

    first = api.post(f"{path}/search", json={"vector": query.tolist(), "limit": 15}).json()
    seen, after = ids(first["results"]), first["next"]
    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert wrote.wait(30)
        while after:
            page = api.post(f"{path}/search", json={"vector": query.tolist(), "limit": 15, "after": after}).json()
            seen += ids(page["results"])
            after = page["next"]
    finally:
        done.set()
        writer.join()
    assert seen[:180] == order[:180]
    assert [one for one in order[180:] if one in seen[180:]] == seen[180:]


def test_pages_of_a_text_agree_with_one_long_page(api: httpx.Client, collection) -> None:
    path = collection("simila-lite")
    filled(api, path, 60)
    query = {"text": "a cat", "filter": {"n": {"$gte": 10}}, "limit": 20}
    first = api.post(f"{path}/search", json=query).json()
    second = api.post(f"{path}/search", json={**query, "after": first["next"]}).json()
    third = api.post(f"{path}/search", json={**query, "after": second["next"]}).json()
    paged = [*first["results"], *second["results"], *third["results"]]
    assert third["next"] is None
    assert ids(paged) == ids(search(api, path, **{**query, "limit": 100}))


def test_a_batch_answers_in_order(api: httpx.Client, collection) -> None:
    path = collection("simila-lite")
    rows = filled(api, path, 60)
    searches = [
        {"vector": base64_floats(rows[1]), "limit": 3},
        {"text": "a cat", "limit": 3},
        {"vector": base64_floats(rows[2]), "limit": 3},
        {"id": "3", "filter": {"n": {"$lt": 30}}, "explain": True},
        {"id": "4", "group_by": "n", "limit": 2},
    ]
    body = api.post(f"{path}/search/batch", json={"searches": searches}).json()
    assert [entry["index"] for entry in body["data"]] == list(range(5))
    for entry, query in zip(body["data"], searches, strict=True):
        alone = api.post(f"{path}/search", json=query).json()
        assert set(entry) == {"index", *alone}
        assert {key: entry[key] for key in ("results", "groups") if key in entry} == {
            key: alone[key] for key in ("results", "groups") if key in alone
        }


def test_a_bad_search_fails_its_batch_unless_partial_answers_will_do(api: httpx.Client, collection) -> None:
    path = collection("simila-lite")
    rows = filled(api, path, 5)
    searches = [
        {"vector": base64_floats(rows[1]), "limit": 1},
        {"id": "gone"},
        {"image": "!"},
        {"text": "a", "filter": {"n": {"$gt": None}}},
        {"text": "a", "limit": 1001},
    ]
    response = api.post(f"{path}/search/batch", json={"searches": searches})
    assert (response.status_code, error(response)["param"]) == (404, "searches[1].id")
    body = api.post(f"{path}/search/batch", json={"searches": searches, "on_error": "partial"}).json()
    good, *bad = body["data"]
    assert ids(good["results"]) == ["1"]
    assert [(entry["error"]["code"], entry["error"]["param"]) for entry in bad] == [
        ("item_not_found", "searches[1].id"),
        ("invalid_image", "searches[2].image"),
        ("invalid_input", "searches[3].filter.n.$gt"),
        ("limit_exceeded", "searches[4].limit"),
    ]


@pytest.mark.parametrize(
    ("bad", "param"),
    [
        ({}, None),
        (7, None),
        ({"text": ""}, ".text"),
        ({"text": 5}, ".text"),
        ({"text": "a", "k": 1}, ".k"),
        ({"vector": [math.nan] * DIMENSION}, ".query"),
        ({"vector": ["x"]}, ".vector[0]"),
    ],
    ids=range(7),
)
def test_a_search_that_is_malformed_fails_alone_and_in_the_same_words(
    api: httpx.Client, collection, bad: Any, param: str | None
) -> None:
    path = collection("simila-lite")
    rows = filled(api, path, 3)
    searches = [{"vector": base64_floats(rows[1]), "limit": 1}, bad]

    def send(**options: str) -> httpx.Response:
        content = json.dumps({"searches": searches, **options})
        return api.post(f"{path}/search/batch", content=content, headers={"content-type": "application/json"})

    alone = error(send())
    good, failed = send(on_error="partial").json()["data"]
    assert (ids(good["results"]), failed) == (["1"], {"index": 1, "error": alone})
    assert alone["param"] == f"searches[1]{param or ''}"


@pytest.mark.parametrize(
    ("query", "status", "param", "words"),
    [
        ({}, 400, None, "exactly one of text, image, vector, id, queries, positive; got none"),
        ({"text": "a", "id": "b"}, 400, None, "got text, id"),
        ({"vector": [1.0]}, 400, "query", "has 1 dimensions"),
        ({"vector": axis(0), "limit": 0}, 400, "limit", "greater than or equal to 1"),
        ({"vector": axis(0), "limit": 1001}, 413, "limit", "SIMILA_LIMITS__MAX_SEARCH_RESULTS"),
        ({"vector": axis(0), "score_threshold": "high"}, 400, "score_threshold", "valid number"),
        ({"text": "a dress"}, 422, "query", "embeds images, not texts"),
        ({"image": b64(b"nonsense")}, 400, "query", "not an image"),
        ({"queries": []}, 400, "queries", "must not be empty"),
        ({"queries": [{"weight": 2.0}]}, 400, "queries[0]", "exactly one of text, image, vector, id; got none"),
        ({"queries": [{"id": "x", "wieght": 2.0}]}, 400, "queries[0].wieght", "is no field of this request"),
        ({"queries": [{"vector": axis(0)}, {"id": "nope"}]}, 404, "queries[1].id", "has no item 'nope'"),
        ({"queries": [{"vector": [1.0]}]}, 400, "queries[0]", "has 1 dimensions"),
        ({"queries": [{"vector": axis(0)}, {"vector": axis(0), "weight": -1}]}, 400, None, "cancel each other out"),
        ({"queries": [{"vector": axis(0)}] * 65}, 413, "queries", "SIMILA_LIMITS__MAX_INPUTS"),
        ({"negative": [{"vector": axis(0)}]}, 400, None, "exactly one of text, image, vector, id, queries, positive"),
        ({"vector": axis(0), "negative": [{"vector": axis(1)}]}, 400, None, "negative examples need positive ones"),
        ({"positive": [{"image": "!"}]}, 400, "positive[0].image", "malformed base64"),
        ({"vector": "AAAA"}, 400, "vector", "not the base64 of little-endian float32"),
        ({"vector": "é"}, 400, "vector", "not the base64 of little-endian float32"),
        ({"vector": "AACAPw=="}, 400, "query", "has 1 dimensions"),
        ({"vector": base64_floats(np.full(DIMENSION, np.nan))}, 400, "query", "position 0 is not a finite float32"),
        ({"vector": 3}, 400, "vector", "valid list"),
        ({"vector": axis(0), "filter": []}, 400, "filter", "valid dictionary"),
        ({"vector": axis(0), "filter": "n > 3"}, 400, "filter", "valid dictionary"),
        (
            {"vector": axis(0), "filter": {"$and": [{}, {"price": {"$gte": None}}]}},
            400,
            "filter.$and[1].price.$gte",
            "null",
        ),
        ({"vector": axis(0), "filter": {"price": {"$gr": 1}}}, 400, "filter.price.$gr", "did you mean"),
        ({"vector": axis(0), "limits": 3}, 400, "limits", "is no field of this request"),
        ({"vector": axis(0), "exact": "yes"}, 400, "exact", "valid boolean"),
        ({"vector": axis(0), "after": "zzz"}, 400, "after", "is not the `next` of an answer"),
        ({"vector": axis(0), "group_size": 2}, 400, None, "group_size is for group_by"),
        ({"vector": axis(0), "group_by": "$id"}, 400, "group_by", "no key of a payload"),
        (
            {"vector": axis(0), "group_by": "n", "group_size": 101},
            413,
            "group_size",
            "SIMILA_LIMITS__MAX_SEARCH_RESULTS",
        ),
        ({"vector": axis(0), "group_by": "n", "diversity": {}}, 400, None, "do not go together"),
        ({"vector": axis(0), "diversity": {"lambda": 1.5}}, 400, "diversity.lambda", "less than or equal to 1"),
        ({"vector": axis(0), "diversity": {"candidates": 9}}, 400, None, "candidates are fewer than limit"),
        ({"vector": axis(0), "diversity": {"candidates": 1001}}, 413, "diversity.candidates", "MAX_SEARCH_RESULTS"),
    ],
)
def test_bad_searches(api: httpx.Client, collection, query: dict, status: int, param: str | None, words: str) -> None:
    response = api.post(f"{collection('efficientnet-lite0')}/search", json=query)
    assert (response.status_code, error(response)["param"]) == (status, param)
    assert words in error(response)["message"]
