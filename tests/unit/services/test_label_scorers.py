import asyncio

import numpy as np
import pytest

from simila.classifiers import screening
from simila.classifiers.linear_scorer import cosine_scorer
from simila.classifiers.prototypes import Prototypes
from simila.domain.errors import CannotServe, InvalidInput, InvalidVector, LimitExceeded, NotReady, Overloaded
from simila.domain.inputs import VectorInput
from simila.domain.vectors import unit_rows
from simila.services import label_scorers
from simila.services.embedding import EmbeddingService
from simila.services.label_scorers import LabelScorers
from simila.services.label_sets import Classes, KeywordClass, LabelSet, ScorerCache, VectorClass
from simila.services.prompt_checks import PromptLimits
from unit.services.word_encoders import DIMENSION, direction

LIMITS = PromptLimits(labels=100, label_characters=100, prompt_characters=100_000)
VECTOR = [3.0] + [0.0] * (DIMENSION - 1)


@pytest.fixture
def make_scorers(pool):
    def make(cache_bytes=100_000):
        return LabelScorers(EmbeddingService(pool), cached_labels=0, cache_bytes=cache_bytes, limits=LIMITS)

    return make


@pytest.fixture
def label_set(pool):
    def make(*classes, encoder="words", templates=("{}",)):
        return LabelSet(pool.get(encoder).manifest, Classes(classes), templates)

    return make


async def scorer_of(scorers, label_set):
    await scorers.check(label_set)
    return await scorers.scorer(label_set)


def mean_direction(*texts):
    return unit_rows(np.mean([direction(text) for text in texts], axis=0, keepdims=True))[0]


def test_names_phrases_and_vectors_mix_freely(make_scorers, label_set):
    classes = label_set("cat", KeywordClass("drink", ("tea", "milk")), VectorClass("axis", VectorInput(VECTOR)))
    scorer = asyncio.run(scorer_of(make_scorers(), classes))
    assert scorer.labels == ("cat", "drink", "axis")
    expected = [direction("cat"), mean_direction("tea", "milk"), np.eye(DIMENSION)[0]]
    np.testing.assert_allclose(scorer.weights, expected, atol=1e-6)


def test_phrases_are_put_into_the_templates(make_scorers, label_set):
    classes = label_set(KeywordClass("drink", ("tea", "milk")), "cat", templates=("{}", "a {}"))
    scorer = asyncio.run(scorer_of(make_scorers(), classes))
    np.testing.assert_allclose(scorer.weights[0], mean_direction("tea", "a tea", "milk", "a milk"), atol=1e-6)


def test_a_set_seen_before_is_the_same_scorer_and_costs_nothing(make_scorers, label_set, tower):
    scorers = make_scorers()
    first = asyncio.run(scorer_of(scorers, label_set("cat", "dog")))
    tower.seen.clear()
    assert asyncio.run(scorer_of(scorers, label_set("cat", "dog"))) is first
    assert tower.seen == []


@pytest.mark.parametrize(
    "other",
    [
        {"classes": ("dog", "cat")},
        {"classes": ("cat", KeywordClass("dog", ("dog", "puppy")))},
        {"classes": ("cat", VectorClass("dog", VectorInput(VECTOR)))},
        {"classes": ("cat", "dog"), "templates": ("a {}",)},
    ],
)
def test_another_content_is_another_set(label_set, other):
    classes = other.pop("classes")
    assert label_set(*classes, **other).key != label_set("cat", "dog").key


def test_classes_of_vectors_need_no_text_tower(make_scorers, label_set):
    given = [VectorClass(label, VectorInput(np.roll(VECTOR, shift))) for shift, label in enumerate("ab")]
    scorer = asyncio.run(scorer_of(make_scorers(), label_set(*given, encoder="pictures", templates=())))
    np.testing.assert_array_equal(scorer.weights, np.eye(DIMENSION)[:2])
    with pytest.raises(CannotServe, match="pictures has no text tower"):
        asyncio.run(scorer_of(make_scorers(), label_set(*given, "cat", encoder="pictures", templates=())))


@pytest.mark.parametrize(
    ("odd", "error", "param"),
    [
        (KeywordClass("b", ("tea", " ")), InvalidInput, "labels"),
        (KeywordClass("b", ("x" * 101,)), LimitExceeded, "labels"),
        (VectorClass("b", VectorInput([1.0, 2.0])), InvalidVector, "labels[1].vector"),
    ],
)
def test_a_class_that_is_none_is_named(make_scorers, label_set, odd, error, param):
    with pytest.raises(error) as refused:
        asyncio.run(scorer_of(make_scorers(), label_set("a", odd)))
    assert refused.value.param == param


def test_many_labels_are_embedded_in_the_background_for_all_who_ask(make_scorers, label_set, tower, monkeypatch):
    monkeypatch.setattr(label_scorers, "MOST_PROMPTS_AT_ONCE", 3)
    monkeypatch.setattr(label_scorers, "PROMPTS_A_STEP", 2)
    many = label_set("cat", "dog", VectorClass("axis", VectorInput(VECTOR)), "bird", "fish", "ant")

    async def ask_twice():
        scorers = make_scorers()
        await scorers.check(many)
        return await asyncio.gather(scorers.scorer(many), scorers.scorer(many))

    first, second = asyncio.run(ask_twice())
    assert first is second
    assert tower.seen == ["cat", "dog", "bird", "fish", "ant"]
    expected = [*map(direction, ("cat", "dog")), np.eye(DIMENSION)[0], *map(direction, ("bird", "fish", "ant"))]
    np.testing.assert_allclose(first.weights, expected, atol=1e-6)


def test_who_waits_too_long_is_told_how_far_it_is_and_finds_it_done_later(make_scorers, label_set, tower, monkeypatch):
    monkeypatch.setattr(label_scorers, "MOST_PROMPTS_AT_ONCE", 1)
    monkeypatch.setattr(label_scorers, "PATIENCE_SECONDS", 0)
    few = label_set("cat", "dog")

    async def ask_until_done():
        scorers, gate, embed = make_scorers(), asyncio.Event(), tower.embed

        async def embed_behind_the_gate(inputs, **options):
            await gate.wait()
            return await embed(inputs, **options)

        monkeypatch.setattr(tower, "embed", embed_behind_the_gate)
        await scorers.check(few)
        with pytest.raises(NotReady, match="0 of 2 prompts are embedded"):
            await scorers.scorer(few)
        gate.set()
        await scorers._builds[few.key].task
        return await scorers.scorer(few)

    assert asyncio.run(ask_until_done()).labels == ("cat", "dog")
    assert tower.seen == ["cat", "dog"]


def test_more_large_sets_than_the_server_takes_on_are_refused(make_scorers, label_set, tower, monkeypatch):
    monkeypatch.setattr(label_scorers, "MOST_PROMPTS_AT_ONCE", 1)
    monkeypatch.setattr(label_scorers, "MOST_BUILDS", 1)
    monkeypatch.setattr(label_scorers, "PATIENCE_SECONDS", 0)
    tower.hangs = True

    async def ask_for_two():
        scorers = make_scorers()
        with pytest.raises(NotReady):
            await scorers.scorer(label_set("a", "b"))
        with pytest.raises(Overloaded):
            await scorers.scorer(label_set("c", "d"))
        await scorers.close()

    asyncio.run(ask_for_two())


def test_a_large_set_that_could_not_be_kept_is_refused(make_scorers, label_set, monkeypatch):
    monkeypatch.setattr(label_scorers, "MOST_PROMPTS_AT_ONCE", 1)
    with pytest.raises(LimitExceeded, match=r"take 64 bytes, more than the 63 .*LABEL_SET_CACHE_BYTES"):
        asyncio.run(make_scorers(cache_bytes=63).check(label_set("a", "b")))


def test_what_a_set_takes_has_its_codes_in_it(label_set, monkeypatch):
    monkeypatch.setattr(screening, "FEWEST_WEIGHTS_TO_CODE", 3 * DIMENSION)
    assert label_set("a", "b").scorer_bytes == 2 * DIMENSION * 4
    assert label_set("a", "b", "c").scorer_bytes == 3 * DIMENSION * 5
    scorer = cosine_scorer(Prototypes(("a", "b", "c"), np.zeros((3, DIMENSION), np.float32)))
    cache = ScorerCache(3 * DIMENSION * 5 - 1)
    cache.put(b"a", scorer)
    assert cache.get(b"a") is None


def test_scorers_are_dropped_by_bytes_the_least_recently_used_first(make_scorers, label_set):
    made = [asyncio.run(scorer_of(make_scorers(), label_set(label, "x"))) for label in "abc"]
    cache = ScorerCache(2 * made[0].weights.nbytes)
    cache.put(b"a", made[0])
    cache.put(b"b", made[1])
    cache.put(b"a", made[0])
    cache.put(b"c", made[2])
    assert (cache.get(b"a"), cache.get(b"b"), cache.get(b"c")) == (made[0], None, made[2])
