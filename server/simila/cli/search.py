"""`simila search`: the items of a collection that are most like a text, an image or one of them."""

import json
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from simila.cli import tables
from simila.cli.connection import UrlOption, connect
from simila.cli.errors import WrongUsage
from simila.cli.inputs import read_image
from simila_client import Hit

PAYLOAD_CHARACTERS = 40
OTHER_COLUMNS = 60


def search(
    name: Annotated[str, typer.Argument(help="The collection.")],
    text: Annotated[str | None, typer.Option(help="Find what this text describes.")] = None,
    image: Annotated[Path | None, typer.Option(metavar="FILE", help="Find what looks like this image.")] = None,
    item_id: Annotated[str | None, typer.Option("--id", help="Find what is like this stored item.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most results.")] = 10,
    threshold: Annotated[float | None, typer.Option(help="Least cosine of a result.")] = None,
    as_json: tables.JsonOption = False,
    url: UrlOption = None,
) -> None:
    """Find the most similar items of a collection."""
    if threshold is not None and not math.isfinite(threshold):
        raise WrongUsage(f"--threshold is a cosine, a number from -1 to 1; {threshold} is none")
    with connect(url) as client:
        match text, image, item_id:
            case str(words), None, None:
                find = partial(client.search, name, words)
            case None, Path() as path, None:
                find = partial(client.search, name, read_image(path))
            case None, None, str(stored_id):
                find = partial(client.search_like, name, stored_id)
            case _:
                raise WrongUsage("give exactly one of --text, --image and --id")
        hits = find(limit=limit, score_threshold=threshold)
    if as_json:
        tables.show_json({"results": hits})
    else:
        _show(hits)


def _show(hits: tuple[Hit, ...]) -> None:
    if not hits:
        tables.show("nothing found", style=tables.MUTED)
        return
    table = tables.table(
        tables.column("rank", justify="right"),
        tables.column("score", justify="right"),
        tables.column("id"),
        tables.column("label", style=tables.ACCENT),
        tables.column("payload", style=tables.MUTED),
    )
    characters = min(PAYLOAD_CHARACTERS, max(1, tables.console().width - OTHER_COLUMNS))
    for rank, hit in enumerate(hits, start=1):
        table.add_row(str(rank), f"{hit.score:.4f}", hit.id, hit.label or "", _short(hit.payload, characters))
    tables.show(table)


def _short(payload: Mapping[str, Any] | None, characters: int) -> str:
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":")) if payload else ""
    return text if len(text) <= characters else text[: characters - 1] + "…"
