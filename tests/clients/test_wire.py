"""Requests as they leave and answers as they are read, against the documented JSON."""

import base64
import json
import re

import httpx
import numpy as np
import pytest

from embedding_bodies import embedding_body
from simila_client import (
    Certificate,
    Collection,
    Group,
    Hit,
    HitPage,
    Item,
    Model,
    StoredId,
    StoredItem,
    UnexpectedAnswer,
    classifier_wire,
    errors,
    item_wire,
    wire,
)
from simila_client.request import parse_response

COLLECTION = {
    "name": "cats",
    "encoder": "simila-lite",
    "fingerprint": "ab12",
    "dimension": 384,
    "created_at": "2025-01-02T03:04:05Z",
    "state": "ready",
    "error": None,
    "items": 3,
    "labels": {"cat": 3},
    "disk_bytes": 4096,
    "payload_indexes": ("price",),
    "index": {"kind": "flat", "head_rows": 3},
}


def read(request, body, status=200, headers=None):
    return parse_response(request, status, headers or {}, json.dumps(body).encode())


def base64_floats(*values):
    return base64.b64encode(np.array(values, dtype="<f4").tobytes()).decode()


def test_embedding_request_carries_texts():
    request = wire.embed(["a cat", "a dog"], model="simila-lite", dimensions=64, truncate=False)

    assert (request.method, request.path) == ("POST", "/v1/embeddings")
    assert request.json == {
        "model": "simila-lite",
        "input": [{"text": "a cat"}, {"text": "a dog"}],
        "encoding_format": "base64",
        "dimensions": 64,
        "truncate": False,
    }


def test_images_go_as_octets_in_a_form_with_the_texts_in_order():
    request = wire.embed(["a\r\ncat", b"\x89PNG\r\n\x00"], model="simila-lite", dimensions=64, truncate=False)

    assert request.json is None
    assert request.all_headers()["accept"] == "application/msgpack"
    sent = httpx.Request(request.method, "http://server", content=request.body(), headers=request.all_headers())
    assert embedding_body(sent) == {
        "model": "simila-lite",
        "input": [{"text": "a\r\ncat"}, {"image": "iVBORw0KAA=="}],
        "encoding_format": "base64",
        "dimensions": "64",
        "truncate": "false",
    }
    assert b"\x89PNG\r\n\x00\r\n" in request.body()


def test_a_text_that_no_form_carries_is_refused():
    with pytest.raises(errors.InvalidArgument, match="cannot be written in UTF-8"):
        wire.embed(["\ud800", b"image"], model="m")


def test_options_that_were_not_given_are_not_sent():
    assert set(wire.embed(["a"], model="m").json) == {"model", "input", "encoding_format"}
    assert set(classifier_wire.classify(["a"], model="m", labels=["x"]).json) == {"model", "input", "labels"}
    assert wire.search("cats", "a").json == {"text": "a"}


def test_embeddings_come_back_in_the_order_of_the_inputs():
    answer = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 1, "embedding": base64_floats(0, 1), "truncated": True},
            {"object": "embedding", "index": 0, "embedding": base64_floats(0.6, 0.8)},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 5, "total_tokens": 7},
    }

    embeddings = read(wire.embed(["a", "b"], model="m"), answer)

    assert embeddings.vectors.dtype == np.float32
    assert np.array_equal(embeddings.vectors, np.array([[0.6, 0.8], [0, 1]], dtype=np.float32))
    assert embeddings.truncated == (False, True)
    assert (embeddings.model, embeddings.prompt_tokens, embeddings.total_tokens) == ("m", 5, 7)


def test_collections_are_created_and_read():
    request = wire.create_collection("cats", "simila-lite")

    assert (request.method, request.path, request.json) == ("PUT", "/v1/collections/cats", {"encoder": "simila-lite"})
    assert read(request, COLLECTION, status=201) == Collection(**COLLECTION)
    assert read(wire.collections(), {"object": "list", "data": [COLLECTION]}) == (Collection(**COLLECTION),)


def test_upsert_sends_only_what_an_item_has():
    request = item_wire.upsert("cats", [Item("a", "words"), Item("b", [1.0, 0.0], label="cat", payload={"n": 1})])

    assert (request.method, request.path) == ("POST", "/v1/collections/cats/items")
    assert request.json == {
        "items": [
            {"id": "a", "text": "words"},
            {"id": "b", "vector": [1.0, 0.0], "label": "cat", "payload": {"n": 1}},
        ]
    }
    assert read(request, {"upserted": 2, "sequence": 9}) == item_wire.Upserted(count=2, sequence=9)


@pytest.mark.parametrize(
    ("item_id", "path"),
    [
        ("Food/a b.jpg", "Food/a%20b.jpg"),
        ("100%?#é", "100%25%3F%23%C3%A9"),
        ("a:b@c", "a%3Ab%40c"),
        ("../x", "%2E%2E/x"),
        (".", "%2E"),
        ("a..b", "a..b"),
    ],
)
def test_item_ids_are_percent_encoded_but_for_slashes(item_id, path):
    assert item_wire.item("cats", item_id).path == f"/v1/collections/cats/items/{path}"
    assert item_wire.delete_item("cats", item_id).path == f"/v1/collections/cats/items/{path}"


@pytest.mark.parametrize("name", ["a/items/b", "..", ".", ""])
def test_a_collection_name_never_becomes_a_path(name):
    with pytest.raises(ValueError, match=f"^{re.escape(repr(name))} is no name of a collection"):
        wire.delete_collection(name)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: wire.embed("hello", model="m"), "inputs"),
        (lambda: wire.embed(b"\x89PNG", model="m"), "inputs"),
        (lambda: classifier_wire.classify("hello", model="m", labels=["x"]), "inputs"),
        (lambda: classifier_wire.classify(["a"], model="m", labels="ab"), "labels"),
        (lambda: classifier_wire.classify(["a"], model="m", labels=["x"], templates="a {}"), "templates"),
        (lambda: classifier_wire.classify_by_example("cats", "hello"), "inputs"),
        (lambda: item_wire.upsert("cats", "hello"), "items"),
        (lambda: item_wire.delete_items("cats", ids="hello"), "ids"),
    ],
)
def test_a_single_text_is_no_list_of_letters(call, argument):
    with pytest.raises(TypeError, match=f"^{argument} must be a list, and this is a single (str|bytes)"):
        call()


def test_the_body_is_json_in_utf8():
    request = item_wire.upsert("cats", [Item("é", "a", payload={"n": 2**64})])

    assert request.body() == '{"items":[{"id":"é","text":"a","payload":{"n":18446744073709551616}}]}'.encode()
    assert wire.models().body() is None


def test_item_pages():
    row = {"id": "a", "label": None, "payload": {"n": 1}, "sequence": 7}
    request = item_wire.items("cats", after=5, limit=2)

    page = read(request, {"object": "list", "data": [row], "next": 7})

    assert request.path == "/v1/collections/cats/items?after=5&limit=2"
    assert item_wire.items("cats").path == "/v1/collections/cats/items"
    assert page == item_wire.ItemPage(items=(StoredItem("a", None, {"n": 1}, 7),), next=7)


def test_search_by_vector_and_by_stored_item():
    by_vector = wire.search("cats", (0.0, 1.0), limit=3, score_threshold=0.0)
    by_item = wire.search("cats", StoredId("a/b"), limit=3)

    assert by_vector.json == {"vector": [0.0, 1.0], "limit": 3, "score_threshold": 0.0}
    assert by_item.json == {"id": "a/b", "limit": 3}
    answer = {"results": [{"id": "a", "score": 0.9, "label": "cat", "payload": None}]}
    assert read(by_vector, answer) == (Hit("a", 0.9, "cat", None),)


def test_search_carries_a_filter_and_reads_pages_and_groups():
    hit = {"id": "a", "score": 0.9, "label": "cat", "payload": None}
    page = wire.search_page("cats", "a", filter={"n": {"$lt": 3}}, exact=True, after="xyz")
    groups = wire.search_groups("cats", "a", group_by="shop", group_size=2)

    assert page.json == {"text": "a", "filter": {"n": {"$lt": 3}}, "exact": True, "after": "xyz"}
    assert read(page, {"results": [hit], "next": "abc"}) == HitPage((Hit("a", 0.9, "cat", None),), "abc")
    assert groups.json == {"text": "a", "group_by": "shop", "group_size": 2}
    answer = {"groups": [{"value": 7, "results": [hit]}], "next": None}
    assert read(groups, answer) == (Group(7, (Hit("a", 0.9, "cat", None),)),)


def test_items_are_counted_and_deleted_by_filter():
    counted = item_wire.count("cats", {"a": 1})
    deleted = item_wire.delete_items("cats", ids=["a", "b"])

    assert (counted.method, counted.path, counted.json) == ("POST", "/v1/collections/cats/count", {"filter": {"a": 1}})
    assert read(counted, {"count": 4}) == 4
    assert (deleted.path, deleted.json) == ("/v1/collections/cats/items/delete", {"ids": ["a", "b"]})
    assert read(deleted, {"deleted": 2}) == 2
    assert item_wire.delete_items("cats", filter={}).json == {"filter": {}}
    assert item_wire.delete_items("cats", everything=True).json == {"all": True}


def test_a_payload_key_is_a_path_with_its_slashes():
    declared, dropped = wire.create_payload_index("cats", "a.b/c d"), wire.delete_payload_index("cats", "..")

    assert (declared.method, declared.path) == ("PUT", "/v1/collections/cats/indexes/a.b/c%20d")
    assert (dropped.method, dropped.path) == ("DELETE", "/v1/collections/cats/indexes/%2E%2E")
    with pytest.raises(ValueError, match="'' is not a payload key"):
        wire.create_payload_index("cats", "")


def test_models_with_and_without_certificates():
    ready = {
        "id": "m",
        "object": "model",
        "created": 0,
        "owned_by": "simila",
        "description": "Photographs",
        "licence": "Apache-2.0",
        "state": "ready",
        "error": None,
        "modalities": ["image", "text"],
        "dimension": 384,
        "context_length_tokens": 256,
        "image_size_pixels": 224,
        "fingerprint": "ab",
        "zero_shot": None,
        "certificates": {"image": {"floor": 0.9999, "lowest_cosine": 0.99999, "inputs": 12}},
    }
    failed = ready | {"id": "n", "state": "failed", "certificates": {}, "error": "not exported"}

    first, second = read(wire.models(), {"object": "list", "data": [ready, failed]})

    certificates = {"image": Certificate(0.9999, 0.99999, 12)}
    assert first == Model("m", "Photographs", "Apache-2.0", "ready", None, ("image", "text"), 384, "ab", certificates)
    assert (second.certificates, second.error) == ({}, "not exported")


def test_models_are_changed_by_name_with_an_empty_body():
    load, unload, alias = wire.load_model("a b"), wire.unload_model("m"), wire.set_alias("prod", "m")
    assert [(one.method, one.path) for one in (load, unload, alias)] == [
        ("POST", "/v1/models/a%20b/load"),
        ("POST", "/v1/models/m/unload"),
        ("PUT", "/v1/aliases/prod"),
    ]
    assert [one.body() for one in (load, unload, alias)] == [b"{}", b"{}", b'{"model":"m"}']
    assert (wire.delete_alias("..").method, wire.delete_alias("..").path) == ("DELETE", "/v1/aliases/%2E%2E")
    assert read(wire.aliases(), {"object": "list", "data": [{"alias": "prod", "model": "m"}]}) == {"prod": "m"}


def test_a_collection_that_cannot_be_read_says_why():
    nothing = dict.fromkeys(("encoder", "fingerprint", "dimension", "created_at", "items", "labels"))
    body = {"name": "cats", "state": "unavailable", "error": "the file is torn"} | nothing

    found = read(wire.collection("cats"), body)

    assert (found.state, found.error, found.items, found.labels) == ("unavailable", "the file is torn", None, None)


def test_no_content_is_none():
    assert parse_response(item_wire.delete_item("cats", "a"), 204, {}, b"") is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequest),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (413, errors.TooLarge),
        (418, errors.ApiError),
        (422, errors.CannotServe),
        (429, errors.Overloaded),
        (500, errors.ApiError),
        (503, errors.NotReady),
    ],
)
def test_an_error_keeps_all_that_the_server_said(status, kind):
    body = {"error": {"message": "no", "type": "t", "param": "items[2].image", "code": "invalid_image"}}

    with pytest.raises(errors.ApiError) as caught:
        read(wire.models(), body, status=status, headers={"retry-after": "3"})

    error = caught.value
    assert type(error) is kind
    assert (error.message, str(error)) == ("no", "no")
    assert (error.status, error.code, error.param) == (status, "invalid_image", "items[2].image")
    assert error.retry_after_seconds == 3.0


def test_a_retry_after_that_is_a_date_is_left_out():
    headers = {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}

    with pytest.raises(errors.Overloaded) as caught:
        read(wire.models(), {"error": {"message": "busy"}}, status=429, headers=headers)

    assert caught.value.retry_after_seconds is None


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"object": "list"}', b'{"data": [{}]}', b'{"data": 3}'])
def test_another_service_at_the_address_is_named_as_such(body):
    with pytest.raises(UnexpectedAnswer, match="GET /v1/models is not in Simila's format"):
        parse_response(wire.models(), 200, {}, body)


@pytest.mark.parametrize("body", [b"<html>", b'{"detail": "Not Found"}', b'{"error": "no"}', b'{"error": {}}'])
def test_another_services_error_is_named_as_such(body):
    with pytest.raises(UnexpectedAnswer, match="GET /v1/models was answered with status 404"):
        parse_response(wire.models(), 404, {}, body)
