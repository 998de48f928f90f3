"""Every error's way to the wire: one table of statuses, one body, OpenAI's."""

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from simila.api.json_depth import DEEPEST_JSON, too_deep
from simila.domain import errors
from simila.telemetry.metrics import ERRORS

logger = logging.getLogger("simila.api")

STATUSES: dict[type[errors.SimilaError], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.BAD_REQUEST,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.LimitExceeded: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.CannotServe: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
    errors.NotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
    errors.StorageFailed: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.SimilaError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
# The others are `invalid_request_error` below 500 and `server_error` from there on: OpenAI's words.
TYPES = {HTTPStatus.UNAUTHORIZED: "authentication_error", HTTPStatus.FORBIDDEN: "permission_error"}
PLAIN_WORDS = {
    "missing": "is missing",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "extra_forbidden": "is no field of this request",
    "string_unicode": "must be Unicode text, without lone surrogates",
}
NOT_AN_OBJECT = {"missing", "model_type", "model_attributes_type"}
RETRY_AFTER_SECONDS = 1
MOST_CHARACTERS = 2000
INTERNAL_ERROR = "the server failed; its log says why"


class ErrorDetail(BaseModel):
    """What went wrong: `message` for people, `code` for programs, `param` for the part of the request at fault."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(BaseModel):
    """The body of every answer that is no success."""

    error: ErrorDetail


DOCUMENTED: dict[int | str, dict[str, Any]] = {
    int(status): {"model": ErrorBody, "description": description}
    for status, description in {
        HTTPStatus.BAD_REQUEST: "Malformed: `param` says where",
        HTTPStatus.UNAUTHORIZED: "Keys are asked for, and none that holds was sent",
        HTTPStatus.FORBIDDEN: "The key does not allow this",
        HTTPStatus.NOT_FOUND: "Unknown encoder, collection or item",
        HTTPStatus.CONFLICT: "Of another encoder, or of another revision of it",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Over a byte, pixel or item limit",
        HTTPStatus.UNPROCESSABLE_ENTITY: "Well-formed, but it cannot be served",
        HTTPStatus.TOO_MANY_REQUESTS: "More work waits than the server takes on; `Retry-After` says when to come back",
        HTTPStatus.SERVICE_UNAVAILABLE: "Not ready: try again later",
        HTTPStatus.GATEWAY_TIMEOUT: "Not done within the request's deadline",
        HTTPStatus.INSUFFICIENT_STORAGE: "The disk refused the write; nothing of it was kept",
    }.items()
}


def status_of(error: errors.SimilaError) -> HTTPStatus:
    """The status of the nearest base class in `STATUSES`."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def detail_of(error: errors.SimilaError) -> ErrorDetail:
    """What the wire says of an error."""
    return _detail(status_of(error), error.message, code=error.code, param=error.param)


def error_response(error: errors.SimilaError) -> JSONResponse:
    """The whole answer to a request that failed."""
    headers = {}
    if isinstance(error, errors.Overloaded):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    return _response(status_of(error), error.message, code=error.code, param=error.param, headers=headers)


def register_error_handlers(app: FastAPI) -> None:
    for kind in (errors.SimilaError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer_to)


def malformed(found: Mapping[str, Any], place: Sequence[int | str] = ()) -> errors.Malformed:
    """The error of what pydantic found at `place`, which it was not told."""
    param = _param((*place, *found["loc"]))
    return errors.Malformed(f"{param}: {_sentence(found)}" if param else _sentence(found), param=param)


async def answer_to(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that raised."""
    if isinstance(error, errors.SimilaError):
        return _simila_error(error)
    if isinstance(error, RequestValidationError):
        return _validation_error(error)
    if isinstance(error, HTTPException):
        return _http_exception(request, error)
    return _response(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL_ERROR, code="internal_error")


def _simila_error(error: errors.SimilaError) -> JSONResponse:
    status = status_of(error)
    if status in (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.INSUFFICIENT_STORAGE):
        logger.error("%s: %s", error.code, error.message, exc_info=error)
    return error_response(error)


def _validation_error(error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    if first["type"] == "json_invalid" and first["loc"][0] == "body":
        if first["ctx"]["error"].startswith("recursion limit exceeded"):
            return _simila_error(too_deep(DEEPEST_JSON))
        message = f"the body is not valid JSON: {first['ctx']['error']} at character {first['loc'][-1]}"
        return _response(HTTPStatus.BAD_REQUEST, message, code="invalid_json")
    if first["loc"] == ("body",) and first["type"] in NOT_AN_OBJECT:
        message = "the body is not a JSON object sent with content-type: application/json"
        return _response(HTTPStatus.BAD_REQUEST, message, code="invalid_json")
    return _simila_error(malformed(first))


def _http_exception(request: Request, error: HTTPException) -> JSONResponse:
    """Answers of Starlette's and FastAPI's own: no such route, a method that a route has not, a body past reading."""
    if isinstance(error.__cause__, errors.SimilaError):
        return _simila_error(error.__cause__)
    status = HTTPStatus(error.status_code)
    message = f"{error.detail}: {request.method} {request.url.path}"
    return _response(status, message, code=status.phrase.lower().replace(" ", "_"), headers=dict(error.headers or {}))


def _response(
    status: HTTPStatus, message: str, *, code: str, param: str | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    ERRORS.labels(code).inc()
    body = ErrorBody(error=_detail(status, message, code=code, param=param))
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS), **(headers or {})}
    return JSONResponse(body.model_dump(), status, headers)


def _detail(status: HTTPStatus, message: str, *, code: str, param: str | None) -> ErrorDetail:
    kind = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    kind = TYPES.get(status, kind)
    return ErrorDetail(message=_sendable(message), type=kind, param=param and _sendable(param), code=code)


def _sendable(text: str) -> str:
    """Repeat a caller's own words as far as UTF-8 can, and not at any length."""
    shortened = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
    return shortened.encode(errors="backslashreplace").decode()


def _param(location: Sequence[int | str]) -> str | None:
    """`("body", "input", 2, "as image", "image")` as `input[2].image`; the tag of a union's branch is no part of it."""
    names = [part for part in location if part not in ("body", "path", "query") and not _is_tag(part)]
    path = ""
    for name in names:
        path += f"[{name}]" if isinstance(name, int) else f".{name}" if path else str(name)
    return path or None


def _is_tag(part: int | str) -> bool:
    return isinstance(part, str) and part.startswith("as ")


def _sentence(error: Mapping[str, Any]) -> str:
    """What pydantic found, in the words of somebody who writes JSON."""
    kind = error["type"]
    if kind in ("too_short", "string_too_short"):
        return "must not be empty"
    return PLAIN_WORDS.get(kind) or str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
