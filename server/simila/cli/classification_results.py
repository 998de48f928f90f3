"""What a classification found: tables in a terminal, JSON elsewhere."""

from collections.abc import Iterator
from typing import Any

from rich.bar import Bar

from simila.cli import tables
from simila.cli.rows import Row
from simila_client import Classification

BAR_COLUMNS = 24

Answer = tuple[Row, Classification | str]
"""An input and its classes, or why it has none."""


def report(answers: Iterator[Answer], *, as_json: bool, decided: bool) -> None:
    """Show answers as they come; `decided` by rules, so that the ranking alone does not tell."""
    if as_json:
        tables.show_json([_facts(*answer) for answer in answers])
    elif tables.is_terminal():
        for position, (one, result) in enumerate(answers):
            _show(one, result, position, decided=decided)
    else:
        for answer in answers:
            tables.show_line(_facts(*answer))


def _facts(one: Row, result: Classification | str) -> dict[str, Any]:
    """An answer as JSON; what no rule has set is left out."""
    if isinstance(result, str):
        return {"id": one.id, "input": one.name, "error": result}
    decision = {"prediction": result.label, "score": result.score}
    details = {name: getattr(result, name) for name in ("labels", "familiarity", "expected_squared_distance")}
    given = {name: value for name, value in details.items() if value is not None}
    return {"id": one.id, "input": one.name, **decision, **given, "predictions": result.predictions}


def _show(one: Row, result: Classification | str, position: int, *, decided: bool) -> None:
    if isinstance(result, str):
        return  # stderr has it
    table = tables.table(
        tables.column("label"),
        tables.column("cosine", justify="right"),
        tables.column("probability", justify="right"),
        tables.column("", no_wrap=True),
    )
    for prediction in result.predictions:
        bar = Bar(1, 0, prediction.score, width=BAR_COLUMNS, color=tables.ACCENT)
        table.add_row(prediction.label, f"{prediction.cosine:.3f}", f"{prediction.score:.3f}", bar)
    tables.show(("\n" if position else "") + one.name + (_decision(result) if decided else ""), style="bold")
    tables.show(table)


def _decision(result: Classification) -> str:
    if result.labels is not None:
        return f": {', '.join(result.labels) or 'none'}"
    return ": unknown" if result.label is None else f": {result.label} ({result.score:.3f})"
