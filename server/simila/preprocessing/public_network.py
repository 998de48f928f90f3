"""Connections to the public internet and to nothing else: what keeps a URL from reaching the server's own network.

A name is resolved once, every address is judged, and the connection goes to an address that was judged: an answer of
the name server that changes in between (DNS rebinding) changes nothing. Names of all notations (decimal, octal,
percent-encoded) end as an address here, and the address is what counts.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpcore

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str], Awaitable[Sequence[str]]]

# Addresses that no registry calls private, and that answer only to machines inside a cloud.
_CLOUD_SERVICES = frozenset({ip_address("168.63.129.16")})  # Azure: DNS, DHCP and the agent's protocol
# IPv6 addresses that stand for an IPv4 one (RFC 6052, 3056, 4291): bits to shift right for it.
_EMBEDDED_IPV4 = {
    IPv6Network("64:ff9b::/96"): 0,
    IPv6Network("2002::/16"): 80,
    IPv6Network("::/96"): 0,
    IPv6Network("::ffff:0:0/96"): 0,
    IPv6Network("::ffff:0:0:0/96"): 0,
}
_TEREDO = IPv6Network("2001::/32")


class AddressRefused(Exception):
    """A host has no address that may be connected to."""


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet, by IANA's registries; what it stands for counts too."""
    if isinstance(address, IPv6Address):
        for network, shift in _EMBEDDED_IPV4.items():
            if address in network:
                return is_public(IPv4Address(int(address) >> shift & 0xFFFFFFFF))
        if address in _TEREDO or address.scope_id:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved and address not in _CLOUD_SERVICES


async def resolved(host: str) -> Sequence[str]:
    """All addresses of a host, as the system finds them.

    Raises:
        OSError: it has none.

    """
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class PublicNetwork(httpcore.AsyncNetworkBackend):
    """Connects where `is_public` allows, or to `also_allowed` networks of the operator's own."""

    def __init__(self, also_allowed: Iterable[str] = (), resolve: Resolve = resolved) -> None:
        self._also_allowed: tuple[Network, ...] = tuple(ip_network(network) for network in also_allowed)
        self._resolve = resolve
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the base class's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of the host.

        Raises:
            AddressRefused: one of its addresses is not public; that the others are may be a trick.

        """
        try:
            addresses = await self._resolve(host)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the host {host} has no address") from error
        if not addresses or not all(self._may_connect(address) for address in addresses):
            raise AddressRefused
        return await self._backend.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Refuse.

        Raises:
            AddressRefused: always.

        """
        raise AddressRefused

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)

    def _may_connect(self, text: str) -> bool:
        address = ip_address(text)
        return is_public(address) or any(address in network for network in self._also_allowed)
