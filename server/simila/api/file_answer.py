"""An open file as the body of an answer."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import BinaryIO

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

_CHUNK_BYTES = 2**20


class FileAnswer(StreamingResponse):
    """Send a file whole, and close it at the end, also when the client leaves before it."""

    def __init__(self, file: BinaryIO, *, media_type: str, file_name: str) -> None:
        self._file = file
        headers = {
            "content-length": str(os.fstat(file.fileno()).st_size),
            "content-disposition": f'attachment; filename="{file_name}"',
        }
        super().__init__(self._chunks(), headers=headers, media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()

    async def _chunks(self) -> AsyncIterator[bytes]:
        while chunk := await asyncio.to_thread(self._file.read, _CHUNK_BYTES):
            yield chunk
