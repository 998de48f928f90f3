"""The text tower at work: texts or token ids in, unit vectors out."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np

from simila.backends import Backend
from simila.domain.errors import SimilaError, TextTooLong
from simila.domain.inputs import Embedded, TextInput, TokensInput
from simila.domain.manifest import Manifest, TextTower
from simila.domain.vectors import Float32
from simila.engine.assembly import assemble, finite
from simila.engine.micro_batcher import BatchLimits, MicroBatcher
from simila.preprocessing.texts import TextRow, TextTokenizer


class RunningTextTower:
    """Tokenises in `pool`, batches texts of like length, runs `backend`."""

    def __init__(
        self,
        manifest: Manifest,
        tower: TextTower,
        backend: Backend,
        tokenizer: TextTokenizer,
        *,
        pool: Executor,
        limits: BatchLimits,
    ) -> None:
        self._tower = tower
        self._backend = backend
        self._tokenizer = tokenizer
        self._pool = pool
        self._batcher = MicroBatcher(
            f"{manifest.name}.text",
            self._run,
            length=lambda row: len(row.ids),
            dimension=manifest.dimension,
            limits=limits,
        )

    async def embed(self, inputs: Sequence[TextInput | TokensInput], *, truncate: bool) -> Embedded:
        """Texts past the context length are cut when `truncate` is true; else each fails with `TextTooLong`."""
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._pool, self._rows, inputs)
        if not truncate:
            rows = [self._refused(row) if isinstance(row, TextRow) and row.truncated else row for row in rows]
        tokens = [len(row.ids) if isinstance(row, TextRow) else 0 for row in rows]
        truncated = [isinstance(row, TextRow) and row.truncated for row in rows]
        return await assemble(self._batcher, rows, tokens=tokens, truncated=truncated)

    def close(self) -> None:
        self._batcher.close()

    def _rows(self, texts: Sequence[TextInput | TokensInput]) -> list[TextRow | SimilaError]:
        strings = [entry.text for entry in texts if isinstance(entry, TextInput)]
        tokenised = iter(self._tokenizer.rows_of_texts(strings))
        return [next(tokenised) if isinstance(entry, TextInput) else self._given(entry) for entry in texts]

    def _given(self, entry: TokensInput) -> TextRow | SimilaError:
        try:
            return self._tokenizer.row_of_ids(entry.ids)
        except SimilaError as error:
            return error

    def _refused(self, row: TextRow) -> TextTooLong:
        return TextTooLong(
            f"the text has {row.tokens} tokens, more than the encoder's context length of"
            f" {self._tower.context_length_tokens}; shorten it or send truncate: true"
        )

    def _run(self, rows: Sequence[TextRow]) -> Float32:
        ids = np.zeros((len(rows), max(len(row.ids) for row in rows)), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, padded_ids, padded_mask in zip(rows, ids, mask, strict=True):
            padded_ids[: len(row.ids)] = row.ids
            padded_mask[: len(row.ids)] = 1
        return finite(self._backend.run({self._tower.ids_name: ids, self._tower.mask_name: mask}))
