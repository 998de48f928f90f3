"""What goes wrong in a command becomes one red line on stderr and an exit code, here and nowhere else."""

from typing import Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

from simila.cli.tables import printable
from simila.domain.errors import SimilaError
from simila_client import InvalidArgument, SimilaClientError

FAILED = 1
WRONG_USAGE = 2
# Of many inputs; the others are done.
SOME_FAILED = 3
# As shells count a process that SIGINT ended.
INTERRUPTED = 130
# What commands that talk to a server do without; whoever installs the client alone does not have them.
RUNTIME = frozenset({"faiss", "onnxruntime"})


class WrongUsage(Exception):
    """What was typed or configured makes no sense; nothing has been done."""


class CommandGroup(TyperGroup):
    """The root of the command line: no expected error leaves it as a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (WrongUsage, InvalidArgument) as error:
            stop(str(error), WRONG_USAGE)
        except (SimilaError, SimilaClientError) as error:
            stop(error.message, FAILED)
        except ModuleNotFoundError as error:
            if error.name not in RUNTIME:
                raise
            stop(f"this needs {error.name}, which is not installed; run: pip install 'simila[cpu]'", FAILED)
        except BrokenPipeError:
            raise  # typer itself ends quietly when `| head` has read enough
        except OSError as error:
            stop(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error), FAILED)


def print_error(message: str) -> None:
    _print(f"error: {printable(message)}", "red")


def print_warning(message: str) -> None:
    _print(f"warning: {printable(message)}", "yellow")


def _print(line: str, style: str) -> None:
    Console(stderr=True, markup=False, highlight=False, soft_wrap=True).print(line, style=style)


def stop(message: str, exit_code: int) -> NoReturn:
    """End the command with one red line."""
    print_error(message)
    raise typer.Exit(exit_code)
