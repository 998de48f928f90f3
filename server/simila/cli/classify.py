"""`simila classify`: zero-shot by labels, by a collection's examples, or by a trained classifier."""

from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.bar import Bar

from simila.cli import tables
from simila.cli.connection import UrlOption, connect
from simila.cli.errors import WrongUsage
from simila.cli.inputs import ImageOption, NamedInput, TextArgument, read_inputs, request_batches
from simila_client import Classification, Input, Simila

BAR_COLUMNS = 24

Question = Callable[[Simila, Sequence[Input]], Sequence[Classification]]


def classify(
    texts: TextArgument = None,
    images: ImageOption = None,
    labels: Annotated[str | None, typer.Option(metavar="A,B,C", help="Zero-shot: the classes.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="One class, commas and all; repeatable.")] = None,
    model: Annotated[str | None, typer.Option(help="Zero-shot: the encoder.")] = None,
    template: Annotated[
        list[str] | None, typer.Option(help="Zero-shot: a prompt such as 'a photo of a {}'; repeatable.")
    ] = None,
    collection: Annotated[str | None, typer.Option(help="Nearest mean: the collection that has examples.")] = None,
    classifier: Annotated[str | None, typer.Option(metavar="ID", help="A classifier of `simila train`.")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Show only the best.")] = None,
    as_json: tables.JsonOption = False,
    url: UrlOption = None,
) -> None:
    """Say which class each text or image is: of given labels, or of those that were learned from examples."""
    classes = [one.strip() for one in (labels or "").split(",") if one.strip()] + (label or [])
    trained = _trained_question(collection, classifier, top_k)
    if trained and (classes or model or template):
        raise WrongUsage("--collection and --classifier have their own classes and encoder: leave the others out")
    ask = trained or _zero_shot_question(classes, model, template, top_k)
    inputs = read_inputs(texts, images)
    results: list[Classification] = []
    with connect(url) as client:
        for batch in request_batches(inputs, size_bytes=lambda one: len(one.content)):
            results += ask(client, [one.content for one in batch])
    if as_json:
        answers = zip(inputs, results, strict=True)
        tables.show_json([{"input": one.name, "predictions": result.predictions} for one, result in answers])
    else:
        _show(inputs, results)


def _trained_question(collection: str | None, classifier: str | None, top_k: int | None) -> Question | None:
    if collection and classifier:
        raise WrongUsage("give --collection NAME or --classifier ID, not both")
    if collection:
        return lambda client, contents: client.classify_by_example(collection, contents, top_k=top_k)
    if classifier:
        return lambda client, contents: client.classify_trained(classifier, contents, top_k=top_k)
    return None


def _zero_shot_question(
    classes: list[str], model: str | None, templates: list[str] | None, top_k: int | None
) -> Question:
    if not classes or not model:
        raise WrongUsage("give --labels A,B,C and --model NAME, or --collection NAME, or --classifier ID")
    return lambda client, contents: client.classify(
        contents, model=model, labels=classes, templates=templates, top_k=top_k
    )


def _show(inputs: list[NamedInput], results: list[Classification]) -> None:
    for position, (one, result) in enumerate(zip(inputs, results, strict=True)):
        table = tables.table(
            tables.column("label"),
            tables.column("cosine", justify="right"),
            tables.column("probability", justify="right"),
            tables.column("", no_wrap=True),
        )
        for prediction in result.predictions:
            bar = Bar(1, 0, prediction.score, width=BAR_COLUMNS, color=tables.ACCENT)
            table.add_row(prediction.label, f"{prediction.cosine:.3f}", f"{prediction.score:.3f}", bar)
        tables.show(("\n" if position else "") + one.name, style="bold")
        tables.show(table)
