"""How deep JSON is nested, told before it is parsed."""

import numpy as np
from fastapi import Request

from simila.domain.errors import InvalidJson

# pydantic's parser goes so deep and no deeper; Python's goes a few times as deep.
DEEPEST_JSON = 200

_ALL_BUT_QUOTES_AND_BRACKETS = bytes(byte for byte in range(256) if byte not in b'"[]{}')
_CHUNK_BYTES = 2**20


class JsonRequest(Request):
    """A request whose JSON is judged before Python's parser reads it."""

    async def json(self) -> object:
        check_depth(await self.body(), self.app.state.max_json_depth)
        return await super().json()


def check_depth(content: bytes, most_levels: int) -> None:
    """Refuse JSON of more levels; of what is no JSON a parser says so.

    Raises:
        InvalidJson: arrays and objects are nested deeper.

    """
    if content.count(b"[") + content.count(b"{") > most_levels and _depth(content) > most_levels:
        raise too_deep(most_levels)


def too_deep(most_levels: int) -> InvalidJson:
    return InvalidJson(
        f"the body is nested too deep to be read: more than {most_levels} levels (SIMILA_LIMITS__MAX_JSON_DEPTH)"
    )


def _depth(content: bytes) -> int:
    if b"\\" in content:
        content = content.replace(rb"\\", b"").replace(rb"\"", b"")
    outside_strings = content.translate(None, _ALL_BUT_QUOTES_AND_BRACKETS).split(b'"')[::2]
    brackets = np.frombuffer(b"".join(outside_strings), dtype=np.uint8)
    depth = deepest = 0
    for start in range(0, len(brackets), _CHUNK_BYTES):
        # But for one bit, brackets are braces; those that open stand one before 0x5C, those that close one behind it.
        steps = 0x5C - (brackets[start : start + _CHUNK_BYTES] & 0x5F).astype(np.int8)
        depths = depth + steps.cumsum(dtype=np.int64)
        depth, deepest = int(depths[-1]), max(deepest, int(depths.max()))
    return deepest
