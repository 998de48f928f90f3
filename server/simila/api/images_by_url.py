"""Images that a request names by URL: fetched before anything of the request is read, here and nowhere else.

So all that reads images has their bytes: what is stored, embedded or shown later never depends on the URL again.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from simila.api.access import count_bytes
from simila.api.schemas.inputs import InputReader, is_image_url
from simila.domain.errors import LimitExceeded, SimilaError
from simila.preprocessing.fetching import ImageFetcher

# What callers keep there is theirs: an item may have `{"image": "https://…"}` among its payload.
_NEVER_READ = ("payload", "filter")


class ImagesByUrl:
    """Fetches the images of one request; together they may be as large as a body."""

    def __init__(self, fetcher: ImageFetcher, *, max_images: int, max_bytes: int) -> None:
        self._fetcher = fetcher
        self._max_images = max_images
        self._max_bytes = max_bytes

    async def reader_of(self, body: Any, reader: InputReader) -> InputReader:
        """A reader that has the images of this body, a model or parsed JSON.

        What could not be fetched fails where it is read.

        Raises:
            LimitExceeded: there are too many.

        """
        urls = list(dict.fromkeys(image_urls(body)))
        if not urls:
            return reader
        if len(urls) > self._max_images:
            limit = f"{self._max_images} (SIMILA_FETCH__MAX_IMAGES)"
            raise LimitExceeded(f"{len(urls)} images by URL are more than the limit of {limit}")
        return reader.with_images(await self._fetched(urls))

    async def close(self) -> None:
        await self._fetcher.close()

    async def _fetched(self, urls: Sequence[str]) -> Mapping[str, bytes | SimilaError]:
        left_bytes = self._max_bytes

        async def fetched(url: str) -> bytes | SimilaError:
            nonlocal left_bytes
            try:
                data = await self._fetcher.fetched(url)
            except SimilaError as error:
                return error
            count_bytes(len(data))
            left_bytes -= len(data)
            if left_bytes < 0:
                limit = f"{self._max_bytes} bytes (SIMILA_LIMITS__MAX_BODY_BYTES)"
                return LimitExceeded(f"the images by URL of one request are larger than the limit of {limit}")
            return data

        return dict(zip(urls, await asyncio.gather(*map(fetched, urls)), strict=True))


def image_urls(body: Any) -> Iterator[str]:
    """The URLs where a request has images: at `image`, and as `input` where its `modality` says so."""
    waiting = [body]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            # Vectors and token ids are the longest lists.
            waiting += [] if value and isinstance(value[0], int | float) else value
        elif fields := _fields(value):
            yield from filter(is_image_url, _images_at(fields))
            waiting += [below for name, below in fields.items() if name not in _NEVER_READ]


def _fields(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, BaseModel):
        return value.__dict__
    return value if isinstance(value, dict) else None


def _images_at(fields: Mapping[str, Any]) -> list[Any]:
    images = [fields.get("image")]
    if fields.get("modality") == "image":
        inputs = fields.get("input")
        images += inputs if isinstance(inputs, list) else [inputs]
    return images
