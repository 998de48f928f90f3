"""One call to the server: what is sent, and how its answer is read."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import ormsgpack

from simila_client.errors import ApiError, InvalidArgument, UnexpectedAnswer, error_type

T = TypeVar("T")
Json = Any

MESSAGE_PACK = "application/msgpack"


@dataclass(frozen=True)
class Request(Generic[T]):
    """One call: what to send, and how to read the body of a successful answer."""

    method: str
    path: str
    parse: Callable[[Json], T]
    json: Json = None
    content: bytes | None = None
    """A body that is not JSON; `headers` then say what it is."""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_pure: bool = False
    """Whether it only asks, although its method is POST."""

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be carried out twice without harm."""
        return self.is_pure or self.method == "GET"

    def all_headers(self) -> dict[str, str]:
        """The headers to send."""
        return {**({} if self.json is None else {"content-type": "application/json"}), **self.headers}

    def body(self) -> bytes | None:
        """What to send: the content as it is, JSON in UTF-8, or None where there is nothing.

        Raises:
            InvalidArgument: something in it has no form in JSON.

        """
        if self.json is None:
            return self.content
        try:
            return json.dumps(self.json, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError) as error:
            message = f"{self.method} {self.path} cannot be sent, because its body cannot be written as JSON: {error}"
            raise InvalidArgument(message) from error


def parse_response(request: Request[T], status: int, headers: Mapping[str, str], body: bytes) -> T:
    """Read an answer. `headers` are looked up in lower case.

    Raises:
        ApiError: the server refused the request.
        UnexpectedAnswer: the answer is not in Simila's format.

    """
    if not 200 <= status < 300:
        raise _api_error(request, status, headers, body)
    try:
        return request.parse(_decoded(headers, body) if body else None)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        message = f"the answer to {request.method} {request.path} is not in Simila's format: {error!r}"
        raise UnexpectedAnswer(message) from error


def _decoded(headers: Mapping[str, str], body: bytes) -> Json:
    if headers.get("content-type", "").startswith(MESSAGE_PACK):
        return ormsgpack.unpackb(body)
    if headers.get("content-type", "").startswith("image/"):
        return body
    return json.loads(body)


def _api_error(
    request: Request[Any], status: int, headers: Mapping[str, str], body: bytes
) -> ApiError | UnexpectedAnswer:
    try:
        error = json.loads(body)["error"]
        message, code, param = error["message"], error.get("code"), error.get("param")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return UnexpectedAnswer(f"{request.method} {request.path} was answered with status {status}, not by Simila")
    seconds = headers.get("retry-after", "")
    # RFC 9110 allows a date here too; Simila sends seconds, and a proxy's date is not worth a parser.
    retry_after_seconds = float(seconds) if seconds.isdecimal() else None
    kind = error_type(status)
    return kind(message, status=status, code=code, param=param, retry_after_seconds=retry_after_seconds)
