"""A server that was told to stop: it takes on nothing more, and finishes what it has taken on."""

from collections.abc import Iterator
from contextlib import contextmanager

from simila.domain.errors import ShuttingDown


class Drain:
    """Counts the requests under way, and refuses new ones once `begin` was called. Belongs to the event loop."""

    def __init__(self) -> None:
        self.has_begun = False
        self.in_flight = 0

    def begin(self) -> None:
        self.has_begun = True

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count a request while the block runs.

        Raises:
            ShuttingDown: the server takes on nothing more.

        """
        if self.has_begun:
            raise ShuttingDown("the server is shutting down; send this again, to another one or later")
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
