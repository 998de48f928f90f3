"""What is sent: many distinct requests of one shape, for every server in its own words."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

Item = str | bytes
"""A text, or an encoded image."""

JSON = "application/json"
BOUNDARY = "----simila-benchmark"


@dataclass(frozen=True)
class Load:
    """Requests of one shape. `groups[i]` are the items of request `i`."""

    name: str
    encoder: str
    connections: int
    groups: Sequence[tuple[Item, ...]]

    @property
    def items_a_request(self) -> int:
        return len(self.groups[0])

    def group(self, number: int) -> tuple[Item, ...]:
        """The items of a request; after the last comes the first again."""
        return self.groups[number % len(self.groups)]


@dataclass(frozen=True)
class Wire:
    """How a server wants to be asked."""

    path: str
    content_type: str
    body: Callable[[str, tuple[Item, ...]], bytes]
    """From the encoder's name and the items of one request."""


def data_uri(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _written(items: tuple[Item, ...]) -> list[str]:
    return [item if isinstance(item, str) else data_uri(item) for item in items]


def _embeddings_body(encoder: str, items: tuple[Item, ...]) -> bytes:
    return orjson.dumps({"model": encoder, "input": _written(items)})


def _multipart_body(encoder: str, items: tuple[Item, ...]) -> bytes:
    parts = [b'Content-Disposition: form-data; name="model"\r\n\r\n%s' % encoder.encode()]
    for item in items:
        assert isinstance(item, bytes)
        file = b'Content-Disposition: form-data; name="image"; filename="image.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        parts.append(file + item)
    delimiter = b"--%s" % BOUNDARY.encode()
    return b"".join(b"%s\r\n%s\r\n" % (delimiter, part) for part in parts) + delimiter + b"--\r\n"


def _infinity_body(encoder: str, items: tuple[Item, ...]) -> bytes:
    modality = "text" if isinstance(items[0], str) else "image"
    return orjson.dumps({"model": encoder, "input": _written(items), "modality": modality})


SIMILA = Wire("/v1/embeddings", JSON, _embeddings_body)
SIMILA_MULTIPART = Wire("/v1/embeddings", f"multipart/form-data; boundary={BOUNDARY}", _multipart_body)
INFINITY = Wire("/embeddings", JSON, _infinity_body)


def simila_classify(labels: Sequence[str]) -> Wire:
    """Zero-shot classification by these labels."""

    def body(encoder: str, items: tuple[Item, ...]) -> bytes:
        return orjson.dumps({"model": encoder, "input": _written(items), "labels": labels})

    return Wire("/v1/classify", JSON, body)
