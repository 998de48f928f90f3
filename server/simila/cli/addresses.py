"""Addresses to listen on: whether one may be, and whether it can be."""

import errno
import socket
from typing import Any

from simila.cli.errors import WrongUsage
from simila.settings import Settings


class CannotListen(OSError):
    """The address is taken, not allowed or not of this machine."""


def refuse_open_bind(settings: Settings, *, has_keys: bool) -> None:
    """Let only loopback through, unless callers need keys or the settings say that the network may call.

    Raises:
        WrongUsage: others could reach the server, and nothing checks who they are.

    """
    if not has_keys and not settings.insecure and not settings.is_loopback:
        message = (
            f"{settings.host} can be reached from other machines and nothing checks who calls; make a key with"
            " simila keys create, use --host 127.0.0.1, or allow it with --insecure (SIMILA_INSECURE=true)"
        )
        raise WrongUsage(message)


def bound_socket(host: str, port: int, *, chosen_by: str = "--port") -> socket.socket:
    """A TCP socket that is bound and does not listen yet; `chosen_by` is what moves it to another port.

    Raises:
        CannotListen: the address is taken, not allowed or not of this machine.

    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # "localhost" may name ::1 first, where a client of 127.0.0.1 would not find the server.
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        return _bound(socket.socket(family, kind, protocol), address)
    except OSError as error:
        remedy = f"; stop what listens there, or set {chosen_by}" if error.errno == errno.EADDRINUSE else ""
        reason = error.strerror or str(error)
        raise CannotListen(f"cannot listen on {host}, port {port}: {reason.lower()}{remedy}") from error


def _bound(listener: socket.socket, address: Any) -> socket.socket:
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
