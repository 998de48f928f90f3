# Written by tests/docs/async_client.py from map_calls.py; change that, then: make docs
"""The part of the awaiting client that sees collections as maps."""

from simila_client import map_wire as wire
from simila_client.async_transport import AsyncTransport
from simila_client.map_results import MapPoints, MapState


class AsyncMapCalls:
    """Methods of `AsyncSimila`."""

    _transport: AsyncTransport

    async def make_map(self, name: str) -> MapState:
        """Begin to lay a collection's items out on a plane; new items are placed on it later."""
        return await self._transport.send(wire.make_map(name))

    async def map_state(self, name: str) -> MapState:
        """How far the map is; `NotFound` where none was begun."""
        return await self._transport.send(wire.map_state(name))

    async def map_points(self, name: str, *, values_of: str | None = None) -> MapPoints:
        """All items as they lie on the map, with their values of a payload key; `NotFound` before it is done."""
        return await self._transport.send(wire.map_points(name, values_of=values_of))
