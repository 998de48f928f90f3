"""The command line: its groups, and the server's application for the one that serves."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from simila import __version__
from simila.cli import collections, models
from simila.cli.classify import classify
from simila.cli.embed import embed
from simila.cli.errors import CommandGroup
from simila.cli.search import search
from simila.cli.serve import serve_command
from simila.domain.manifest import Manifest
from simila.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI


def _create_app(settings: Settings) -> "FastAPI":
    # FastAPI, ONNX Runtime and FAISS take seconds to import, and only `serve` needs them.
    from simila.app import create_app  # noqa: PLC0415

    return create_app(settings)


def _check_parity(settings: Settings, manifests: Sequence[Manifest]) -> list[models.Finding]:
    from simila.app import load_encoders  # noqa: PLC0415  as above

    return [
        models.Finding(
            status.manifest.name,
            {str(tower): certificate.lowest_cosine for tower, certificate in (status.certificates or {}).items()},
            status.error,
        )
        for status in load_encoders(settings, manifests)
    ]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"simila {__version__}")
        raise typer.Exit


app = typer.Typer(cls=CommandGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def simila(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Image and text vectors, classification and similarity search."""


app.command()(serve_command(_create_app))
models.app.command()(models.verify_command(_check_parity))
app.add_typer(models.app, name="models")
app.command()(embed)
app.command()(classify)
app.command()(search)
app.add_typer(collections.app, name="collections")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
