"""Use case: see what an item is."""

import asyncio

from simila.domain.errors import NotFound
from simila.index.catalogue import Catalogue
from simila.preprocessing.thumbnails import thumbnail
from simila.services.collections import unknown_item

MOST_AT_ONCE = 2


class ThumbnailService:
    """Small pictures of the images that collections keep, a few at once so that they hold up no inference."""

    def __init__(self, catalogue: Catalogue, *, max_image_pixels: int) -> None:
        self._catalogue = catalogue
        self._max_image_pixels = max_image_pixels
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)

    async def jpeg(self, name: str, item_id: str, *, edge_pixels: int) -> bytes:
        """The picture of an item, neither edge longer than `edge_pixels`.

        Raises:
            UnknownItem: there is no such item.
            NotFound: nothing was kept of it (`store_inputs`), or a text.
            LimitExceeded, InvalidImage: see `thumbnail`.

        """
        async with self._turns:
            return await asyncio.to_thread(self._jpeg, name, item_id, edge_pixels)

    def _jpeg(self, name: str, item_id: str, edge_pixels: int) -> bytes:
        reader = self._catalogue.get(name).reader
        source = reader.input_of(item_id)
        if source is None and reader.get(item_id) is None:
            raise unknown_item(name, item_id, param="id")
        if source is None or source.kind != "image":
            message = (
                f"collection {name} keeps no picture of '{item_id}'; one made with store_inputs: true keeps images"
            )
            raise NotFound(message, param="id")
        return thumbnail(source.content, edge_pixels=edge_pixels, max_pixels=self._max_image_pixels)
