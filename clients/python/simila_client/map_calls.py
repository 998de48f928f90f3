"""The part of the blocking client that sees collections as maps."""

from simila_client import map_wire as wire
from simila_client.map_results import MapPoints, MapState
from simila_client.transport import Transport


class MapCalls:
    """Methods of `Simila`."""

    _transport: Transport

    def make_map(self, name: str) -> MapState:
        """Begin to lay a collection's items out on a plane; new items are placed on it later."""
        return self._transport.send(wire.make_map(name))

    def map_state(self, name: str) -> MapState:
        """How far the map is; `NotFound` where none was begun."""
        return self._transport.send(wire.map_state(name))

    def map_points(self, name: str, *, values_of: str | None = None) -> MapPoints:
        """All items as they lie on the map, with their values of a payload key; `NotFound` before it is done."""
        return self._transport.send(wire.map_points(name, values_of=values_of))
