"""Everything that can go wrong between a program and a Simila server.

SimilaClientError
├── InvalidArgument        the call cannot be sent at all; a `ValueError` too
├── ConnectionFailed       no server answers, or the connection broke
│   └── ConnectionBroke    while the request was under way: it may have been carried out
├── TimedOut               the server did not answer in time
├── UnexpectedAnswer       something answers that does not speak Simila's HTTP API
└── ApiError               the server refused the request: `status`, `code`, `param`, `message`
    ├── BadRequest         400, malformed
    ├── Unauthorized       401, no API key, or none that the server knows
    ├── Forbidden          403, the API key does not allow this
    ├── NotFound           404, unknown encoder, collection or item
    ├── Conflict           409, for instance another encoder's vectors
    ├── TooLarge           413, over a byte, pixel or item limit
    ├── CannotServe        422, well-formed, but there is no answer to it
    ├── Overloaded         429, try again after `retry_after_seconds`
    └── NotReady           503, try again after `retry_after_seconds`

`code` is stable and for programs, the message is for people, `param` names the part of the request that is at fault.
"""


class SimilaClientError(Exception):
    """Base of all errors that the client raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidArgument(SimilaClientError, ValueError):
    """The call has no form in HTTP and JSON; nothing was sent."""


class ConnectionFailed(SimilaClientError):
    """No server answers at the address, or the connection broke."""


class ConnectionBroke(ConnectionFailed):
    """The connection ended while the request was under way, which may have been carried out."""


class TimedOut(SimilaClientError):
    """The server took longer than the client's `timeout_seconds`."""


class UnexpectedAnswer(SimilaClientError):
    """An answer that is not Simila's: another service, a proxy, or another version."""


class ApiError(SimilaClientError):
    """The server's own error. `retry_after_seconds` is given where the server asked to wait."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        param: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.retry_after_seconds = retry_after_seconds


class BadRequest(ApiError):
    """Status 400: the request is malformed."""


class Unauthorized(ApiError):
    """Status 401: no API key, or none that the server knows."""


class Forbidden(ApiError):
    """Status 403: the API key does not allow this."""


class NotFound(ApiError):
    """Status 404: no such encoder, collection or item."""


class Conflict(ApiError):
    """Status 409: the request contradicts what is stored."""


class TooLarge(ApiError):
    """Status 413: over a byte, pixel or item limit."""


class CannotServe(ApiError):
    """Status 422: well-formed, but this encoder or collection has no answer."""


class Overloaded(ApiError):
    """Status 429: the server has too much to do."""


class NotReady(ApiError):
    """Status 503: the server, an encoder or a collection is not ready yet."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: CannotServe,
    429: Overloaded,
    503: NotReady,
}


def error_type(status: int) -> type[ApiError]:
    """Return the class for an HTTP status; `ApiError` itself where none is narrower."""
    return _BY_STATUS.get(status, ApiError)
