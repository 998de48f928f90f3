"""What `simila search` found, as tables for people, as lines and as a document for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from simila.cli import tables
from simila_client import Group, Hit

PAYLOAD_CHARACTERS = 40
OTHER_COLUMNS = 60

Value = str | float | bool
Results = Sequence[Hit | Group]


@dataclass(frozen=True)
class Answer:
    """The results of a query under its name, and its id where it is one of many, of stdin."""

    query: str
    query_id: str | None
    results: Results

    def document(self, *, is_grouped: bool) -> dict[str, Any]:
        return {**self._query(), "groups" if is_grouped else "results": self.results}

    def lines(self) -> list[dict[str, Any]]:
        """An object for each result, with the query that it answers."""
        return [{**self._query(), **asdict(result)} for result in self.results]

    def _query(self) -> dict[str, str]:
        return {"query": self.query} | ({} if self.query_id is None else {"query_id": self.query_id})


def show_lines(answers: Iterable[Answer]) -> None:
    for answer in answers:
        for line in answer.lines():
            tables.show_line(line)


def show_tables(answers: Iterable[Answer], *, is_titled: bool) -> None:
    """Show a table for each query, under its name where there may be several."""
    for position, answer in enumerate(answers):
        if is_titled:
            tables.show(("\n" if position else "") + answer.query, style="bold")
        _show(_rows(answer.results))


def _rows(results: Results) -> list[tuple[Value | None, Hit]]:
    pairs = ((one.value, one.hits) if isinstance(one, Group) else (None, (one,)) for one in results)
    return [(value, hit) for value, hits in pairs for hit in hits]


def _show(rows: Sequence[tuple[Value | None, Hit]]) -> None:
    if not rows:
        tables.show("nothing found", style=tables.MUTED)
        return
    is_grouped = rows[0][0] is not None
    table = tables.table(
        *([tables.column("group", style=tables.ACCENT)] if is_grouped else []),
        tables.column("rank", justify="right"),
        tables.column("score", justify="right"),
        tables.column("id"),
        tables.column("label", style=tables.ACCENT),
        tables.column("payload", style=tables.MUTED),
    )
    characters = min(PAYLOAD_CHARACTERS, max(1, tables.console().width - OTHER_COLUMNS))
    for rank, (group, hit) in enumerate(rows, start=1):
        cells = (str(rank), f"{hit.score:.4f}", hit.id, hit.label or "", _short(hit.payload, characters))
        table.add_row(*([_json(group)] if is_grouped else []), *cells)
    tables.show(table)


def _short(payload: Mapping[str, Any] | None, characters: int) -> str:
    text = _json(payload) if payload else ""
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
