"""How fetching and exporting tell how far they are. Nothing in this package prints."""

from typing import Literal, Protocol

Unit = Literal["bytes", "steps"]


class Progress(Protocol):
    """Whoever wants to know, for instance a progress bar."""

    def step(self, description: str, done: int, total: int | None, *, unit: Unit) -> None:
        """Take note that `done` of `total` are done; `total` is None while nobody knows it.

        A description that was not heard before begins a new piece of work.
        """


class Silent:
    """A `Progress` that nobody watches."""

    def step(self, description: str, done: int, total: int | None, *, unit: Unit) -> None:
        pass
