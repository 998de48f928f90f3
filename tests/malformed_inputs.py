"""Inputs that are damaged in every way that came to mind: the same ones each time, by seed."""

import base64
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

SEED = 20_26
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
IMAGES_A_FORMAT = 60
BODIES_A_ROUTE = 40
FILTERS = 60
# Where parsers decide how much memory they take and how far they read.
TELLING_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFF)


@dataclass(frozen=True)
class Malformed:
    """A request that no server should mind: `method`, `path`, body and its media type."""

    path: str
    content: bytes
    media_type: str = "application/json"


def images() -> Iterator[tuple[str, bytes]]:
    """Damaged files of all formats, each with its format's name."""
    chance = random.Random(SEED)
    whole = whole_images()
    everything = [content for variants in whole.values() for content in variants]
    for kind, variants in whole.items():
        for number in range(IMAGES_A_FORMAT):
            damage = DAMAGES[number % len(DAMAGES)]
            yield kind, damage(chance, chance.choice(variants), chance.choice(everything))


def whole_images() -> dict[str, list[bytes]]:
    """Sound files of all formats, in the forms that each has."""
    pixels = Image.fromarray(np.random.default_rng(SEED).integers(0, 256, (24, 32, 3), dtype=np.uint8))
    return {kind: [*_encoded(pixels, kind)] for kind in FORMATS}


def requests(model: str, collection: str) -> Iterator[Malformed]:
    """Damaged requests to the routes that read the most, on an encoder and on a collection."""
    chance = random.Random(SEED)
    image = base64.b64encode(next(images())[1]).decode()
    bodies: dict[str, Any] = {
        "/v1/embeddings": {"model": model, "input": ["a", {"text": "b"}, {"image": image}, [1, 2]], "dimensions": 8},
        "/v1/classify": {"model": model, "input": "a", "labels": ["a", {"label": "b", "phrases": ["c"]}], "top_k": 1},
        "/v1/rerank": {"model": model, "query": "a", "documents": ["b", {"text": "c"}]},
        f"/v1/collections/{collection}/items": {"items": [{"id": "a", "text": "b", "label": "c", "payload": {"d": 1}}]},
        f"/v1/collections/{collection}/search": {"text": "a", "limit": 3, "filter": {"d": {"$gt": 0}}},
        f"/v1/collections/{collection}/classify": {"input": "a", "method": "nearest_neighbours"},
    }
    for path, body in bodies.items():
        for number in range(BODIES_A_ROUTE):
            if number % 2:
                yield Malformed(path, DAMAGES[number % len(DAMAGES)](chance, json.dumps(body).encode(), b'{"a":[['))
            else:
                yield Malformed(path, _dumped(chance, _changed(chance, body)))
        yield from (Malformed(path, content) for content in ODD_BODIES)
    for _, content in images():
        yield Malformed(f"/v1/embeddings?model={model}", content, "image/png")
    for _ in range(FILTERS):
        searched = {"text": "a", "filter": _filter(chance, chance.randint(1, 40))}
        yield Malformed(f"/v1/collections/{collection}/search", _dumped(chance, searched))


def _encoded(image: Image.Image, kind: str) -> Iterator[bytes]:
    options: dict[str, Sequence[dict[str, Any]]] = {
        "JPEG": ({}, {"progressive": True}),
        "WEBP": ({"lossless": True}, {"save_all": True, "append_images": [image.rotate(90)]}),
        "GIF": ({}, {"save_all": True, "append_images": [image.rotate(90)]}),
        "TIFF": ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "jpeg"}),
    }
    for chosen in options.get(kind, ({},)):
        buffer = BytesIO()
        image.save(buffer, kind, **chosen)
        yield buffer.getvalue()


Damage = Callable[[random.Random, bytes, bytes], bytes]


def _flipped(chance: random.Random, content: bytes, _: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _overwritten_head(chance: random.Random, content: bytes, _: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        damaged[chance.randrange(min(64, len(damaged)))] = chance.choice(TELLING_BYTES)
    return bytes(damaged)


def _cut(chance: random.Random, content: bytes, _: bytes) -> bytes:
    return content[: chance.randrange(len(content))]


def _without_middle(chance: random.Random, content: bytes, _: bytes) -> bytes:
    first, last = sorted(chance.sample(range(len(content)), 2))
    return content[:first] + content[last:]


def _repeated(chance: random.Random, content: bytes, _: bytes) -> bytes:
    first, last = sorted(chance.sample(range(len(content)), 2))
    return content[:last] + content[first:last] * chance.randint(1, 50) + content[last:]


def _spliced(chance: random.Random, content: bytes, other: bytes) -> bytes:
    return content[: chance.randrange(len(content))] + other[chance.randrange(len(other)) :]


DAMAGES: tuple[Damage, ...] = (_flipped, _overwritten_head, _cut, _without_middle, _repeated, _spliced)

ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "\0",
    "\ud800",
    "a" * 5000,
    "data:image/png;base64,",
    "data:image/png;base64,AAAA",
    "file:///etc/passwd",
    "http://169.254.169.254/",
    "../../etc/passwd",
    "'; DROP TABLE items; --",
    [],
    {},
    [[]],
    [None],
    {"$gt": {}},
    {"image": {}},
    {"vector": [1e400]},
    {"vector": "AAAA"},
)
ODD_BODIES = (
    b"",
    b"null",
    b"[]",
    b'"a"',
    b"{",
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b"\0",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"input":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"limit": ' + b"9" * 5000 + b"}",
    b'{"\\ud800": 1}',
    b"{} {}",
    b'{"model": "a", "model": "b"}',
)
OPERATORS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$and", "$or", "$not", "$where", "")


def _changed(chance: random.Random, body: dict[str, Any]) -> dict[str, Any]:
    changed = {**body}
    for _ in range(chance.randint(1, 2)):
        changed[chance.choice([*body, "unknown", "id", "vector", "after"])] = chance.choice(ODD_VALUES)
    return changed


def _filter(chance: random.Random, size: int) -> Any:
    if size <= 1:
        return chance.choice(ODD_VALUES)
    operator = chance.choice(OPERATORS)
    if operator in ("$and", "$or", "$in"):
        return {operator: [_filter(chance, size // 2), _filter(chance, size // 2)]}
    return {chance.choice([operator, "d", "d.e", "d.0", "\0", 'd"e']): _filter(chance, size - 1)}


def _dumped(chance: random.Random, body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
