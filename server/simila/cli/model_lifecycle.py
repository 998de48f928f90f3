"""`simila models served`, `load`, `unload`, `alias`: what a running server serves."""

from collections.abc import Sequence
from typing import Annotated

import typer

from simila.cli import tables
from simila.cli.connection import UrlOption, connect
from simila_client import Model

NameArgument = Annotated[str, typer.Argument(metavar="ENCODER")]


def served(as_json: tables.JsonOption = False, url: UrlOption = None) -> None:
    """List the encoders that a server knows: their states, versions, devices and aliases."""
    with connect(url) as client:
        models = client.models()
    if as_json:
        tables.show_json(models)
    else:
        _show_models(models)


def load(name: NameArgument, url: UrlOption = None) -> None:
    """Have a server load an encoder, or the version of it that is exported now; the old one serves until then."""
    with connect(url) as client:
        model = client.load_model(name)
    tables.show(f"{model.id} is served: version {model.version}, {_devices(model)}")


def unload(name: NameArgument, url: UrlOption = None) -> None:
    """Have a server finish an encoder's requests and give its memory back."""
    with connect(url) as client:
        model = client.unload_model(name)
    tables.show(f"{model.id} is {model.state}")


def alias(
    name: Annotated[str, typer.Argument(metavar="ALIAS")],
    encoder: Annotated[str | None, typer.Argument(metavar="[ENCODER]", show_default=False)] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Let the name mean nothing.")] = False,
    url: UrlOption = None,
) -> None:
    """Let a name mean an encoder that a server serves, from the next request on."""
    if (encoder is None) != remove:
        raise typer.BadParameter("give either an encoder or --remove")
    with connect(url) as client:
        aliases = client.set_alias(name, encoder) if encoder else client.delete_alias(name)
    tables.show(", ".join(f"{one} means {meant}" for one, meant in aliases.items()) or "no aliases")


def _show_models(models: Sequence[Model]) -> None:
    names = ("name", "state", "version", "device", "aliases", "error")
    table = tables.table(*(tables.column(name) for name in names))
    for model in models:
        style = None if model.state == "ready" else tables.MUTED
        aliases = " ".join(model.aliases)
        row = (model.id, model.state, model.version or "", _devices(model), aliases, model.error or "")
        table.add_row(*row, style=style)
    tables.show(table)


def _devices(model: Model) -> str:
    return ", ".join(dict.fromkeys(model.devices.values()))
