"""A bar for much of one thing: how much is done, how fast, how long still; on stderr."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simila.cli import tables


class RateBar:
    """Counts `unit`s up to `total`, if it is known, of which `done` were there before it began."""

    def __init__(self, description: str, total: int | None, unit: str, *, done: int = 0) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(complete_style=tables.ACCENT, finished_style=tables.ACCENT),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", style=tables.MUTED),
            TimeRemainingColumn(),
        )
        # Batches come seconds apart on a laptop: a longer window than rich's 30 s keeps rate and time left steady.
        self._progress = Progress(*columns, console=Console(stderr=True), speed_estimate_period=120)
        self._task = self._progress.add_task(description, total=total, completed=done, rate="")
        self._unit = unit

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def advance(self, units: int = 1) -> None:
        """So many more are done."""
        self._progress.advance(self._task, units)
        task = self._progress.tasks[self._task]
        speed = task.finished_speed or task.speed
        self._progress.update(self._task, rate=f"{speed:.1f} {self._unit}/s" if speed else "")
