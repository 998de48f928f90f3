"""Equal inputs are computed once, and nobody fares worse for having waited for another."""

import asyncio
import gc
import hashlib

import numpy as np
import pytest

from simila.domain.errors import (
    DeadlineExceeded,
    InvalidInput,
    ModelError,
    NotReady,
    Overloaded,
    TextTooLong,
)
from simila.domain.inputs import Embedded, ImageInput, TextInput, Timings, TokensInput
from simila.domain.vectors import unit_rows
from simila.engine.cached_tower import MOST_BYTES_HASHED_IN_THE_LOOP, CachedTower
from simila.engine.vector_cache import VectorCache
from simila.telemetry.metrics import CACHE_LOOKUPS
from tiny_manifests import manifest_of, source

CONTEXT_LENGTH_TOKENS = 5
PLENTY_BYTES = 2**20
TIMEOUT_SECONDS = 60
MANIFEST = manifest_of(source("weights", b"one", path="weights"))
OTHER_MANIFEST = manifest_of(source("weights", b"two", path="weights"))


def vector_of(entry):
    digest = hashlib.sha256(repr(entry).encode() + getattr(entry, "data", b"")).digest()
    return unit_rows(np.frombuffer(digest[:3], dtype=np.uint8).astype(np.float32)[None] + 1)[0]


class Tower:
    """A text has a token a word and is cut at the context length. Calls wait while `held`; `errors` come first."""

    def __init__(self):
        self.calls = []
        self.cancelled = 0
        self.errors = []
        self.failing = {}
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def embed(self, inputs, *, truncate):
        self.calls.append(list(inputs))
        error = self.errors.pop(0) if self.errors else None
        failing = dict(self.failing)
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if error:
            raise error
        lengths = [len(entry.text.split()) if isinstance(entry, TextInput) else 0 for entry in inputs]
        cut = [length > CONTEXT_LENGTH_TOKENS for length in lengths]
        failures = {p: failing[entry] for p, entry in enumerate(inputs) if entry in failing}
        if not truncate:
            failures |= {p: TextTooLong("too long") for p in range(len(inputs)) if cut[p]}
        vectors = np.stack([vector_of(entry) for entry in inputs])
        vectors[list(failures)] = 0
        tokens = tuple(min(length, CONTEXT_LENGTH_TOKENS) for length in lengths)
        return Embedded(vectors, tokens, tuple(cut), failures, Timings(0.1, 0.2, 0.3))


def texts(*words):
    return [TextInput(word) for word in words]


def served(scenario, capacity_bytes=PLENTY_BYTES):
    """Run a scenario on a cached tower; at its end nothing is on its way."""

    async def run():
        tower, cache = Tower(), VectorCache(capacity_bytes)
        cached = CachedTower(tower, cache, MANIFEST)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await scenario(cached, tower, cache.statistics)
        for _ in range(5):
            await asyncio.sleep(0)
        assert cached._computations == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
    gc.collect()


async def started(*requests):
    tasks = [asyncio.create_task(request) for request in requests]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


def test_a_hit_is_what_the_tower_gave():
    inputs = [TextInput("a"), TextInput("one two three four five six"), TokensInput((1, 2))]

    async def scenario(cached, tower, statistics):
        first = await cached.embed(inputs, truncate=True)
        again = await cached.embed(list(reversed(inputs)), truncate=True)
        assert len(tower.calls) == 1
        np.testing.assert_array_equal(first.vectors, np.stack([vector_of(entry) for entry in inputs]))
        np.testing.assert_array_equal(again.vectors, first.vectors[::-1])
        assert again.vectors.dtype == np.float32
        assert (first.tokens, first.truncated) == ((1, 5, 0), (False, True, False))
        assert (again.tokens, again.truncated) == ((0, 5, 1), (False, True, False))
        assert (first.timings, again.timings) == (Timings(0.1, 0.2, 0.3), Timings())
        assert (statistics.hits, statistics.shared, statistics.misses) == (3, 0, 3)

    served(scenario)


def test_only_what_is_missing_is_computed_and_duplicates_once():
    async def scenario(cached, tower, statistics):
        await cached.embed(texts("a"), truncate=True)
        embedded = await cached.embed(texts("b", "a", "c", "b", "b"), truncate=True)
        assert tower.calls == [texts("a"), texts("b", "c")]
        np.testing.assert_array_equal(embedded.vectors, np.stack([vector_of(TextInput(word)) for word in "bacbb"]))
        assert (statistics.hits, statistics.shared, statistics.misses) == (1, 2, 3)

    served(scenario)


def test_texts_tokens_images_encoders_and_options_do_not_answer_for_each_other():
    inputs = [TextInput("61"), TokensInput((0x61,)), ImageInput(b"61"), TokensInput((6, 1)), TokensInput((0x6, 0x1, 0))]

    async def scenario(cached, tower, _):
        await cached.embed(inputs, truncate=True)
        assert tower.calls == [inputs]
        await cached.embed(inputs, truncate=False)
        assert tower.calls[1:] == [[entry for entry in inputs if not isinstance(entry, ImageInput)]]
        other = CachedTower(tower, cached._cache, OTHER_MANIFEST)
        await other.embed(inputs, truncate=True)
        assert tower.calls[2:] == [inputs]

    served(scenario)


def test_a_lone_surrogate_is_no_trouble():
    async def scenario(cached, tower, _):
        await cached.embed(texts("\ud800", "\ud83d\ude00", "\N{GRINNING FACE}"), truncate=True)
        assert len(tower.calls[0]) == 3

    served(scenario)


def test_large_images_are_hashed_in_a_thread_and_hit():
    image = bytes(MOST_BYTES_HASHED_IN_THE_LOOP + 1)

    async def scenario(cached, tower, statistics):
        for data in (image, image, image[:-1] + b"\1"):
            await cached.embed([ImageInput(data)], truncate=True)
        assert len(tower.calls) == 2
        assert statistics.hits == 1

    served(scenario)


def test_a_cut_text_answers_no_request_that_refuses_to_be_cut():
    long = texts("one two three four five six")

    async def scenario(cached, tower, _):
        tower.go_on.clear()
        cut, whole = await started(cached.embed(long, truncate=True), cached.embed(long, truncate=False))
        tower.go_on.set()
        assert (await cut).truncated == (True,)
        assert isinstance((await whole).failures[0], TextTooLong)
        assert isinstance((await cached.embed(long, truncate=False)).failures[0], TextTooLong)
        assert (await cached.embed(long, truncate=True)).truncated == (True,)

    served(scenario)


def test_equal_inputs_on_their_way_are_computed_once():
    async def scenario(cached, tower, statistics):
        tower.go_on.clear()
        tasks = await started(*(cached.embed(texts("a", word), truncate=True) for word in "bcb"))
        tower.go_on.set()
        answers = await asyncio.gather(*tasks)
        assert tower.calls == [texts("a", "b"), texts("c")]
        for answer, word in zip(answers, "bcb", strict=True):
            np.testing.assert_array_equal(answer.vectors, np.stack([vector_of(entry) for entry in texts("a", word)]))
        assert answers[2].timings.inference_seconds == 0
        assert 0 < answers[2].timings.queue_seconds < TIMEOUT_SECONDS
        assert (statistics.hits, statistics.shared, statistics.misses) == (0, 3, 3)

    served(scenario)


def test_a_cancelled_leader_leaves_its_followers_what_it_began():
    async def scenario(cached, tower, _):
        tower.go_on.clear()
        leader, follower = await started(
            cached.embed(texts("a", "b"), truncate=True), cached.embed(texts("b"), truncate=True)
        )
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        tower.go_on.set()
        np.testing.assert_array_equal((await follower).vectors[0], vector_of(TextInput("b")))
        assert len(tower.calls) == 1
        assert tower.cancelled == 0

    served(scenario)


def test_what_nobody_waits_for_is_cancelled_and_begun_anew_by_the_next():
    async def scenario(cached, tower, _):
        tower.go_on.clear()
        tasks = await started(*(cached.embed(texts("a"), truncate=True) for _ in range(3)))
        for task in tasks:
            task.cancel()
        (late,) = await started(cached.embed(texts("a"), truncate=True))
        assert tower.cancelled == 1
        tower.go_on.set()
        assert not (await late).failures
        assert len(tower.calls) == 2

    served(scenario)


@pytest.mark.parametrize("error", [Overloaded("full"), NotReady("down"), DeadlineExceeded("late"), ValueError("bug")])
def test_a_refusal_of_the_leader_is_not_its_followers(error):
    async def scenario(cached, tower, statistics):
        tower.go_on.clear()
        tower.errors = [error]
        leader, *followers = await started(*(cached.embed(texts("a"), truncate=True) for _ in range(4)))
        tower.go_on.set()
        with pytest.raises(type(error)):
            await leader
        for follower in followers:
            np.testing.assert_array_equal((await follower).vectors[0], vector_of(TextInput("a")))
        assert statistics.entries == 1

    served(scenario)


def test_a_follower_that_is_refused_too_says_so():
    async def scenario(cached, tower, statistics):
        tower.go_on.clear()
        tower.errors = [Overloaded("full")] * 3
        tasks = await started(*(cached.embed(texts("a"), truncate=True) for _ in range(3)))
        tower.go_on.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Overloaded] * 3
        assert len(tower.calls) == 3
        assert statistics.entries == 0

    served(scenario)


@pytest.mark.parametrize(("error", "calls"), [(InvalidInput("bad"), 1), (ModelError("bad"), 1), (NotReady("down"), 2)])
def test_an_error_of_an_input_is_shared_but_one_of_the_moment_is_not(error, calls):
    async def scenario(cached, tower, _):
        tower.go_on.clear()
        tower.failing = {TextInput("a"): error}
        leader, follower = await started(*(cached.embed(texts("a", "b"), truncate=True) for _ in range(2)))
        tower.failing = {}
        tower.go_on.set()
        assert (await leader).failures == {0: error}
        assert (await follower).failures == ({0: error} if calls == 1 else {})
        assert len(tower.calls) == calls

    served(scenario)


def test_failures_are_never_stored():
    async def scenario(cached, tower, statistics):
        tower.failing = {TextInput("a"): InvalidInput("bad")}
        for _ in range(2):
            embedded = await cached.embed(texts("a", "b", "a"), truncate=True)
            assert set(embedded.failures) == {0, 2}
            assert not embedded.vectors[[0, 2]].any()
            assert embedded.tokens == (0, 1, 0)
        tower.failing = {}
        assert not (await cached.embed(texts("a"), truncate=True)).failures
        assert tower.calls == [texts("a", "b"), texts("a"), texts("a")]
        assert statistics.entries == 2

    served(scenario)


def test_a_refused_request_does_not_wait_for_what_it_joined():
    async def scenario(cached, tower, _):
        held = tower.go_on
        held.clear()
        (leader,) = await started(cached.embed(texts("a"), truncate=True))
        tower.go_on = asyncio.Event()
        tower.errors = [Overloaded("full")]
        tower.go_on.set()
        with pytest.raises(Overloaded):
            await cached.embed(texts("a", "b"), truncate=True)
        assert not leader.done()
        held.set()
        assert not (await leader).failures

    served(scenario)


def test_without_room_everything_is_computed_still():
    async def scenario(cached, tower, statistics):
        for _ in range(2):
            assert not (await cached.embed(texts("a"), truncate=True)).failures
        assert len(tower.calls) == 2
        assert statistics.entries == statistics.size_bytes == 0

    served(scenario, capacity_bytes=1)


def test_lookups_are_counted_for_prometheus():
    def counted():
        return {outcome: CACHE_LOOKUPS.labels(outcome)._value.get() for outcome in ("hit", "miss", "shared")}

    async def scenario():
        tower = CachedTower(Tower(), VectorCache(PLENTY_BYTES), MANIFEST)
        await tower.embed([TextInput("a"), TextInput("b")], truncate=True)
        await tower.embed([TextInput("a"), TextInput("c"), TextInput("c")], truncate=True)

    before = counted()
    asyncio.run(scenario())
    assert {outcome: count - before[outcome] for outcome, count in counted().items()} == {
        "hit": 1,
        "miss": 3,
        "shared": 1,
    }
