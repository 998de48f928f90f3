"""The pieces that requests are made of: paths, lists, contents."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

import httpx
import numpy as np

from simila_client.errors import InvalidArgument
from simila_client.request import Json
from simila_client.results import Content

T = TypeVar("T")


def collection_path(collection_name: str, *parts: str) -> str:
    if collection_name in {"", ".", ".."} or "/" in collection_name:
        raise InvalidArgument(f"{collection_name!r} is no name of a collection: it cannot be a segment of a URL's path")
    return "/".join(["/v1/collections", path_segment(collection_name), *parts])


def path_segment(text: str) -> str:
    # HTTP clients resolve the segments "." and "..": left plain, deleting the item ".." would delete the collection.
    if text in {".", ".."}:
        return text.replace(".", "%2E")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{text!r} cannot be written in UTF-8: {error.reason}") from error


def segments(text: str, what: str) -> str:
    if not text:
        raise InvalidArgument(f"'' is not {what}")
    return "/".join(path_segment(part) for part in text.split("/"))


def listed(argument: str, values: Sequence[T], of: type[T] | None = None) -> list[T]:
    # A str is a sequence of str too, and bytes one of int: taken as such, each letter would become an input.
    if isinstance(values, str | bytes):
        raise TypeError(f"{argument} must be a list, and this is a single {type(values).__name__}: put it in brackets")
    found = list(values)
    for at, one in enumerate(found if of else ()):
        if of and not isinstance(one, of):
            raise TypeError(f"{argument}[{at}] is a {type(one).__name__}, and must be made by {of.__name__}(…)")
    return found


def with_given(body: dict[str, Json], **options: Json) -> dict[str, Json]:
    return body | {name: value for name, value in options.items() if value is not None}


def content_body(content: Content) -> dict[str, Json]:
    if isinstance(content, str):
        return {"text": content}
    if isinstance(content, bytes):
        return {"image": base64.b64encode(content).decode("ascii")}
    return {"vector": np.asarray(content, dtype=np.float64).tolist()}


def has_images(contents: Sequence[Content]) -> bool:
    return any(isinstance(one, bytes) for one in contents)


def content_form(options: Mapping[str, Json], contents: Sequence[str | bytes]) -> tuple[str, bytes]:
    """A multipart form of texts and images as they are, and its media type.

    Raises:
        InvalidArgument: a text cannot be written in UTF-8.

    """
    fields: list[tuple[str, tuple[str | None, str | bytes]]] = [
        (name, (None, json.dumps(value) if isinstance(value, bool) else str(value))) for name, value in options.items()
    ]
    fields += [("input", (None, one)) if isinstance(one, str) else ("image", ("image", one)) for one in contents]
    try:
        # httpx writes forms only as bodies of requests; this one goes nowhere.
        form = httpx.Request("POST", "http://form", files=fields)
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"{error.object!r} cannot be written in UTF-8: {error.reason}") from error
    return form.headers["content-type"], form.read()


def nothing(_: Json) -> None:
    return None
