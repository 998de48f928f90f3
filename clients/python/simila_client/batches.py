"""Many inputs in requests that the server takes, and their answers as one. Without I/O.

`embedding` is a dialogue: it yields requests and is sent their answers, or has their errors thrown into it, so that
blocking and awaiting shells drive the same one.
"""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simila_client import wire
from simila_client.contents import size_bytes
from simila_client.errors import ApiError, BadRequest, CannotServe, InvalidArgument, TooLarge
from simila_client.request import Json, Request
from simila_client.results import Embeddings, Input, InputError, Source

BATCH_ITEMS = 256
BATCH_BYTES = 16 * 2**20

Dialogue = Generator[Request[Embeddings], Embeddings, Embeddings]

_NAME = re.compile(r"\b(?:input|image)\[\d+\]")


@dataclass(frozen=True)
class Batch:
    """Neighbouring inputs, the first of which is the caller's `start`-th."""

    start: int
    sources: Sequence[Source]


def cut(sources: Iterable[Source], *, batch_items: int, batch_bytes: int = BATCH_BYTES) -> Iterator[Batch]:
    """Batches of at most so many inputs and bytes; an input that is larger than that has its own."""
    start, batch, filled_bytes = 0, [], 0  # type: int, list[Source], int
    for source in sources:
        size = size_bytes(source)
        if batch and (len(batch) == batch_items or filled_bytes + size > batch_bytes):
            yield Batch(start, batch)
            start, batch, filled_bytes = start + len(batch), [], 0
        batch.append(source)
        filled_bytes += size
    if batch:
        yield Batch(start, batch)


def embedding(start: int, contents: Sequence[Input | InvalidArgument], options: Mapping[str, Json]) -> Dialogue:
    """Embed contents, or what was wrong with them, halving requests that are too large for this server.

    With the option `on_error` "partial" an input that fails leaves its error, and no other input suffers. Otherwise the
    first error is raised, with the caller's position in it.
    """
    is_partial = options.get("on_error") == "partial"
    if is_partial:
        contents = [_text_or_error(one) if isinstance(one, str) else one for one in contents]
    bad = {at: one for at, one in enumerate(contents) if isinstance(one, InvalidArgument)}
    if bad and not is_partial:
        raise next(iter(bad.values()))
    good = [at for at in range(len(contents)) if at not in bad]
    failures = {at: InputError(one.message, "invalid_argument") for at, one in bad.items()}
    if not good:
        return _failed(failures, len(contents), options["model"])
    places = [start + at for at in good]
    answer = yield from _embedding(places, [one for one in contents if isinstance(one, str | bytes)], options)
    return answer if not bad else _scattered(answer, good, failures, len(contents))


def _text_or_error(text: str) -> str | InvalidArgument:
    """A text, or why the whole request would be refused for it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return InvalidArgument(f"not UTF-8 ({error.reason} at character {error.start})")
    return text or InvalidArgument("must not be empty")


def _embedding(places: Sequence[int], contents: Sequence[Input], options: Mapping[str, Json]) -> Dialogue:
    """`places` are the caller's positions of `contents`, by which errors name them."""
    try:
        answer = yield wire.embed(contents, **options)
    except TooLarge as error:
        if len(contents) > 1:
            half = len(contents) // 2
            first = yield from _embedding(places[:half], contents[:half], options)
            second = yield from _embedding(places[half:], contents[half:], options)
            return joined([first, second])
        return _given_up(error, places, contents, options)
    except (BadRequest, CannotServe) as error:
        return _given_up(error, places, contents, options)
    if not answer.errors:
        return answer
    return replace(
        answer,
        errors={at: replace(one, message=_renamed(one.message, places, contents)) for at, one in answer.errors.items()},
    )


def _given_up(
    error: ApiError, places: Sequence[int], contents: Sequence[Input], options: Mapping[str, Json]
) -> Embeddings:
    names_input = _NAME.search(error.message) or _NAME.search(error.param or "")
    error.message = _renamed(error.message, places, contents)
    error.param = error.param and _renamed(error.param, places, contents)
    error.args = (error.message,)
    # Where all inputs fail, the server refuses the request. Errors that name none are about the request itself.
    if options.get("on_error") != "partial" or not (names_input or len(contents) == 1):
        raise error
    failures = {at: InputError(error.message, error.code) for at in range(len(contents))}
    return _failed(failures, len(contents), options["model"])


def _renamed(text: str, places: Sequence[int], contents: Sequence[Input]) -> str:
    """The server's names of inputs as the caller counts them."""
    of_names = {name: f"input[{place}]" for name, place in zip(wire.names(contents), places, strict=True)}
    return _NAME.sub(lambda found: of_names.get(found[0], found[0]), text)


def joined(parts: Sequence[Embeddings]) -> Embeddings:
    """The answers of neighbouring requests as one."""
    if len(parts) == 1:
        return parts[0]
    starts = accumulate((len(part.vectors) for part in parts), initial=0)
    moved = ((start + at, one) for start, part in zip(starts, parts, strict=False) for at, one in part.errors.items())
    width, code_width = (max(getattr(part, rows).shape[1] for part in parts) for rows in ("vectors", "codes"))
    dtype = next((part.codes.dtype for part in parts if part.codes.size), np.dtype(np.float32))
    return Embeddings(
        vectors=np.concatenate([_widened(part.vectors, width, np.nan) for part in parts]),
        codes=np.concatenate([_widened(part.codes, code_width, 0).astype(dtype, copy=False) for part in parts]),
        truncated=tuple(flag for part in parts for flag in part.truncated),
        model=parts[0].model,
        prompt_tokens=sum(part.prompt_tokens for part in parts),
        total_tokens=sum(part.total_tokens for part in parts),
        errors=dict(moved),
    )


def _widened(rows: NDArray[Any], width: int, value: float) -> NDArray[Any]:
    # Of a batch in which every input failed, nobody has said how many dimensions there are.
    return rows if rows.shape[1] == width else np.full((len(rows), width), value, dtype=rows.dtype)


def _failed(failures: Mapping[int, InputError], inputs: int, model: str) -> Embeddings:
    nothing = np.empty((inputs, 0), dtype=np.float32)
    return Embeddings(nothing, nothing, (False,) * inputs, model, 0, 0, failures)


def _scattered(answer: Embeddings, good: Sequence[int], failures: Mapping[int, InputError], inputs: int) -> Embeddings:
    vectors = np.full((inputs, answer.vectors.shape[1]), np.nan, dtype=np.float32)
    codes = np.zeros((inputs, answer.codes.shape[1]), dtype=answer.codes.dtype)
    vectors[good], codes[good] = answer.vectors, answer.codes
    flags = dict(zip(good, answer.truncated, strict=True))
    return replace(
        answer,
        vectors=vectors,
        codes=codes,
        truncated=tuple(flags.get(at, False) for at in range(inputs)),
        errors={**failures, **{good[at]: error for at, error in answer.errors.items()}},
    )
