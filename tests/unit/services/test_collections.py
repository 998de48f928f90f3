import asyncio

import numpy as np
import pytest

from simila.classifiers.linear_scorer import NEAREST_MEAN_PRECISION
from simila.domain.errors import InvalidInput, LimitExceeded, NoExamples, UnknownCollection, UnknownItem
from simila.domain.inputs import ImageInput, TextInput, VectorInput
from simila.index.catalogue import Catalogue
from simila.services.collections import CollectionLimits, CollectionService, StoredId
from simila.services.item_checks import ItemLimits, NewItem
from unit.services.word_encoders import DIMENSION, direction

WORDS = ["red", "green", "blue", "cyan"]


@pytest.fixture
def service(pool, tmp_path):
    catalogue = Catalogue(tmp_path / "collections")
    limits = CollectionLimits(
        ItemLimits(items=10, label_characters=100, payload_bytes=100), search_results=5, predictions=50
    )
    service = CollectionService(pool, catalogue, limits)
    asyncio.run(service.create("colours", "words"))
    yield service
    catalogue.close()


def item(word, label=None, payload=None):
    return NewItem(word, TextInput(word), label, payload)


def run(coroutine):
    return asyncio.run(coroutine)


def search(service, query, **options):
    return [(hit.id, hit.score) for hit in run(service.search("colours", query, **{"limit": 5, **options}))]


def neighbours(vector, words):
    cosines = {word: float(direction(word) @ vector) for word in words}
    return [(word, pytest.approx(cosines[word], abs=1e-6)) for word in sorted(words, key=lambda word: -cosines[word])]


def test_making_a_collection_twice_finds_it(service, pool):
    found, created = run(service.create("colours", "words"))
    assert not created
    assert (found.spec.encoder, found.spec.dimension) == ("words", DIMENSION)
    assert found.spec.fingerprint == pool.get("words").manifest.fingerprint


def test_items_keep_vector_label_and_payload(service):
    assert run(service.upsert("colours", [item("red", "warm", {"rgb": [255, 0, 0]}), item("blue")])) == 2
    stored = run(service.get_item("colours", "red"))
    np.testing.assert_array_equal(stored.item.vector, direction("red"))
    assert (stored.item.label, stored.item.payload, stored.sequence) == ("warm", {"rgb": [255, 0, 0]}, 1)


def test_one_bad_item_keeps_all_out(service, tower):
    tower.bad = {"bad"}
    with pytest.raises(InvalidInput, match=r"^items\[1\]: cannot embed 'bad'$"):
        run(service.upsert("colours", [item("red"), item("bad")]))
    assert run(service.page("colours", after_sequence=0, limit=5)) == []


def test_items_are_checked_before_anything_is_embedded(service, tower):
    with pytest.raises(InvalidInput):
        run(service.upsert("colours", [item("red"), item(" ")]))
    assert tower.seen == []


@pytest.mark.parametrize("query", [TextInput("a query"), ImageInput(b"photo"), VectorInput([1.0] * DIMENSION)])
def test_search_gives_the_nearest_first(service, query):
    run(service.upsert("colours", [item(word) for word in WORDS]))
    vectors = {TextInput: direction("a query"), ImageInput: direction(b"photo"), VectorInput: np.full(8, 8**-0.5)}
    assert search(service, query) == neighbours(vectors[type(query)], WORDS)
    assert search(service, query, limit=2) == neighbours(vectors[type(query)], WORDS)[:2]


def test_an_item_is_not_among_those_that_are_like_it(service):
    run(service.upsert("colours", [item(word) for word in WORDS]))
    assert search(service, StoredId("red")) == neighbours(direction("red"), WORDS[1:])
    assert len(search(service, StoredId("red"), limit=2)) == 2


def test_a_score_threshold_cuts(service):
    run(service.upsert("colours", [item(word) for word in WORDS]))
    assert search(service, TextInput("red"), score_threshold=0.999) == [("red", pytest.approx(1, abs=1e-6))]


@pytest.mark.parametrize(
    ("call", "error", "message", "param"),
    [
        (
            lambda s: s.search("colours", StoredId("gone"), limit=1),
            UnknownItem,
            "collection colours has no item 'gone'",
            "id",
        ),
        (lambda s: s.get_item("colours", "gone"), UnknownItem, "collection colours has no item 'gone'", "id"),
        (lambda s: s.delete_item("colours", "gone"), UnknownItem, "collection colours has no item 'gone'", "id"),
        (
            lambda s: s.search("colours", TextInput("a"), limit=6),
            LimitExceeded,
            "limit is 6, more than the most allowed, 5 (SIMILA_LIMITS__MAX_SEARCH_RESULTS)",
            "limit",
        ),
        (lambda s: s.describe("gone"), UnknownCollection, "there is no collection 'gone'", "name"),
        (
            lambda s: s.classify("colours", [TextInput("a")]),
            NoExamples,
            "collection colours has no labelled items to learn classes from",
            None,
        ),
    ],
    ids=["search", "get", "delete", "limit", "collection", "examples"],
)
def test_what_is_refused_says_why(service, call, error, message, param):
    with pytest.raises(error) as refused:
        run(call(service))
    assert (refused.value.message, refused.value.param) == (message, param)


def expected_predictions(examples, vector):
    """Nearest mean, written as a loop: label, probability and cosine, the nearest first."""
    means = {
        label: np.mean([direction(w) for w in words], axis=0, dtype=np.float64) for label, words in examples.items()
    }
    weights = {k: np.exp(-NEAREST_MEAN_PRECISION / 2 * np.sum((vector - mean) ** 2)) for k, mean in means.items()}
    return [
        (
            label,
            pytest.approx(weights[label] / sum(weights.values()), rel=1e-4),
            pytest.approx(vector @ means[label] / np.linalg.norm(means[label]), abs=1e-5),
        )
        for label in sorted(means, key=lambda label: -weights[label])
    ]


def predictions(service, source, **options):
    (row,) = run(service.classify("colours", [source], **options)).predictions
    return [(prediction.label, prediction.score, prediction.cosine) for prediction in row]


def test_classes_are_the_means_of_what_is_labelled_now(service):
    warm, cold = [item(word, "warm") for word in ("red", "orange", "pink")], [item(word, "cold") for word in ("blue",)]
    run(service.upsert("colours", [*warm, *cold, item("grey")]))
    vector, query = direction("a query"), TextInput("a query")
    examples = {"warm": ["red", "orange", "pink"], "cold": ["blue"]}
    assert predictions(service, query) == expected_predictions(examples, vector)
    run(service.delete_item("colours", "orange"))
    examples["warm"].remove("orange")
    assert predictions(service, query) == expected_predictions(examples, vector)
    run(service.upsert("colours", [item("pink", "cold")]))
    examples = {"warm": ["red"], "cold": ["blue", "pink"]}
    assert predictions(service, query) == expected_predictions(examples, vector)
    assert predictions(service, query, top_k=1) == expected_predictions(examples, vector)[:1]


def test_a_collection_made_again_has_forgotten_its_classes(service):
    run(service.upsert("colours", [item("red", "warm"), item("blue", "cold")]))
    predictions(service, TextInput("a query"))
    run(service.drop("colours"))
    run(service.create("colours", "words"))
    with pytest.raises(NoExamples):
        predictions(service, TextInput("a query"))
    run(service.upsert("colours", [item("green", "fresh")]))
    assert predictions(service, TextInput("a query"))[0][:2] == ("fresh", 1.0)
