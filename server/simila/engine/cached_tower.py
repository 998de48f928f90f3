"""A tower behind the vector cache: equal inputs are computed once, also while they are on their way."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from simila.domain.errors import PASSING_ERRORS, SimilaError
from simila.domain.inputs import Embedded, ImageInput, Input, TextInput, Timings
from simila.domain.manifest import Manifest, Modality
from simila.engine.vector_cache import CachedVector, VectorCache
from simila.telemetry.metrics import CACHE_LOOKUPS

KEY_BYTES = 32
# Above this, hashing takes longer than the way to a thread and back.
MOST_BYTES_HASHED_IN_THE_LOOP = 2**18

Outcome = CachedVector | SimilaError
Outcomes = Mapping[bytes, Outcome]  # by key


class Tower(Protocol):
    """What computes the vectors."""

    async def embed(self, inputs: Sequence[Any], *, truncate: bool) -> Embedded: ...


class _Computation:
    """The distinct inputs of one request on their way; without any request that waits, it is cancelled."""

    def __init__(self, keys: Collection[bytes], task: asyncio.Task[tuple[Outcomes, Timings]]) -> None:
        self.keys = keys
        self.task = task
        self.waiting_requests = 0

    def shared_outcome(self, key: bytes) -> Outcome | None:
        """What came of an input, for a request that joined; None if that says nothing about the input."""
        if self.task.cancelled() or self.task.exception():
            return None
        outcome = self.task.result()[0][key]
        return None if isinstance(outcome, PASSING_ERRORS) else outcome


class CachedTower:
    """Asks `tower` for what neither the cache knows nor another request is computing.

    Vectors are stored, errors never are. An error that belongs to an input is shared by the requests that wait for it.
    When a computation raises as a whole or meets an error of `PASSING_ERRORS`, those who joined it compute what they
    need themselves, without joining again: so nobody fares worse than without a cache, and a refusal is found out once
    by each. A computation goes on while one request waits for it, whoever began it. For one event loop at a time.
    """

    def __init__(self, tower: Tower, cache: VectorCache, manifest: Manifest) -> None:
        self._tower = tower
        self._cache = cache
        self._dimension = manifest.dimension
        self._fingerprint = manifest.fingerprint
        self._computations: dict[bytes, _Computation] = {}

    async def embed(self, inputs: Sequence[Input], *, truncate: bool) -> Embedded:
        """Embed as the tower does. Time spent on another request's computation counts as time in the queue.

        Raises:
            SimilaError: the tower refuses this request as a whole.

        """
        keys = await self._keys(inputs, truncate=truncate)
        distinct = dict(zip(keys, inputs, strict=True))
        outcomes: dict[bytes, Outcome] = {key: entry for key in distinct if (entry := self._cache.get(key))}
        joined = {key: self._computations[key] for key in distinct if key not in outcomes and key in self._computations}
        missing = {key: entry for key, entry in distinct.items() if key not in outcomes and key not in joined}
        self._count(keys, outcomes, missing)
        timings = Timings()
        with self._waiting_for(set(joined.values())):
            began_at = perf_counter()
            if missing:
                computed, timings = await self._compute(missing, truncate=truncate)
                outcomes.update(computed)
            if joined:
                await asyncio.wait({computation.task for computation in joined.values()})
                timings = timings.beside(Timings(queue_seconds=perf_counter() - began_at))
        shared = {key: outcome for key, computation in joined.items() if (outcome := computation.shared_outcome(key))}
        outcomes.update(shared)
        if lost := {key: distinct[key] for key in joined if key not in shared}:
            self._cache.statistics.misses += len(lost)
            computed, own_timings = await self._compute(lost, truncate=truncate)
            outcomes.update(computed)
            timings = timings.beside(own_timings)
        return self._embedded([outcomes[key] for key in keys], timings)

    async def _compute(self, inputs: Mapping[bytes, Input], *, truncate: bool) -> tuple[Outcomes, Timings]:
        """Compute what others may join, and wait for it."""
        task = asyncio.create_task(self._ask_tower(inputs, truncate=truncate))
        task.add_done_callback(_retrieve_exception)
        computation = _Computation(inputs.keys(), task)
        for key in inputs:
            self._computations.setdefault(key, computation)
        with self._waiting_for([computation]):
            await asyncio.wait([task])
        return task.result()

    async def _ask_tower(self, inputs: Mapping[bytes, Input], *, truncate: bool) -> tuple[Outcomes, Timings]:
        embedded = await self._tower.embed(list(inputs.values()), truncate=truncate)
        outcomes: dict[bytes, Outcome] = {}
        for position, key in enumerate(inputs):
            if error := embedded.failures.get(position):
                outcomes[key] = error
                continue
            vector = embedded.vectors[position].tobytes()
            outcomes[key] = entry = CachedVector(vector, embedded.tokens[position], embedded.truncated[position])
            self._cache.put(key, entry)
        return outcomes, embedded.timings

    @contextmanager
    def _waiting_for(self, computations: Collection[_Computation]) -> Iterator[None]:
        for computation in computations:
            computation.waiting_requests += 1
        try:
            yield
        finally:
            for computation in computations:
                computation.waiting_requests -= 1
                if not computation.waiting_requests:
                    self._drop(computation)

    def _drop(self, computation: _Computation) -> None:
        computation.task.cancel()
        for key in computation.keys:
            if self._computations.get(key) is computation:
                del self._computations[key]

    def _count(self, keys: Sequence[bytes], stored: Collection[bytes], missing: Collection[bytes]) -> None:
        hits = sum(key in stored for key in keys)
        self._cache.statistics.hits += hits
        self._cache.statistics.misses += len(missing)
        self._cache.statistics.shared += len(keys) - hits - len(missing)
        CACHE_LOOKUPS.labels("hit").inc(hits)
        CACHE_LOOKUPS.labels("miss").inc(len(missing))
        CACHE_LOOKUPS.labels("shared").inc(len(keys) - hits - len(missing))

    def _embedded(self, outcomes: Sequence[Outcome], timings: Timings) -> Embedded:
        vectors = np.zeros((len(outcomes), self._dimension), dtype=np.float32)
        failures: dict[int, SimilaError] = {}
        for position, outcome in enumerate(outcomes):
            if isinstance(outcome, CachedVector):
                vectors[position] = np.frombuffer(outcome.vector, dtype=np.float32)
            else:
                failures[position] = outcome
        tokens = tuple(outcome.tokens if isinstance(outcome, CachedVector) else 0 for outcome in outcomes)
        truncated = tuple(isinstance(outcome, CachedVector) and outcome.truncated for outcome in outcomes)
        return Embedded(vectors, tokens, truncated, failures, timings)

    async def _keys(self, inputs: Sequence[Input], *, truncate: bool) -> list[bytes]:
        image_bytes = sum(len(entry.data) for entry in inputs if isinstance(entry, ImageInput))
        if image_bytes > MOST_BYTES_HASHED_IN_THE_LOOP:
            return await asyncio.to_thread(lambda: [self._key(entry, truncate=truncate) for entry in inputs])
        return [self._key(entry, truncate=truncate) for entry in inputs]

    def _key(self, entry: Input, *, truncate: bool) -> bytes:
        """Hash all that the outcome depends on; a text that may be cut has another key than one that may not."""
        option = truncate and entry.modality is Modality.TEXT
        head = f"{self._fingerprint} {type(entry).__name__} {option}\0".encode()
        return blake2b(head + _content(entry), digest_size=KEY_BYTES).digest()


def _content(entry: Input) -> bytes:
    if isinstance(entry, TextInput):
        return entry.text.encode(errors="surrogatepass")
    if isinstance(entry, ImageInput):
        return entry.data if entry.view == "plain" else f"{entry.view}\0".encode() + entry.data
    return b",".join(b"%x" % token for token in entry.ids)


def _retrieve_exception(task: asyncio.Task[tuple[Outcomes, Timings]]) -> None:
    """Keep asyncio from reporting an error as lost when the last request left as it was raised."""
    if not task.cancelled():
        task.exception()
