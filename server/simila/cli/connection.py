"""How the commands that talk to a server find it."""

from contextvars import ContextVar
from ipaddress import ip_address
from typing import Annotated, Any

import typer

from simila.cli.configuration import API_KEY_VARIABLE, read_settings
from simila_client import Simila

UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="Address of the server; by default that of SIMILA_HOST and SIMILA_PORT."),
]

# Typed once, before the command, and sent by whichever command follows.
_api_key: ContextVar[str | None] = ContextVar("api_key", default=None)


def _keep_key(key: str | None) -> str | None:
    _api_key.set(key)
    return key


KeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        envvar=API_KEY_VARIABLE,
        callback=_keep_key,
        is_eager=True,
        help="Key for a server that wants one; other users of this machine can read what is typed, not the variable.",
    ),
]


def connect(url: str | None, **options: Any) -> Simila:
    """A client of the server at `url`, or of the one that the settings describe; `options` are those of `Simila`.

    Raises:
        InvalidArgument: `url` is no address, or the environment's proxy cannot be used.

    """
    return Simila(url or configured_url(), api_key=_api_key.get(), **options)


def configured_url() -> str:
    """Where a server with these settings is reached from this machine."""
    settings = read_settings()
    if _is_unspecified(settings.host):
        settings = settings.model_copy(update={"host": "127.0.0.1"})
    return settings.url


def _is_unspecified(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
