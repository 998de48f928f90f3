"""The image tower at work: encoded images in, unit vectors out."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from simila.backends import Backend
from simila.domain.errors import SimilaError
from simila.domain.inputs import Embedded, ImageInput
from simila.domain.manifest import ImageTower, Manifest
from simila.domain.vectors import Float32
from simila.engine.assembly import assemble, finite
from simila.engine.micro_batcher import BatchLimits, MicroBatcher
from simila.preprocessing.images import ImageRow, image_row


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
    ) -> None:
        self._tower = tower
        self._backend = backend
        self._pool = pool
        self._max_image_pixels = max_image_pixels
        self._batcher = MicroBatcher(
            f"{manifest.name}.image",
            self._run,
            length=lambda _: 1,
            dimension=manifest.dimension,
            limits=BatchLimits(max_batch_items, padded_length=max_batch_items),
        )

    async def embed(self, inputs: Sequence[ImageInput], *, truncate: bool) -> Embedded:  # noqa: ARG002  texts only
        loop = asyncio.get_running_loop()
        decoding = [loop.run_in_executor(self._pool, self._row, image) for image in inputs]
        rows = await asyncio.gather(*decoding)
        return await assemble(self._batcher, rows, tokens=[0] * len(rows))

    def close(self) -> None:
        self._batcher.close()

    def _row(self, image: ImageInput) -> ImageRow | SimilaError:
        try:
            return image_row(image.data, self._tower, max_pixels=self._max_image_pixels)
        except SimilaError as error:
            return error

    def _run(self, rows: Sequence[ImageRow]) -> Float32:
        return finite(self._backend.run({self._tower.input_name: np.stack(rows)}))
