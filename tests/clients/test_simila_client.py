"""Our own client on a running server: what comes back equals what the server says to anybody."""

import asyncio
import base64
import io
import time

import httpx
import numpy as np
import pytest
from PIL import Image

from api.wire import embed, vectors
from clients.conftest import JOINT_ENCODER, TEXT_ENCODER, Addresses
from simila_client import AsyncSimila, BadRequest, Embeddings, InputError, Item, Simila, StoredId
from tolerances import FLOAT32_VALUES

# Twice as many as this server takes in one request.
TEXTS = [f"text number {n}" for n in range(130)]


def expected_of(direct: httpx.Client) -> np.ndarray:
    return np.concatenate([vectors(embed(direct, TEXT_ENCODER, TEXTS[at : at + 50])) for at in range(0, 130, 50)])


def test_more_texts_than_one_request_takes(addresses: Addresses, direct: httpx.Client) -> None:
    with Simila(addresses.url) as client:
        found = client.embed(TEXTS, model=TEXT_ENCODER)
    np.testing.assert_allclose(found.vectors, expected_of(direct), atol=FLOAT32_VALUES)


def test_more_texts_than_one_request_takes_awaited(addresses: Addresses, direct: httpx.Client) -> None:
    async def ask() -> Embeddings:
        async with AsyncSimila(addresses.url) as client:
            return await client.embed(TEXTS, model=TEXT_ENCODER, batch_items=40)

    np.testing.assert_allclose(asyncio.run(ask()).vectors, expected_of(direct), atol=FLOAT32_VALUES)


def test_a_stream_of_texts(addresses: Addresses, direct: httpx.Client) -> None:
    with Simila(addresses.url) as client:
        parts = list(client.embed_stream(iter(TEXTS), model=TEXT_ENCODER, batch_items=32))
    assert [len(part.vectors) for part in parts] == [32, 32, 32, 32, 2]
    found = np.concatenate([part.vectors for part in parts])
    np.testing.assert_allclose(found, expected_of(direct), atol=FLOAT32_VALUES)


@pytest.mark.parametrize("embedding_type", ["float", "int8", "ubinary"])
def test_an_image_that_is_none_fails_alone(addresses: Addresses, photo, tmp_path, embedding_type: str) -> None:
    (tmp_path / "coffee.png").write_bytes(photo("coffee.png"))
    inputs = ["a cup of coffee", b"no image", tmp_path / "coffee.png"]
    with Simila(addresses.url) as client:
        found = client.embed(inputs, model=JOINT_ENCODER, on_error="partial", embedding_type=embedding_type)
    assert {at: error.code for at, error in found.errors.items()} == {1: "invalid_image"}
    assert found.errors[1].message.startswith("input[1]: ")
    assert np.isnan(found.vectors).any(axis=1).tolist() == [False, True, False]
    assert found.vectors[0] @ found.vectors[2] > 0.2


def test_an_error_names_an_image_by_its_place_among_all_inputs(addresses: Addresses, photo) -> None:
    inputs = ["a cup of coffee", photo("coffee.png"), "a cup of tea", b"no image"]
    with Simila(addresses.url) as client, pytest.raises(BadRequest, match=r"^input\[3\]: ") as caught:
        client.embed(inputs, model=JOINT_ENCODER)
    assert caught.value.param == "input[3]"


def test_a_form_has_the_vectors_of_json(addresses: Addresses, direct: httpx.Client, photo) -> None:
    image = base64.b64encode(photo("coffee.png")).decode()
    expected = vectors(embed(direct, JOINT_ENCODER, [{"text": "a\r\ncup"}, {"image": image}, {"text": "-"}]))
    with Simila(addresses.url) as client:
        found = client.embed(["a\r\ncup", photo("coffee.png"), "-"], model=JOINT_ENCODER)
        halves = client.embed(["a\r\ncup", photo("coffee.png")], model=JOINT_ENCODER, dimensions=192, truncate=True)
    np.testing.assert_allclose(found.vectors, expected, atol=FLOAT32_VALUES)
    assert halves.vectors.shape == (2, 192)


def test_items_are_stored_found_and_deleted_awaited(addresses: Addresses) -> None:
    async def ask() -> tuple[list[str], list[str], int]:
        async with AsyncSimila(addresses.url) as client:
            await client.create_collection("awaited", TEXT_ENCODER)
            await client.upsert("awaited", [Item("1", "a red dress"), Item("2", "a blue sky")])
            hits = await client.search("awaited", "the sky above", limit=1)
            stored = [item.id async for item in client.all_items("awaited")]
            deleted = await client.delete_items("awaited", ids=["1"])
            await client.delete_collection("awaited")
            return [hit.id for hit in hits], stored, deleted

    assert asyncio.run(ask()) == (["2"], ["1", "2"], 1)


def test_items_are_relabelled_scrolled_seen_and_mapped(addresses: Addresses, photo) -> None:
    with Simila(addresses.url) as client:
        client.create_collection("seen", JOINT_ENCODER, store_inputs=True)
        names = ("coffee.png", "rocket.jpg", "camera.png")
        client.upsert("seen", [Item(name, photo(name), payload={"bytes": len(photo(name))}) for name in names])
        assert client.relabel("seen", "rocket.jpg", "machine").count == 1
        done = client.relabel_many("seen", ["camera.png", "nobody"], "machine")
        assert (done.count, done.missing) == (1, ("nobody",))
        machines = list(client.scroll("seen", filter={"$label": "machine"}, with_vectors=True, page_items=1))
        queries = [machines[0].vector, "a cup of coffee", StoredId("missing")]
        by_vector = client.search_many("seen", queries, limit=1, on_error="partial")
        thumbnail = client.thumbnail("seen", "coffee.png", edge_pixels=64)
        client.make_map("seen")
        while (state := client.map_state("seen")).state == "running":
            time.sleep(0.01)
        points = client.map_points("seen", values_of="bytes")
        client.delete_collection("seen")
    assert [item.id for item in machines] == ["rocket.jpg", "camera.png"]
    assert [[hit.id for hit in found] for found in by_vector[:2]] == [["rocket.jpg"], ["coffee.png"]]
    assert by_vector[2] == InputError("collection seen has no item 'missing'", "item_not_found")
    assert max(Image.open(io.BytesIO(thumbnail)).size) == 64
    assert (state.state, points.places.shape, sorted(points.ids)) == ("done", (3, 2), sorted(names))
    assert dict(zip(points.ids, points.values, strict=True)) == {name: len(photo(name)) for name in names}


def test_documents_are_ranked(addresses: Addresses, photo) -> None:
    with Simila(addresses.url) as client:
        found = client.rerank("a cup of coffee", ["a rocket", photo("coffee.png"), "tea"], model=JOINT_ENCODER, top_n=2)
        vectors_ = client.embed(
            ["a cup of coffee", "a rocket", photo("coffee.png"), "tea"], model=JOINT_ENCODER
        ).vectors
        assert client.model(JOINT_ENCODER).dimension == 384
    cosines = vectors_[1:] @ vectors_[0]
    assert [one.index for one in found] == np.argsort(-cosines)[:2].tolist()
    assert found[0].score == pytest.approx(cosines.max(), abs=FLOAT32_VALUES)
