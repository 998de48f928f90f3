"""The part of the blocking client that embeds: any number of inputs, in requests side by side."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from simila_client.batches import BATCH_ITEMS, Batch, Dialogue, cut, embedding, joined
from simila_client.bodies import listed
from simila_client.contents import read_input
from simila_client.errors import ApiError, InvalidArgument
from simila_client.request import Json
from simila_client.results import Embeddings, Input, Source
from simila_client.transport import Transport

CONCURRENCY = 4


class EmbeddingCalls:
    """Methods of `Simila`."""

    _transport: Transport

    def embed(
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
        """Vectors of texts and images, `float32 [n, d], unit length`, in the order of `inputs`.

        `dimensions` keeps the leading ones, unit length again. With `truncate` false, a text past the encoder's
        context length is refused; otherwise it is cut, and flagged. With an `embedding_type` of `float16`, `int8`,
        `binary` or `ubinary` the answer is a half to a thirty-second as large, and the vectors are as exact as that.
        `task` is `retrieval.query` or `retrieval.passage`, for encoders that tell them apart. With an `on_error` of
        `partial`, inputs that fail have rows of NaN and an entry in `errors`, as long as one succeeds.

        Many inputs go in requests of `batch_items`, `concurrency` at a time; `on_progress` is told how many inputs are
        done, of how many.
        """
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
        for part in self._embedded(batches, options, min(concurrency, len(batches))):
            parts.append(part)
            done += len(part.vectors)
            if on_progress:
                on_progress(done, len(sources))
        return checked_partial(joined(parts))

    def embed_stream(
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
    ) -> Iterator[Embeddings]:
        """`embed` for inputs without end: vectors batch by batch, in order, in memory that does not grow.

        Inputs are drawn as answers are taken, at most `concurrency` batches ahead.
        """
        options = {
            "model": model,
            "dimensions": dimensions,
            "truncate": truncate,
            "embedding_type": embedding_type,
            "task": task,
            "on_error": on_error,
        }
        yield from self._embedded(cut(inputs, batch_items=batch_items), options, concurrency)

    def _embedded(self, batches: Iterable[Batch], options: dict[str, Json], concurrency: int) -> Iterator[Embeddings]:
        def embedded(batch: Batch) -> Embeddings:
            contents = [read_or_error(source) for source in batch.sources]
            return self._answered(embedding(batch.start, contents, options))

        if concurrency <= 1:
            yield from map(embedded, batches)
            return
        waiting: deque[Future[Embeddings]] = deque()
        with ThreadPoolExecutor(concurrency, thread_name_prefix="simila-client") as pool:
            try:
                for batch in batches:
                    waiting.append(pool.submit(embedded, batch))
                    if len(waiting) == concurrency:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for one in waiting:
                    one.cancel()

    def _answered(self, dialogue: Dialogue) -> Embeddings:
        try:
            request = next(dialogue)
            while True:
                try:
                    answer = self._transport.send(request)
                except ApiError as error:
                    request = dialogue.throw(error)
                else:
                    request = dialogue.send(answer)
        except StopIteration as end:
            result: Embeddings = end.value
            return result


def read_or_error(source: Source) -> Input | InvalidArgument:
    """An input as the wire carries it, or why there is none."""
    try:
        return read_input(source)
    except InvalidArgument as error:
        return error


def checked_partial(embeddings: Embeddings) -> Embeddings:
    """The same, unless every input failed, which is an error of the request.

    Raises:
        InvalidArgument: no input has a vector.

    """
    if embeddings.errors and len(embeddings.errors) == len(embeddings.vectors):
        raise InvalidArgument(f"all inputs failed; the first: {embeddings.errors[0].message}")
    return embeddings
