"""How the commands that talk to a server find it."""

from ipaddress import ip_address
from typing import Annotated

import typer

from simila.cli.configuration import read_settings
from simila_client import Simila

UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="Address of the server; by default that of SIMILA_HOST and SIMILA_PORT."),
]


def connect(url: str | None) -> Simila:
    """A client of the server at `url`, or of the one that the settings describe.

    Raises:
        InvalidArgument: `url` is no address, or the environment's proxy cannot be used.

    """
    return Simila(url or configured_url())


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
