"""One bar for each piece of work, on stderr, so that a pipe still gets what the command prints."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from simila.cli.tables import ACCENT, MUTED
from simila_models.progress import Unit


class ProgressBars:
    """A `simila_models.progress.Progress` that draws what it is told."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(complete_style=ACCENT, finished_style=ACCENT),
            TextColumn("{task.fields[amount]}", style=MUTED),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._tasks:
            self._bars.stop()

    def step(self, description: str, done: int, total: int | None, *, unit: Unit) -> None:
        if description not in self._tasks:
            self._bars.start()
            self._tasks[description] = self._bars.add_task(description, total=total, amount="")
        self._bars.update(self._tasks[description], completed=done, total=total, amount=_amount(done, total, unit))


def _amount(done: int, total: int | None, unit: Unit) -> str:
    text = decimal if unit == "bytes" else str
    return text(done) if total is None else f"{text(done)} of {text(total)}"
