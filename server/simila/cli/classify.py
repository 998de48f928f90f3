"""`simila classify`: zero-shot by labels, by a collection's examples, or by a trained classifier."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.bar import Bar

from simila.cli import tables
from simila.cli.connection import UrlOption, connect
from simila.cli.errors import WrongUsage
from simila.cli.inputs import (
    INPUTS_PER_REQUEST,
    ImageOption,
    NamedInput,
    TextArgument,
    read_inputs,
    request_batches,
)
from simila.cli.rules import (
    ESTIMATE,
    ConfidenceOption,
    MetricOption,
    PriorsOption,
    ThresholdOption,
    TreeOption,
    UnknownOption,
    read_priors,
    read_rules,
)
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
    view: Annotated[
        list[str] | None, typer.Option(help="See images in several views, and average: plain, flip, top_left, …")
    ] = None,
    priors: PriorsOption = None,
    keep_priors: Annotated[
        bool, typer.Option("--keep-priors", help="With --classifier and --priors: correct by them from now on.")
    ] = False,
    threshold: ThresholdOption = None,
    unknown_below: UnknownOption = None,
    label_tree: TreeOption = None,
    confidence: ConfidenceOption = None,
    label_metric: MetricOption = None,
    as_json: tables.JsonOption = False,
    url: UrlOption = None,
) -> None:
    """Say which class each text or image is: of given labels, or of those that were learned from examples.

    simila classify --image photo.jpg --labels "a dog,a cat" --model simila-lite

    simila classify --image photo.jpg --collection shoes --unknown-below 0.5

    cat reviews.txt | simila classify - --classifier ID --json
    """
    classes = [one.strip() for one in (labels or "").split(",") if one.strip()] + (label or [])
    if keep_priors and not (classifier and priors):
        raise WrongUsage("--keep-priors keeps --priors with a --classifier: give both")
    rules = read_rules(
        priors=None if keep_priors else priors,
        threshold=threshold,
        unknown_below=unknown_below,
        tree=label_tree,
        confidence=confidence,
        metric=label_metric,
    )
    how = {"top_k": top_k, "rules": rules, "views": view}
    trained = _trained_question(collection, classifier, how)
    if trained and (classes or model or template):
        raise WrongUsage("--collection and --classifier have their own classes and encoder: leave the others out")
    ask = trained or _zero_shot_question(classes, model, template, how)
    inputs = read_inputs(texts, images)
    batches = _batches(inputs, together=priors == ESTIMATE)
    results: list[Classification] = []
    with connect(url) as client:
        if classifier and keep_priors:
            _keep_priors(client, classifier, [one.content for one in inputs], priors)
        for batch in batches:
            results += ask(client, [one.content for one in batch])
    if as_json:
        tables.show_json([_answer(one, result) for one, result in zip(inputs, results, strict=True)])
    else:
        _show(inputs, results, decided=rules is not None)


def _batches(inputs: Sequence[NamedInput], *, together: bool) -> list[list[NamedInput]]:
    most = len(inputs) if together else INPUTS_PER_REQUEST
    batches = list(request_batches(inputs, size_bytes=lambda one: len(one.content), max_items=most))
    if together and len(batches) > 1:
        raise WrongUsage("priors are estimated of the inputs of one request, and these do not fit into one: give fewer")
    return batches


def _keep_priors(client: Simila, classifier: str, contents: Sequence[Input], priors: str | None) -> None:
    given = read_priors(priors)
    if isinstance(given, str):
        client.set_priors(classifier, inputs=contents)
    else:
        client.set_priors(classifier, priors=given)


def _answer(one: NamedInput, result: Classification) -> dict[str, Any]:
    """An answer as JSON; what no rule has set is left out."""
    decision = {"prediction": result.label, "score": result.score}
    details = {name: getattr(result, name) for name in ("labels", "familiarity", "expected_squared_distance")}
    given = {name: value for name, value in details.items() if value is not None}
    return {"input": one.name, **decision, **given, "predictions": result.predictions}


def _trained_question(collection: str | None, classifier: str | None, how: Mapping[str, Any]) -> Question | None:
    if collection and classifier:
        raise WrongUsage("give --collection NAME or --classifier ID, not both")
    if collection:
        return lambda client, contents: client.classify_by_example(collection, contents, **how)
    if classifier:
        return lambda client, contents: client.classify_trained(classifier, contents, **how)
    return None


def _zero_shot_question(
    classes: list[str], model: str | None, templates: list[str] | None, how: Mapping[str, Any]
) -> Question:
    if not classes or not model:
        raise WrongUsage("give --labels A,B,C and --model NAME, or --collection NAME, or --classifier ID")
    return lambda client, contents: client.classify(contents, model=model, labels=classes, templates=templates, **how)


def _show(inputs: list[NamedInput], results: list[Classification], *, decided: bool) -> None:
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
        tables.show(("\n" if position else "") + one.name + (_decision(result) if decided else ""), style="bold")
        tables.show(table)


def _decision(result: Classification) -> str:
    if result.labels is not None:
        return f": {', '.join(result.labels) or 'none'}"
    return ": unknown" if result.label is None else f": {result.label} ({result.score:.3f})"
