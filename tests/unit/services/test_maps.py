"""A map is made once, kept beside the items, and kept up with them."""

import asyncio

import numpy as np
import pytest

from memory_vectors import clustered_vectors
from simila.domain.errors import NotFound
from simila.domain.vectors import unit_rows
from simila.index.catalogue import Catalogue
from simila.services.collections import CollectionOptions
from simila.services.maps import MapService
from simila.storage.item_writes import Delete, UpsertArrays
from simila.storage.map_file import MAP_FILE
from simila.storage.relabelling import Relabel
from unit.services.word_encoders import DIMENSION

ITEMS = 300
VECTORS = clustered_vectors(0, ITEMS + 50, DIMENSION)
NAMES = [f"item{number}" for number in range(ITEMS + 50)]
COSINE_ROUNDING = 1e-5


@pytest.fixture
def maps(catalogue):
    return MapService(catalogue)


@pytest.fixture
def pets(collections, catalogue):
    asyncio.run(collections.create("pets", "words", CollectionOptions()))
    pets = catalogue.get("pets")
    put(pets, range(ITEMS))
    return pets


def put(collection, numbers):
    labels = [f"class{number % 3}" for number in numbers]
    payloads = [f'{{"n": {number}}}' for number in numbers]
    write(collection, UpsertArrays([NAMES[n] for n in numbers], VECTORS[list(numbers)], labels, payloads))


def write(collection, operation):
    return collection.write(operation).result(timeout=30)


def made(maps, name="pets"):
    async def run():
        await maps.start(name)
        await maps.settled()
        return await maps.state(name)

    return asyncio.run(run())


def points_of(maps, key=None):
    return asyncio.run(maps.points("pets", key=key))


def by_id(points, column):
    return dict(zip(points.ids, column, strict=True))


def expected_nearest(vectors):
    cosines = unit_rows(vectors) @ unit_rows(vectors).T
    np.fill_diagonal(cosines, -1)
    return cosines.max(axis=1)


@pytest.mark.usefixtures("pets")
def test_every_item_has_a_place_a_cluster_and_its_nearest_other(maps):
    state = made(maps)
    assert (state.state, state.rows_done, state.rows_total) == ("done", 3 * ITEMS, 3 * ITEMS)
    points = points_of(maps, key="n")
    assert points.ids == NAMES[:ITEMS]
    assert points.values == list(range(ITEMS))
    assert points.labels[:4] == ["class0", "class1", "class2", "class0"]
    np.testing.assert_allclose(points.nearest, expected_nearest(VECTORS[:ITEMS]), atol=COSINE_ROUNDING)
    sizes = np.bincount(points.clusters)
    assert sizes.tolist() == sorted(sizes, reverse=True)
    assert len(sizes) == 8


def test_new_items_are_placed_and_the_others_stay(maps, pets):
    made(maps)
    before = points_of(maps)
    put(pets, range(ITEMS, ITEMS + 50))
    after = points_of(maps)
    assert after.ids == NAMES
    np.testing.assert_array_equal(after.places[:ITEMS], before.places)
    assert np.ptp(after.places[ITEMS:], axis=0).min() > 0
    np.testing.assert_allclose(after.nearest[ITEMS:], expected_nearest(VECTORS)[ITEMS:], atol=COSINE_ROUNDING)


def test_a_new_near_duplicate_marks_the_old_one_too(maps, pets):
    made(maps)
    write(pets, UpsertArrays(["twin"], VECTORS[[7]]))
    assert by_id(points_of(maps), points_of(maps).nearest)["item7"] == pytest.approx(1)
    write(pets, Delete(["twin"]))
    left = points_of(maps)
    assert "twin" not in left.ids
    np.testing.assert_allclose(left.nearest, expected_nearest(VECTORS[:ITEMS]), atol=COSINE_ROUNDING)


def test_a_relabelled_item_stays_where_it_is(maps, pets):
    made(maps)
    before = points_of(maps)
    write(pets, Relabel(["item7"], "another"))
    after = points_of(maps)
    assert by_id(after, after.labels)["item7"] == "another"
    np.testing.assert_allclose(by_id(after, after.places)["item7"], before.places[7], atol=COSINE_ROUNDING)
    assert by_id(after, after.clusters)["item7"] == before.clusters[7]
    assert by_id(after, after.nearest)["item7"] == pytest.approx(before.nearest[7], abs=COSINE_ROUNDING)


def test_a_restarted_server_has_it_at_once(maps, pets, catalogue, tmp_path):
    made(maps)
    before = points_of(maps)
    put(pets, range(ITEMS, ITEMS + 1))
    catalogue.close()
    again = Catalogue(tmp_path / "collections")
    try:
        after = asyncio.run(MapService(again).points("pets"))
    finally:
        again.close()
    assert after.ids == NAMES[: ITEMS + 1]
    np.testing.assert_array_equal(after.places[:ITEMS], before.places)


def test_a_map_of_another_state_of_the_disk_is_none(maps, pets):
    made(maps)
    (pets.folder / MAP_FILE).write_bytes(b"damaged")
    with pytest.raises(NotFound, match="has no map"):
        asyncio.run(MapService(maps._catalogue).points("pets"))


def test_a_map_under_way_ends_when_its_items_are_forgotten(maps, pets, monkeypatch):
    async def started_and_dropped():
        state = await maps.start("pets")
        await maps.drop(pets)
        await maps.settled()
        return state

    held = pets.reader.scan
    monkeypatch.setattr(pets.reader, "scan", lambda *args: (maps._maps["pets"].drop(), held(*args))[1])
    state = asyncio.run(started_and_dropped())
    assert state.state == "failed"
    assert not (pets.folder / MAP_FILE).exists()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_smallest_collections(maps, collections, catalogue, count):
    asyncio.run(collections.create("pets", "words", CollectionOptions()))
    if count:
        put(catalogue.get("pets"), range(count))
    assert made(maps).state == "done"
    points = points_of(maps)
    assert points.ids == NAMES[:count]
    expected = expected_nearest(VECTORS[:2]) if count == 2 else np.full(count, -1)
    np.testing.assert_allclose(points.nearest, expected, atol=COSINE_ROUNDING)
