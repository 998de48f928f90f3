"""The text tower at work: texts or token ids in, unit vectors out."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from time import perf_counter

import numpy as np

from simila.backends import Backend
from simila.domain.errors import SimilaError, TextTooLong
from simila.domain.inputs import Embedded, TextInput, TokensInput
from simila.domain.manifest import Manifest, Modality, TextTower
from simila.domain.results import Token
from simila.domain.vectors import Float32
from simila.engine.tower_queue import TowerQueue
from simila.engine.waiting_rows import BatchLimits
from simila.preprocessing.texts import TextRow, TextTokenizer

# Good enough to weigh a text before it is tokenised.
CHARACTERS_PER_TOKEN = 4
# Up to here, tokenising takes no longer than the way to a thread and back.
MOST_CHARACTERS_TOKENISED_IN_THE_LOOP = 500


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
        max_queue_seconds: float,
        workers: int,
    ) -> None:
        self._tower = tower
        self._backend = backend
        self._tokenizer = tokenizer
        self._pool = pool
        self._queue: TowerQueue[TextRow] = TowerQueue(
            manifest,
            Modality.TEXT,
            self._run,
            length=lambda row: len(row.ids),
            limits=limits,
            max_queue_seconds=max_queue_seconds,
            workers=workers,
        )

    async def embed(self, inputs: Sequence[TextInput | TokensInput], *, truncate: bool) -> Embedded:
        """Tokenise, batch and run. Texts past the context length are cut, or else each fails with `TextTooLong`.

        Raises:
            Overloaded: see `Admission`.

        """
        with self._queue.admit(sum(map(self._likely_tokens, inputs))):
            began_at = perf_counter()
            if sum(map(_characters, inputs)) <= MOST_CHARACTERS_TOKENISED_IN_THE_LOOP:
                rows = self._rows(inputs)
            else:
                rows = await asyncio.get_running_loop().run_in_executor(self._pool, self._rows, inputs)
            preprocess_seconds = perf_counter() - began_at
            if not truncate:
                rows = [self._refused(row) if isinstance(row, TextRow) and row.truncated else row for row in rows]
            return await self._queue.run(
                rows,
                tokens=[len(row.ids) if isinstance(row, TextRow) else 0 for row in rows],
                truncated=[isinstance(row, TextRow) and row.truncated for row in rows],
                preprocess_seconds=preprocess_seconds,
            )

    async def tokenize(self, texts: Sequence[str], *, special_tokens: bool) -> list[list[Token]]:
        """All tokens of Unicode texts, not cut."""
        tokenize = partial(self._tokenizer.tokens_of_texts, texts, special_tokens=special_tokens)
        return await asyncio.get_running_loop().run_in_executor(self._pool, tokenize)

    def seconds_since_batch(self) -> float:
        return self._queue.seconds_since_batch()

    def close(self) -> None:
        self._queue.close()

    def _rows(self, texts: Sequence[TextInput | TokensInput]) -> list[TextRow | SimilaError]:
        strings = [entry.text for entry in texts if isinstance(entry, TextInput)]
        tokenised = iter(self._tokenizer.rows_of_texts(strings))
        return [next(tokenised) if isinstance(entry, TextInput) else self._given(entry) for entry in texts]

    def _given(self, entry: TokensInput) -> TextRow | SimilaError:
        try:
            return self._tokenizer.row_of_ids(entry.ids)
        except SimilaError as error:
            return error

    def _likely_tokens(self, entry: TextInput | TokensInput) -> int:
        return min(_characters(entry) // CHARACTERS_PER_TOKEN + 2, self._tower.context_length_tokens)

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
        return self._backend.run({self._tower.ids_name: ids, self._tower.mask_name: mask})


def _characters(entry: TextInput | TokensInput) -> int:
    return len(entry.text) if isinstance(entry, TextInput) else len(entry.ids) * CHARACTERS_PER_TOKEN
