"""A loaded encoder: lists of inputs in, unit vectors out."""

import asyncio
import io
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np

from simila.domain.errors import LimitExceeded, SimilaError, UnsupportedModality
from simila.domain.golden import Certificate, GoldenSet, certify
from simila.domain.inputs import Embedded, ImageInput, Input, TextInput, Timings
from simila.domain.manifest import Manifest, Modality
from simila.domain.results import Token
from simila.engine.cached_tower import CachedTower, Tower
from simila.engine.vector_cache import VectorCache

ONE_GREY_PIXEL_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b"
    "550000000a4944415478da6368000000820081da45083b0000000049454e44ae426082"
)
CANARIES: Mapping[Modality, Input] = {
    Modality.TEXT: TextInput("ready"),
    Modality.IMAGE: ImageInput(ONE_GREY_PIXEL_PNG),
}


def canary(manifest: Manifest, modality: Modality) -> Input:
    """The smallest input of an encoder: of a modality, or one pixel in its bands."""
    if modality is Modality.TEXT or manifest.image is None or manifest.image.is_rgb:
        return CANARIES[modality]
    pixel = io.BytesIO()
    np.save(pixel, np.zeros((1, 1, manifest.image.channels), manifest.image.row_dtype))
    return ImageInput(pixel.getvalue())


class RunningTower(Protocol):
    """One tower with its preprocessing and its batcher."""

    async def embed(self, inputs: Sequence[Any], *, truncate: bool) -> Embedded: ...

    def seconds_since_batch(self) -> float: ...

    def close(self) -> None: ...


class TokenizingTower(Protocol):
    """What a text tower does besides."""

    async def tokenize(self, texts: Sequence[str], *, special_tokens: bool) -> list[list[Token]]: ...


class Closeable(Protocol):
    """What an encoder ends when it ends."""

    def close(self) -> None: ...


class Encoder:
    """The towers of one manifest, running, behind `cache` if there is one; `backends` are those that they run on."""

    def __init__(
        self,
        manifest: Manifest,
        towers: Mapping[Modality, RunningTower],
        cache: VectorCache | None = None,
        backends: Sequence[Closeable] = (),
    ) -> None:
        self.manifest = manifest
        self._towers = towers
        self._backends = backends
        self._holders: set[asyncio.Task[Any]] = set()
        self._served: Mapping[Modality, Tower] = towers
        if cache:
            self._served = {modality: CachedTower(tower, cache, manifest) for modality, tower in towers.items()}

    async def embed(self, inputs: Sequence[Input], *, truncate: bool = True) -> Embedded:
        """Embed texts and images side by side; an input that cannot be embedded fails alone."""
        return await self._embed_through(self._served, inputs, truncate=truncate)

    async def tokenize(self, texts: Sequence[str], *, special_tokens: bool) -> list[list[Token]]:
        """All tokens of Unicode texts, not cut at the context length.

        Raises:
            UnsupportedModality: the encoder has no tower for texts.

        """
        if Modality.TEXT not in self._towers:
            raise UnsupportedModality(f"encoder {self.manifest.name} embeds no texts, and has no tokens")
        return await cast("TokenizingTower", self._towers[Modality.TEXT]).tokenize(texts, special_tokens=special_tokens)

    async def check_parity(self, golden: GoldenSet, floor: float | None = None) -> Certificate:
        """Embed the golden inputs, past the cache, and compare them with the reference library's vectors.

        `floor` is the least cosine that holds; by default the manifest's. Inputs over this server's limits are left
        out: they are never served.

        Raises:
            SimilaError: another input cannot be embedded.

        """
        inputs = [TextInput(entry) if isinstance(entry, str) else ImageInput(entry) for entry in golden.inputs]
        embedded = await self._embed_through(self._towers, inputs, truncate=True)
        served = [p for p in range(len(golden.inputs)) if not isinstance(embedded.failures.get(p), LimitExceeded)]
        for position in served:
            if position in embedded.failures:
                raise embedded.failures[position]
        checked = GoldenSet(
            tuple(golden.names[position] for position in served),
            tuple(golden.inputs[position] for position in served),
            golden.vectors[served],
        )
        return certify(checked, embedded.vectors[served], floor or self.manifest.parity_floor)

    def hold(self, task: "asyncio.Task[Any] | None") -> None:
        """Remember that `task` may embed until it is done: before that, the encoder must not be closed."""
        if task and task not in self._holders:
            self._holders.add(task)
            task.add_done_callback(self._holders.discard)

    async def released(self) -> None:
        """Wait until no task holds the encoder, except the one that waits."""
        while others := self._holders - {asyncio.current_task()}:
            await asyncio.wait(others)

    async def check_alive(self) -> None:
        """Run one real inference through every tower, past the cache.

        Raises:
            SimilaError: a tower failed.

        """
        canaries = [canary(self.manifest, modality) for modality in self.manifest.modalities]
        embedded = await self._embed_through(self._towers, canaries, truncate=True)
        for error in embedded.failures.values():
            raise error

    def seconds_since_batch(self) -> float:
        """How long ago a batch was done, by the tower for which that is longest."""
        return max(tower.seconds_since_batch() for tower in self._towers.values())

    def close(self) -> None:
        for part in (*self._towers.values(), *self._backends):
            part.close()

    async def _embed_through(
        self, towers: Mapping[Modality, Tower], inputs: Sequence[Input], *, truncate: bool
    ) -> Embedded:
        modalities = {entry.modality for entry in inputs}
        if len(modalities) == 1:  # most requests: no tasks, and nothing to put together
            return await self._embed_part(towers, modalities.pop(), inputs, truncate=truncate)
        positions = {
            modality: [position for position, entry in enumerate(inputs) if entry.modality is modality]
            for modality in modalities
        }
        parts = await asyncio.gather(
            *(
                self._embed_part(towers, modality, [inputs[position] for position in chosen], truncate=truncate)
                for modality, chosen in positions.items()
            )
        )
        return _merge(len(inputs), self.manifest.dimension, list(zip(positions.values(), parts, strict=True)))

    async def _embed_part(
        self, towers: Mapping[Modality, Tower], modality: Modality, inputs: Sequence[Input], *, truncate: bool
    ) -> Embedded:
        if modality not in towers:
            return self._refuse(modality, len(inputs))
        return await towers[modality].embed(inputs, truncate=truncate)

    def _refuse(self, modality: Modality, inputs: int) -> Embedded:
        embeds = " and ".join(f"{own}s" for own in self.manifest.modalities)
        error: SimilaError = UnsupportedModality(f"encoder {self.manifest.name} embeds {embeds}, not {modality}s")
        vectors = np.zeros((inputs, self.manifest.dimension), dtype=np.float32)
        return Embedded(vectors, (0,) * inputs, (False,) * inputs, dict.fromkeys(range(inputs), error))


def _merge(inputs: int, dimension: int, parts: Sequence[tuple[Sequence[int], Embedded]]) -> Embedded:
    """Put each part's results at its inputs' positions."""
    vectors = np.zeros((inputs, dimension), dtype=np.float32)
    tokens = [0] * inputs
    truncated = [False] * inputs
    failures: dict[int, SimilaError] = {}
    timings = Timings()
    for positions, part in parts:
        timings = timings.beside(part.timings)
        vectors[positions] = part.vectors
        failures |= {positions[index]: error for index, error in part.failures.items()}
        for index, position in enumerate(positions):
            tokens[position] = part.tokens[index]
            truncated[position] = part.truncated[index]
    return Embedded(vectors, tuple(tokens), tuple(truncated), failures, timings)
