"""The part of the awaiting client that embeds: what `embedding_calls` does with threads, with tasks."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from simila_client.async_transport import AsyncTransport
from simila_client.batches import BATCH_ITEMS, Batch, Dialogue, cut, embedding, joined
from simila_client.bodies import listed
from simila_client.embedding_calls import CONCURRENCY, checked_partial, read_or_error
from simila_client.errors import ApiError, InvalidArgument
from simila_client.request import Json
from simila_client.results import Embeddings, Input, Source


class AsyncEmbeddingCalls:
    """Methods of `AsyncSimila`."""

    _transport: AsyncTransport

    async def embed(
        self,
        inputs: Sequence[Source],
        *,
        model: str,
        dimensions: int | None = None,
        truncate: bool | None = None,
        embedding_type: str | None = None,
        task: str | None = None,
        on_error: str | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        batch_items: int = BATCH_ITEMS,
        concurrency: int = CONCURRENCY,
    ) -> Embeddings:
        """Vectors of texts and images, `float32 [n, d], unit length`: see `Simila.embed`."""
        options = {
            "model": model,
            "dimensions": dimensions,
            "truncate": truncate,
            "embedding_type": embedding_type,
            "task": task,
            "on_error": on_error,
        }
        sources = listed("inputs", inputs)
        batches = list(cut(sources, batch_items=batch_items)) or [Batch(0, [])]
        parts: list[Embeddings] = []
        done = 0
        async for part in self._embedded(batches, options, concurrency):
            parts.append(part)
            done += len(part.vectors)
            if on_progress:
                on_progress(done, len(sources))
        return checked_partial(joined(parts))

    async def embed_stream(
        self,
        inputs: Iterable[Source],
        *,
        model: str,
        dimensions: int | None = None,
        truncate: bool | None = None,
        embedding_type: str | None = None,
        task: str | None = None,
        on_error: str | None = None,
        batch_items: int = BATCH_ITEMS,
        concurrency: int = CONCURRENCY,
    ) -> AsyncIterator[Embeddings]:
        """Vectors batch by batch, in order, in memory that does not grow: see `Simila.embed_stream`."""
        options = {
            "model": model,
            "dimensions": dimensions,
            "truncate": truncate,
            "embedding_type": embedding_type,
            "task": task,
            "on_error": on_error,
        }
        async for part in self._embedded(cut(inputs, batch_items=batch_items), options, concurrency):
            yield part

    async def _embedded(
        self, batches: Iterable[Batch], options: dict[str, Json], concurrency: int
    ) -> AsyncIterator[Embeddings]:
        waiting: deque[asyncio.Task[Embeddings]] = deque()
        try:
            for batch in batches:
                waiting.append(asyncio.create_task(self._batch(batch, options)))
                if len(waiting) >= concurrency:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _batch(self, batch: Batch, options: dict[str, Json]) -> Embeddings:
        contents: list[Input | InvalidArgument] = []
        for source in batch.sources:
            if isinstance(source, str | bytes):
                contents.append(source)
            else:
                contents.append(await asyncio.to_thread(read_or_error, source))
        return await self._answered(embedding(batch.start, contents, options))

    async def _answered(self, dialogue: Dialogue) -> Embeddings:
        try:
            request = next(dialogue)
            while True:
                try:
                    answer = await self._transport.send(request)
                except ApiError as error:
                    request = dialogue.throw(error)
                else:
                    request = dialogue.send(answer)
        except StopIteration as end:
            result: Embeddings = end.value
            return result
