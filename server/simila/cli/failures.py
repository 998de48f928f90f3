"""Inputs that fail while others go on: told on stderr, and by an exit code of their own."""

from collections.abc import Iterator

import typer

from simila.cli.embed_rows import Answer
from simila.cli.errors import SOME_FAILED, print_error

MOST_TOLD = 10
NAME_CHARACTERS = 60


class Failures:
    """Counts inputs that failed, and says why of the first ones; the rest are counted."""

    def __init__(self) -> None:
        self.count = 0
        self._told = 0

    def add(self, name: str, why: str) -> None:
        """One more failed; those of an interrupted run are put into `count`."""
        self.count += 1
        if self._told < MOST_TOLD:
            self._told += 1
            short = name if len(name) <= NAME_CHARACTERS else name[: NAME_CHARACTERS - 1] + "…"
            print_error(why if name in why else f"{short}: {why}")

    def told(self, answers: Iterator[Answer]) -> Iterator[Answer]:
        """The same, when their failures have been told."""
        for answer in answers:
            for at in sorted(answer.embeddings.errors):
                self.add(answer.rows[at].name, answer.error(at) or "")
            yield answer

    def finish(self) -> None:
        """End the command, with the exit code that says so if an input has failed."""
        if self.count > self._told:
            print_error(f"{self.count} inputs failed in all")
        if self.count:
            raise typer.Exit(SOME_FAILED)
