"""`simila search`: the items of a collection that are most like a text, an image or one of them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from simila.cli import tables
from simila.cli.connection import UrlOption, connect
from simila.cli.errors import WrongUsage
from simila.cli.failures import Failures
from simila.cli.filters import FilterOption, read_filter
from simila.cli.inputs import read_image
from simila.cli.rows import STDIN, Stdin, StdinOption, read_rows
from simila.cli.search_results import Answer, Results, show_lines, show_tables
from simila_client import BadRequest, CannotServe, InvalidArgument, Query, StoredId, TooLarge

# What the server calls the query itself; other parts of a search are the same for all lines of stdin.
OF_QUERY = frozenset({"query", "text", "image"})

Ask = Callable[[Query], Results]


@dataclass(frozen=True)
class Question:
    """A query under its name, and its id where it is one of many, of stdin."""

    name: str
    query: Query | InvalidArgument
    id: str | None = None


def search(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The collection; `simila collections list` names them.")],
    text: Annotated[
        str | None, typer.Option(help="Find what this text describes; - reads a query a line from stdin.")
    ] = None,
    stdin: StdinOption = Stdin.TEXT,
    image: Annotated[Path | None, typer.Option(metavar="FILE", help="Find what looks like this image.")] = None,
    item_id: Annotated[str | None, typer.Option("--id", help="Find what is like this stored item.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most results, or groups.")] = 10,
    threshold: Annotated[float | None, typer.Option(help="Least cosine of a result, from -1 to 1.")] = None,
    conditions: FilterOption = None,
    exact: Annotated[bool, typer.Option("--exact", help="Compare with every vector, instead of by the index.")] = False,
    group_by: Annotated[
        str | None, typer.Option(metavar="KEY", help="Group by this payload key, dotted, or by $label.")
    ] = None,
    group_size: Annotated[int, typer.Option(min=1, help="Most results of a group.")] = 1,
    as_json: tables.JsonOption = False,
    url: UrlOption = None,
) -> None:
    """Find the most similar items of a collection.

    simila search shoes --text "red leather boots" --filter '{"price": {"$lt": 100}}'

    simila search shoes --image boot.jpg --limit 5 --group-by brand

    simila search shoes --id boots/17.jpg | jq -r .id

    cat wishes.txt | simila search shoes --text - > found.jsonl

    simila search shoes --text - --stdin jsonl < queries.jsonl | jq -c '{query_id, id}'

    A pipe gets a JSON line for each result, with the query that it answers.

    A query of stdin that fails is told on stderr; others go on, and the exit code is 3.
    """
    if threshold is not None and not math.isfinite(threshold):
        raise WrongUsage(f"--threshold is a cosine, a number from -1 to 1; {threshold} is none")
    questions = _questions(text, image, item_id, stdin)
    options: dict[str, Any] = {
        "limit": limit,
        "score_threshold": threshold,
        "filter": read_filter(conditions),
        "exact": exact or None,
    }
    failures = Failures()
    with connect(url) as client:
        ask: Ask = partial(client.search, name, **options)
        if group_by is not None:
            ask = partial(client.search_groups, name, group_by=group_by, group_size=group_size, **options)
        answers = _answers(ask, questions, failures)
        if as_json:
            documents = [answer.document(is_grouped=group_by is not None) for answer in answers]
            tables.show_json(documents if text == STDIN else documents[0])
        elif tables.is_terminal():
            show_tables(answers, is_titled=text == STDIN)
        else:
            show_lines(answers)
    failures.finish()


def _questions(text: str | None, image: Path | None, item_id: str | None, stdin: Stdin) -> Iterator[Question]:
    if stdin is Stdin.JSON_LINES and text != STDIN:
        raise WrongUsage("--stdin jsonl says what - reads: give --text -")
    match text, image, item_id:
        case str(words), None, None if words == STDIN:
            return (Question(row.name, row.content, row.id) for row in read_rows([STDIN], stdin=stdin))
        case str(words), None, None:
            return iter([Question(words, words)])
        case None, Path() as path, None:
            return iter([Question(str(path), read_image(path))])
        case None, None, str(stored_id):
            return iter([Question(stored_id, StoredId(stored_id))])
    raise WrongUsage("give exactly one of --text, --image and --id")


def _answers(ask: Ask, questions: Iterator[Question], failures: Failures) -> Iterator[Answer]:
    for question in questions:
        if isinstance(question.query, InvalidArgument):
            failures.add(question.name, question.query.message)
            continue
        try:
            yield Answer(question.name, question.id, ask(question.query))
        except (BadRequest, CannotServe, TooLarge) as error:
            if question.id is None or error.param not in OF_QUERY:
                raise
            failures.add(question.name, error.message)
