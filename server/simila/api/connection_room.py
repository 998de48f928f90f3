"""How many connections a server holds, and which of them give way to new ones."""

from typing import Protocol


class Connection(Protocol):
    """What can be told to end."""

    def give_way(self) -> None: ...


class ConnectionRoom:
    """Room for `most` connections. Beyond that the one that has been idle longest gives way, if need be the new one.

    Connections are descriptors, of which a process has so many: without a bound, whoever only connects would keep
    collections and the record of changes from opening their files. Busy ones, whose request is under way, stay.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: set[Connection] = set()
        self._idle: dict[Connection, None] = {}

    def enter(self, connection: Connection) -> None:
        self._held.add(connection)
        self._idle[connection] = None
        if len(self._held) > self._most:
            longest_idle = next(iter(self._idle))
            self.leave(longest_idle)
            longest_idle.give_way()

    def leave(self, connection: Connection) -> None:
        self._held.discard(connection)
        self._idle.pop(connection, None)

    def is_busy(self, connection: Connection) -> None:
        self._idle.pop(connection, None)

    def is_idle(self, connection: Connection) -> None:
        if connection in self._held:
            self._idle[connection] = None
