"""How the commands that talk to a server find it."""

from ipaddress import IPv6Address, ip_address
from typing import Annotated

import typer

from simila.cli.configuration import read_settings
from simila.cli.errors import WrongUsage
from simila_client import Simila

UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="Address of the server; by default that of SIMILA_HOST and SIMILA_PORT."),
]


def connect(url: str | None) -> Simila:
    """A client of the server at `url`, or of the one that the settings describe.

    Raises:
        WrongUsage: `url` is no address.

    """
    try:
        return Simila(url or configured_url())
    except ValueError as error:
        raise WrongUsage(f"--url: {error}") from error


def configured_url() -> str:
    """Where a server with these settings is reached from this machine."""
    settings = read_settings()
    return f"http://{_reachable(settings.host)}:{settings.port}"


def _reachable(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1"
    return f"[{address}]" if isinstance(address, IPv6Address) else host
