"""The image tower at work: encoded images in, unit vectors out."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from time import perf_counter

import numpy as np

from simila.backends import Backend
from simila.domain.errors import SimilaError
from simila.domain.inputs import Embedded, ImageInput
from simila.domain.manifest import ImageTower, Manifest, Modality
from simila.domain.vectors import Float32
from simila.engine.tower_queue import TowerQueue
from simila.engine.waiting_rows import BatchLimits
from simila.preprocessing.bands import band_rows
from simila.preprocessing.images import ImageRow, image_rows


class RunningImageTower:
    """Decodes in `pool`, batches, runs `backend`."""

    def __init__(
        self,
        manifest: Manifest,
        tower: ImageTower,
        backend: Backend,
        *,
        pool: Executor,
        max_image_pixels: int,
        max_batch_items: int,
        max_queue_seconds: float,
        workers: int,
    ) -> None:
        self._tower = tower
        self._backend = backend
        self._pool = pool
        self._max_image_pixels = max_image_pixels
        self._queue: TowerQueue[ImageRow] = TowerQueue(
            manifest,
            Modality.IMAGE,
            self._run,
            length=lambda _: 1,
            limits=BatchLimits(max_batch_items, padded_length=max_batch_items),
            max_queue_seconds=max_queue_seconds,
            workers=workers,
        )

    async def embed(self, inputs: Sequence[ImageInput], *, truncate: bool) -> Embedded:  # noqa: ARG002  texts only
        """Decode, batch and run; a bad image fails alone.

        Raises:
            Overloaded: see `Admission`.

        """
        with self._queue.admit(len(inputs)):
            began_at = perf_counter()
            rows = await self._decoded(inputs)
            return await self._queue.run(
                rows,
                tokens=(0,) * len(rows),
                truncated=(False,) * len(rows),
                preprocess_seconds=perf_counter() - began_at,
            )

    def seconds_since_batch(self) -> float:
        return self._queue.seconds_since_batch()

    def close(self) -> None:
        self._queue.close()

    async def _decoded(self, inputs: Sequence[ImageInput]) -> list[ImageRow | SimilaError]:
        """A row for each input; inputs that are views of the same bytes are decoded as one."""
        positions_of: dict[int, list[int]] = {}
        for position, image in enumerate(inputs):
            positions_of.setdefault(id(image.data), []).append(position)
        loop = asyncio.get_running_loop()
        seen = await asyncio.gather(
            *(
                loop.run_in_executor(self._pool, self._rows, [inputs[position] for position in positions])
                for positions in positions_of.values()
            )
        )
        row_at = {
            position: row
            for positions, rows in zip(positions_of.values(), seen, strict=True)
            for position, row in zip(positions, rows, strict=True)
        }
        return [row_at[position] for position in range(len(inputs))]

    def _rows(self, images: Sequence[ImageInput]) -> Sequence[ImageRow | SimilaError]:
        views = [image.view for image in images]
        read = image_rows if self._tower.is_rgb else band_rows
        try:
            return read(images[0].data, self._tower, max_pixels=self._max_image_pixels, views=views)
        except SimilaError as error:
            return [error] * len(images)

    def _run(self, rows: Sequence[ImageRow]) -> Float32:
        return self._backend.run({self._tower.input_name: np.stack(rows)})
