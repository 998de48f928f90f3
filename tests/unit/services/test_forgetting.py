"""What is forgotten is in no file, no mean and no backup made after."""

import asyncio
import json
import threading

import numpy as np
import pytest

from memory_vectors import clustered_vectors
from simila.domain.errors import InvalidInput, LimitExceeded, NotReady
from simila.domain.inputs import TextInput
from simila.engine.vector_cache import CachedVector, VectorCache
from simila.services.classifiers import ClassifierService
from simila.services.collections import CollectionOptions
from simila.services.example_models import ExampleModels
from simila.services.forgetting import ForgettingService, ToForget
from simila.services.item_checks import NewItem
from simila.services.maps import MapService
from simila.services.training_jobs import TrainingJobs
from simila.storage.classifier_files import ClassifierFiles
from simila.storage.item_rows import Source
from simila.storage.item_writes import Delete, UpsertArrays
from simila.storage.map_file import load_map
from small_collections import lower_flat_values, nearest
from unit.services.word_encoders import DIMENSION, direction

ITEMS = 600
CLASSES = ("bird", "cat", "dog")


@pytest.fixture
def maps(catalogue):
    return MapService(catalogue)


@pytest.fixture
def service(pool, catalogue, collections, maps, tmp_path):
    asyncio.run(collections.create("pets", "words", CollectionOptions(store_inputs=True)))
    classifiers = ClassifierService(pool, ClassifierFiles(tmp_path / "classifiers"), most_predictions=100)
    return ForgettingService(pool, catalogue, ExampleModels(), TrainingJobs(classifiers), maps, most_ids=500)


@pytest.fixture
def pets(service, catalogue):  # noqa: ARG001 - it makes the collection
    """A collection whose pages were split and merged, so that copies of moved rows lie about."""
    collection = catalogue.get("pets")
    vectors = clustered_vectors(0, ITEMS, DIMENSION)
    numbers = np.random.default_rng(0).permutation(ITEMS)
    for part in np.array_split(numbers, 6):
        names = [f"unmistakable-id-{number:04}" for number in part]
        payloads = [json.dumps({"secret": f"payload-of-{number:04}"}) for number in part]
        sources = [Source("text", b"source-of-%04d " % number * 20) for number in part]
        labels = [CLASSES[number % 3] for number in part]
        collection.write(UpsertArrays(names, vectors[part], labels, payloads, sources)).result()
    collection.write(Delete([f"unmistakable-id-{number:04}" for number in range(0, ITEMS, 5)])).result()
    return collection


def traces(number, vector):
    return [
        b"unmistakable-id-%04d" % number,
        b"payload-of-%04d" % number,
        b"source-of-%04d" % number,
        vector.astype("<f4").tobytes(),
    ]


def files_with(folder, trace):
    return [path.name for path in sorted(folder.rglob("*")) if path.is_file() and trace in path.read_bytes()]


def forget(service, **what):
    return asyncio.run(service.forget("pets", ToForget(**what)))


def numbers_of(receipt):
    return [int(item_id[-4:]) for item_id in receipt.ids]


@pytest.mark.parametrize(
    "what",
    [
        {"ids": [f"unmistakable-id-{number:04}" for number in range(1, 200, 7)]},
        {"label": "cat"},
        {"filter": {"secret": {"$gte": "payload-of-0400"}}},
    ],
    ids=["ids", "class", "filter"],
)
def test_no_file_and_no_backup_holds_a_byte_of_what_is_forgotten(service, pets, tmp_path, what):
    vectors = clustered_vectors(0, ITEMS, DIMENSION)
    receipt = forget(service, **what)
    gone = numbers_of(receipt)
    assert receipt.items == len(gone) > 20
    assert receipt.verified
    pets.backup_to(tmp_path / "after.backup")
    for number in gone:
        for trace in traces(number, vectors[number]):
            assert files_with(pets.folder, trace) == []
            assert trace not in (tmp_path / "after.backup").read_bytes()
    kept = next(n for n in range(1, ITEMS) if n % 5 and n not in gone)
    assert files_with(pets.folder, traces(kept, vectors[kept])[0]) == ["items.sqlite"]
    assert pets.reader.get(f"unmistakable-id-{kept:04}").item.vector.tobytes() == vectors[kept].tobytes()


def test_a_receipt_counts_the_classes_and_what_is_left_of_them(service, pets):
    before = pets.reader.label_counts()
    receipt = forget(service, ids=["unmistakable-id-0001", "unmistakable-id-0004", "unmistakable-id-0002", "none"])
    assert receipt.classes == {"cat": 2, "dog": 1}
    assert receipt.remaining == {"cat": before["cat"] - 2, "dog": before["dog"] - 1}
    whole = forget(service, label="cat")
    assert (whole.classes, whole.remaining) == ({"cat": before["cat"] - 2}, {"cat": 0})
    assert set(pets.reader.class_sums()) == {"bird", "dog"}
    assert forget(service, label="cat").items == 0


def test_the_saved_index_is_made_again_without_what_is_forgotten(service, catalogue, monkeypatch):
    lower_flat_values(monkeypatch, 100 * DIMENSION)
    collection = catalogue.get("pets")
    vectors = clustered_vectors(0, ITEMS, DIMENSION)
    collection.write(UpsertArrays([f"id{number}" for number in range(ITEMS)], vectors)).result()
    catalogue._background.submit(lambda: None).result()  # the build was handed in before
    saved = {path.name for path in collection.folder.glob("body-*")}
    assert saved
    forget(service, ids=["id7", "id100"])
    assert not saved & {path.name for path in collection.folder.glob("body-*")}
    catalogue._background.submit(lambda: None).result()
    again = {path.name for path in collection.folder.glob("body-*")}
    assert again
    sequences = next(collection.folder.glob("body-*.sequences")).read_bytes()
    assert len(sequences) == 8 * (ITEMS - 2)
    assert collection.statistics().index.deleted_rows == 0


def test_what_is_built_while_items_are_forgotten_is_not_saved(service, catalogue, monkeypatch):
    lower_flat_values(monkeypatch, 100 * DIMENSION)
    collection = catalogue.get("pets")
    published = collection._upkeep._published
    seen, is_awaited = [], threading.Event()

    def forget_then_publish(body):
        if not seen:
            assert is_awaited.wait(60)
            seen.append(body)
            forget(service, ids=["id7"])
        published(body)

    monkeypatch.setattr(collection._upkeep, "_published", forget_then_publish)
    collection.write(UpsertArrays([f"id{n}" for n in range(ITEMS)], clustered_vectors(0, ITEMS, DIMENSION))).result()
    first_build = catalogue._background.submit(lambda: None)
    is_awaited.set()
    first_build.result()
    assert len(seen) == 1
    assert not list(collection.folder.glob("body-*"))
    catalogue._background.submit(lambda: None).result()
    assert len(next(collection.folder.glob("body-*.sequences")).read_bytes()) == 8 * (ITEMS - 1)


def test_while_a_long_read_keeps_the_bytes_it_says_so_and_can_be_asked_again(service, pets, monkeypatch):
    monkeypatch.setattr("simila.storage.disk_space._PATIENCE_MILLISECONDS", 0)
    with pets.reader.snapshot() as reader:
        assert reader.count()
        with pytest.raises(NotReady, match="1 items of collection pets are deleted, but an export or backup"):
            forget(service, ids=["unmistakable-id-0001"])
    assert forget(service, ids=["unmistakable-id-0001"]).items == 0
    assert files_with(pets.folder, b"unmistakable-id-0001") == []


def test_caches_hold_nothing_of_it(service, pool, pets, catalogue):
    pool._cache = VectorCache(10_000)
    pool._cache.put(b"key", CachedVector(b"vector", 1, truncated=False))
    service._models.means(pets)
    nearest(pets, clustered_vectors(0, ITEMS, DIMENSION)[1], 1)  # a query that is an item's own vector
    assert len(pets._queries.vectors()) == 1
    forget(service, label="cat")
    assert len(pets._queries.vectors()) == 0
    assert pool._cache.get(b"key") is None
    assert pool.cache_statistics.entries == pool.cache_statistics.size_bytes == 0
    means, counts = service._models.means(catalogue.get("pets"))
    assert means.labels == ("bird", "dog")
    assert "cat" not in counts


def test_kept_sources_of_embedded_texts_are_gone_too(service, collections, catalogue):
    word = "a sentence that nobody else would write"
    asyncio.run(collections.upsert("pets", [NewItem("a", TextInput(word), "cat"), NewItem("b", TextInput("other"))]))
    folder = catalogue.get("pets").folder
    forget(service, ids=["a"])
    assert files_with(folder, word.encode()) == []
    assert files_with(folder, direction(word).tobytes()) == []


def test_a_map_is_made_again_without_what_is_forgotten(service, maps, pets):
    vectors = clustered_vectors(0, ITEMS, DIMENSION)
    alone = -vectors[[1]]  # the only one of its cluster, whose centre is its vector
    pets.write(UpsertArrays(["alone"], alone)).result()

    async def made_then_forgotten():
        await maps.start("pets")
        await maps.settled()
        before = [path.name for path in pets.folder.glob("map*")]
        await service.forget("pets", ToForget(ids=["alone"]))
        await maps.settled()
        return before, await maps.points("pets")

    before, points = asyncio.run(made_then_forgotten())
    assert before == ["map"]
    assert len(points.ids) == ITEMS * 4 // 5
    assert files_with(pets.folder, alone.astype("<f4").tobytes()) == []
    assert load_map(pets.folder, pets.spec.store_id).sequences[-1] == ITEMS


def test_what_would_forget_everything_or_too_much_at_once_is_refused(service):
    with pytest.raises(InvalidInput, match="it matches every item"):
        forget(service, filter={})
    with pytest.raises(LimitExceeded, match="501 ids are more than the limit of 500"):
        forget(service, ids=[str(number) for number in range(501)])


def test_writes_and_searches_go_on_while_items_are_forgotten(service, pets):
    vectors = clustered_vectors(1, 200, DIMENSION)
    stop, written, faults = threading.Event(), [], []

    def write():
        while not (stop.is_set() and written):
            number = len(written) % 200
            pets.write(UpsertArrays([f"new{number}"], vectors[[number]], ["bird"])).result()
            written.append(number)

    def search():
        while not stop.is_set():
            hits = nearest(pets, vectors[0], 5)
            if len(hits) != 5:
                faults.append(hits)

    threads = [threading.Thread(target=work) for work in (write, search)]
    for thread in threads:
        thread.start()
    try:
        forgotten = [forget(service, filter={"secret": f"payload-of-{number:04}"}) for number in (1, 2, 3, 4)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert [receipt.items for receipt in forgotten] == [1, 1, 1, 1]
    assert not faults
    pets.check()
    for name, number in (("new0", 0), (f"new{written[-1]}", written[-1])):
        assert pets.reader.get(name).item.vector.tobytes() == vectors[number].tobytes()
    assert files_with(pets.folder, b"unmistakable-id-0003") == []
