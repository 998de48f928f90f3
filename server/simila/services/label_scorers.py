"""Label sets to scorers: at once where they are few or known, in the background where there are many."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from simila.classifiers.linear_scorer import LinearScorer, cosine_scorer
from simila.classifiers.prototypes import Prototypes, prompt_prototype
from simila.domain.errors import LimitExceeded, NotReady, Overloaded
from simila.domain.inputs import TextInput
from simila.domain.vectors import Float32
from simila.services.embedding import EmbeddingService
from simila.services.label_sets import LabelSet, LabelSetKey, ScorerCache
from simila.services.prompt_checks import PromptLimits

logger = logging.getLogger("simila.services")
# So many prompts take a laptop some ten seconds. More are embedded whoever waits, and their request need not.
MOST_PROMPTS_AT_ONCE = 4096
PROMPTS_A_STEP = 512
PATIENCE_SECONDS = 20.0
MOST_BUILDS = 4

Phrases = tuple[str, ...]


class PrototypeCache:
    """Prototypes by encoder fingerprint, templates and phrases; the least recently used go first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._prototypes: OrderedDict[tuple[str, tuple[str, ...], Phrases], Float32] = OrderedDict()

    def get(self, fingerprint: str, templates: tuple[str, ...], phrases: Phrases) -> Float32 | None:
        key = (fingerprint, templates, phrases)
        if key in self._prototypes:
            self._prototypes.move_to_end(key)
        return self._prototypes.get(key)

    def put(self, fingerprint: str, templates: tuple[str, ...], phrases: Phrases, prototype: Float32) -> None:
        self._prototypes[fingerprint, templates, phrases] = prototype
        while len(self._prototypes) > self._capacity:
            self._prototypes.popitem(last=False)


class _Build:
    """A scorer on its way, for all requests that want it; `done` of its prompts are embedded."""

    def __init__(self, make: "Callable[[_Build], asyncio.Task[LinearScorer]]") -> None:
        self.done = 0
        self.task = make(self)


class LabelScorers:
    """Makes the scorer of each label set once, and keeps it as long as there is room.

    A set of more than `MOST_PROMPTS_AT_ONCE` is embedded in the background, step by step beside all other requests. Its
    request waits `PATIENCE_SECONDS` and is then told how far it is; sent again later, it finds the work done.
    """

    def __init__(
        self, embedding: EmbeddingService, *, cached_labels: int, cache_bytes: int, limits: PromptLimits
    ) -> None:
        self._embedding = embedding
        self._prototypes = PrototypeCache(cached_labels)
        self._scorers = ScorerCache(cache_bytes)
        self._cache_bytes = cache_bytes
        self._limits = limits
        self._builds: dict[LabelSetKey, _Build] = {}

    async def check(self, label_set: LabelSet) -> None:
        """Check a set that was not seen before; one that was cost its check then.

        Raises:
            CannotServe, InvalidLabels, InvalidInput, LimitExceeded: see `LabelSet.check`; or a set that must be kept to
                be of use is larger than all that may be kept.

        """
        if self.known(label_set) or label_set.key in self._builds:
            return
        await asyncio.to_thread(label_set.check, self._limits)
        if label_set.prompt_count > MOST_PROMPTS_AT_ONCE and label_set.scorer_bytes > self._cache_bytes:
            raise LimitExceeded(
                f"the vectors of {len(label_set.labels)} labels take {label_set.scorer_bytes} bytes, more than the"
                f" {self._cache_bytes} that are kept (SIMILA_ENGINE__LABEL_SET_CACHE_BYTES)",
                param="labels",
            )

    def known(self, label_set: LabelSet) -> LinearScorer | None:
        """The cosine scorer of a set, if it was made before and is still kept."""
        return self._scorers.get(label_set.key)

    async def scorer(self, label_set: LabelSet) -> LinearScorer:
        """The cosine scorer of a checked set.

        Raises:
            InvalidInput, Overloaded, …: a prompt cannot be embedded; it is named.
            NotReady: the set is large, and not done in time.
            Overloaded: many large sets are being embedded.

        """
        if known := self.known(label_set):
            return known
        if label_set.prompt_count > MOST_PROMPTS_AT_ONCE:
            return await self._background(label_set)
        rows = await self._rows(label_set)
        return self._kept(label_set, cosine_scorer(Prototypes(label_set.labels, np.stack(rows))))

    async def close(self) -> None:
        """End what is under way."""
        tasks = [build.task for build in self._builds.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _rows(self, label_set: LabelSet) -> list[Float32]:
        fingerprint, templates = label_set.manifest.fingerprint, label_set.templates
        rows = [label_set.given(position) for position in range(len(label_set.classes))]
        for position, phrases in enumerate(label_set.phrases):
            if phrases:
                rows[position] = self._prototypes.get(fingerprint, templates, phrases)
        missing = [position for position, row in enumerate(rows) if row is None]
        for position, prototype in zip(missing, await self._embedded(label_set, missing), strict=True):
            rows[position] = prototype
            self._prototypes.put(fingerprint, templates, label_set.phrases[position], prototype)
        return [row for row in rows if row is not None]

    async def _embedded(self, label_set: LabelSet, positions: Sequence[int]) -> list[Float32]:
        """Prototypes `float32 [d], unit length` of the classes at these positions."""
        if not positions:
            return []
        prompts = [label_set.prompts(label_set.phrases[position]) for position in positions]
        texts = [TextInput(prompt) for some in prompts for prompt in some]
        embedded = await self._embedding.embed(label_set.manifest.name, texts, field="prompts")
        ends = np.cumsum([len(some) for some in prompts])[:-1]
        return [prompt_prototype(vectors) for vectors in np.split(embedded.vectors, ends)]

    async def _background(self, label_set: LabelSet) -> LinearScorer:
        build = self._builds.get(label_set.key)
        if build is None:
            if len(self._builds) >= MOST_BUILDS:
                raise Overloaded(f"{MOST_BUILDS} large label sets are being embedded; send this again", param="labels")
            build = _Build(lambda build: asyncio.create_task(self._built(label_set, build)))
            self._builds[label_set.key] = build
            build.task.add_done_callback(lambda task: self._forget(label_set.key, task))
        await asyncio.wait([build.task], timeout=PATIENCE_SECONDS)
        if build.task.done():
            return build.task.result()
        raise NotReady(
            f"{build.done} of {label_set.prompt_count} prompts are embedded, and the rest is on its way;"
            " send this again to find it done",
            param="labels",
        )

    async def _built(self, label_set: LabelSet, build: _Build) -> LinearScorer:
        weights = np.empty((len(label_set.labels), label_set.manifest.dimension), dtype=np.float32)
        step = max(1, PROMPTS_A_STEP // max(1, label_set.prompt_count // len(label_set.labels)))
        for start in range(0, len(weights), step):
            positions = range(start, min(start + step, len(weights)))
            given = {position: row for position in positions if (row := label_set.given(position)) is not None}
            missing = [position for position in positions if position not in given]
            given |= zip(missing, await self._patiently_embedded(label_set, missing), strict=True)
            weights[start : positions.stop] = [given[position] for position in positions]
            build.done += sum(len(label_set.phrases[position]) for position in missing) * len(label_set.templates)
        return self._kept(label_set, cosine_scorer(Prototypes(label_set.labels, weights)))

    async def _patiently_embedded(self, label_set: LabelSet, positions: Sequence[int]) -> list[Float32]:
        while True:
            try:
                return await self._embedded(label_set, positions)
            except Overloaded as error:
                await asyncio.sleep(error.retry_after_seconds)

    def _forget(self, key: LabelSetKey, task: asyncio.Task[LinearScorer]) -> None:
        del self._builds[key]
        if not task.cancelled() and (error := task.exception()):
            logger.warning("a large label set could not be embedded: %s", error)

    def _kept(self, label_set: LabelSet, scorer: LinearScorer) -> LinearScorer:
        self._scorers.put(label_set.key, scorer)
        return scorer
