"""The limit: tokenising or decoding, then raw ONNX Runtime, in a process of its own that does nothing else.

Nothing is served: all items are there at once, so texts can be sorted by length over all of them.
"""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from simila.backends.onnx_runtime import OnnxRuntimeBackend
from simila.domain.manifest import ImageTower, Manifest, Modality, TextTower
from simila.domain.model_repository import ModelRepository, TowerFiles
from simila.preprocessing.images import image_row
from speed.loads import Item

MAX_IMAGE_PIXELS = 50_000_000


@dataclass(frozen=True)
class Layout:
    """`callers` threads call one session of `threads` threads, with batches of so many rows and padded tokens."""

    callers: int
    threads: int
    rows: int
    tokens: int | None = None

    def __str__(self) -> str:
        tokens = f", {self.tokens} tokens" if self.tokens else ""
        return f"{self.callers} callers x {self.threads} threads, {self.rows} rows{tokens}"


def layouts(modality: Modality, cores: int) -> list[Layout]:
    """Those worth a trial on this many cores."""
    if modality is Modality.IMAGE:
        return [*(Layout(cores, 1, rows) for rows in (1, 4, 8)), *(Layout(1, cores, rows) for rows in (8, 32))]
    return [
        *(Layout(cores, 1, rows=64, tokens=tokens) for tokens in (128, 256, 512)),
        Layout(cores, 1, rows=8),
        *(Layout(1, cores, rows) for rows in (8, 32)),
    ]


def cores() -> int:
    return len(os.sched_getaffinity(0))


class TextLimit:
    """A text tower: `run` returns once every text has its vector."""

    def __init__(self, tower: TextTower, files: TowerFiles) -> None:
        self._tower = tower
        self._files = files
        self._tokenizer = Tokenizer.from_file(str(files.tokenizer))
        self._tokenizer.enable_truncation(tower.context_length_tokens)

    def prepare(self, layout: Layout) -> None:
        self._backend = OnnxRuntimeBackend(self._files.onnx, self._tower.output_name, layout.threads)
        self._callers = ThreadPoolExecutor(layout.callers)
        self._layout = layout

    def run(self, texts: Sequence[str]) -> None:
        ids = sorted((encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))), key=len)
        batches = cut(ids, rows=self._layout.rows, tokens=self._layout.tokens)
        for _ in self._callers.map(self._run_batch, reversed(batches)):  # the long ones first, so that all end together
            pass

    def _run_batch(self, batch: Sequence[Sequence[int]]) -> None:
        ids = np.zeros((len(batch), len(batch[-1])), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, (padded_ids, padded_mask) in zip(batch, zip(ids, mask, strict=True), strict=True):
            padded_ids[: len(row)] = row
            padded_mask[: len(row)] = 1
        self._backend.run({self._tower.ids_name: ids, self._tower.mask_name: mask})


class ImageLimit:
    """An image tower: `run` returns once every image has its vector. Decoding is the server's own."""

    def __init__(self, tower: ImageTower, files: TowerFiles) -> None:
        self._tower = tower
        self._files = files

    def prepare(self, layout: Layout) -> None:
        self._backend = OnnxRuntimeBackend(self._files.onnx, self._tower.output_name, layout.threads)
        self._callers = ThreadPoolExecutor(layout.callers)
        self._decoders = ThreadPoolExecutor(layout.threads)
        self._layout = layout

    def run(self, images: Sequence[bytes]) -> None:
        rows = self._layout.rows
        for _ in self._callers.map(self._run_batch, [images[i : i + rows] for i in range(0, len(images), rows)]):
            pass

    def _run_batch(self, images: Sequence[bytes]) -> None:
        # A caller that has one core decodes by itself; one that has them all decodes on all.
        decode = map if self._layout.threads == 1 else self._decoders.map
        pixels = np.stack(list(decode(self._row, images)))
        self._backend.run({self._tower.input_name: pixels})

    def _row(self, image: bytes) -> NDArray[np.uint8]:
        return image_row(image, self._tower, max_pixels=MAX_IMAGE_PIXELS)


def cut(ids: Sequence[Sequence[int]], *, rows: int, tokens: int | None) -> list[Sequence[Sequence[int]]]:
    """Cut a list that is sorted by length into batches of at most `rows`, and `tokens` with the padding."""
    batches, start = [], 0
    for end in range(1, len(ids) + 1):
        is_last = end == len(ids)
        if is_last or end - start == rows or (tokens and len(ids[end]) * (end + 1 - start) > tokens):
            batches.append(ids[start:end])
            start = end
    return batches


class LimitProcess:
    """A process that knows one tower of one encoder; it sleeps between its runs."""

    def __init__(self, manifest: Manifest, modality: Modality, repository: ModelRepository) -> None:
        self.modality = modality
        # Spawned, not forked: ONNX Runtime's and the tokenizer's threads do not survive a fork.
        self._process = ProcessPoolExecutor(
            1, get_context("spawn"), initializer=_open, initargs=(manifest, modality, repository)
        )

    def prepare(self, layout: Layout) -> None:
        self._process.submit(_prepare, layout).result()

    def seconds(self, items: Sequence[Item]) -> float:
        return self.spent(items)[0]

    def spent(self, items: Sequence[Item]) -> tuple[float, float]:
        """Seconds that the items took, and seconds of processor time."""
        return self._process.submit(_spent, items).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown()


def best_layout(limit: LimitProcess, items: Sequence[Item], *, trials: int) -> tuple[Layout, dict[str, float]]:
    """Try the layouts in turn, several times, and return the one of the best median with the rates of all."""
    candidates = layouts(limit.modality, cores())
    seconds: dict[Layout, list[float]] = {layout: [] for layout in candidates}
    for _ in range(trials):
        for layout in candidates:
            limit.prepare(layout)
            limit.seconds(items[: len(items) // 4])  # the first run of a session allocates
            seconds[layout].append(limit.seconds(items))
    rates = {layout: len(items) / float(np.median(durations)) for layout, durations in seconds.items()}
    best = max(candidates, key=rates.__getitem__)
    limit.prepare(best)
    limit.seconds(items)
    return best, {str(layout): rate for layout, rate in rates.items()}


_tower: TextLimit | ImageLimit
"""Of the process that was started for it."""


def _open(manifest: Manifest, modality: Modality, repository: ModelRepository) -> None:
    global _tower  # noqa: PLW0603  an executor has no other place for what its process keeps
    files = repository.exported_tower(manifest, modality)
    if modality is Modality.TEXT:
        assert manifest.text
        _tower = TextLimit(manifest.text, files)
    else:
        assert manifest.image
        _tower = ImageLimit(manifest.image, files)


def _prepare(layout: Layout) -> None:
    _tower.prepare(layout)


def _spent(items: Sequence[Item]) -> tuple[float, float]:
    began, began_cpu = time.perf_counter(), time.process_time()
    _tower.run(items)
    return time.perf_counter() - began, time.process_time() - began_cpu
