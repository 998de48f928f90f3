"""`simila evaluate`: how well a collection's labelled items classify."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from simila.cli import tables
from simila.cli.collections import NameArgument
from simila.cli.connection import UrlOption, connect
from simila_client import Evaluation

MOST_COLUMNS = 20


def evaluate(
    name: NameArgument,
    method: Annotated[
        Literal["nearest_mean", "knn", "blend"], typer.Option(help="How items classify.")
    ] = "nearest_mean",
    k: Annotated[int | None, typer.Option(min=1, help="knn: how many neighbours vote.")] = None,
    calibrated: Annotated[bool, typer.Option("--calibrated", help="Fit the temperature of the probabilities.")] = False,
    held_out: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Judge so much by the rest, not each item by all others.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="With --held-out: of the draw of what is held out.")] = None,
    hold_out: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="A class that is not learned; repeatable.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Draw a PNG of confusion and calibration.")
    ] = None,
    as_json: tables.JsonOption = False,
    url: UrlOption = None,
) -> None:
    """Measure on a collection's own items how well they classify.

    simila evaluate shoes --picture confusion.png

    simila evaluate shoes --method knn --k 5 --calibrated
    """
    with connect(url) as client:
        found = client.evaluate(
            name,
            method=method,
            k=k,
            calibrated=calibrated,
            held_out=held_out,
            seed=seed,
            hold_out_classes=hold_out,
            picture=picture,
        )
    tables.answer(found, lambda: _show(found, picture), as_json=as_json)


def _show(found: Evaluation, picture: Path | None) -> None:
    _show_figures(found)
    _show_classes(found)
    if len(found.classes) <= MOST_COLUMNS:
        _show_confusion(found)
    if picture:
        tables.show(f"\ndrawn: {picture}", style=tables.MUTED)


def _show_figures(found: Evaluation) -> None:
    parts = [
        f"{found.method}, {found.protocol.replace('_', ' ')}: {found.items} items",
        f"accuracy {found.accuracy:.3f}",
        f"macro-F1 {found.macro_f1:.3f}",
        f"calibration error {found.calibration_error:.3f}",
    ]
    if found.open_set_auroc is not None:
        parts.append(f"open-set AUROC {found.open_set_auroc:.3f}")
    tables.show(", ".join(parts) + "\n")


def _show_classes(found: Evaluation) -> None:
    figures = ("items", "precision", "recall", "F1")
    table = tables.table(tables.column("label"), *(tables.column(name, justify="right") for name in figures))
    for one in found.classes:
        table.add_row(one.label, str(one.support), f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.f1:.3f}")
    tables.show(table)


def _show_confusion(found: Evaluation) -> None:
    numbers = [str(number) for number in range(1, len(found.classes) + 1)]
    table = tables.table(
        tables.column("true class, by predicted"), *(tables.column(number, justify="right") for number in numbers)
    )
    for number, one, row in zip(numbers, found.classes, found.confusion, strict=True):
        table.add_row(f"{number} {one.label}", *(str(count) if count else "·" for count in row))
    tables.show("")
    tables.show(table)
