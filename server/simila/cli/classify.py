"""`simila classify`: zero-shot by labels, by a collection's examples, or by a trained classifier."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from simila.cli import tables
from simila.cli.classification_results import Answer, report
from simila.cli.connection import UrlOption, connect
from simila.cli.errors import WrongUsage
from simila.cli.failures import Failures
from simila.cli.inputs import (
    INPUTS_PER_REQUEST,
    ImageOption,
    names_input,
    request_batches,
    without_name,
)
from simila.cli.rows import Row, RowsArgument, Stdin, StdinOption, read_rows
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
from simila_client import (
    BadRequest,
    CannotServe,
    Classification,
    InvalidArgument,
    Simila,
    Source,
    TooLarge,
)

Question = Callable[[Simila, Sequence[Source]], Sequence[Classification]]
Ask = Callable[[Sequence[Source]], Sequence[Classification]]


def classify(
    texts: RowsArgument = None,
    images: ImageOption = None,
    stdin: StdinOption = Stdin.TEXT,
    labels: Annotated[str | None, typer.Option(metavar="A,B,C", help="Zero-shot: the classes.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="One class, commas and all; repeatable.")] = None,
    model: Annotated[str | None, typer.Option(help="Zero-shot: the encoder; `simila models list` names them.")] = None,
    template: Annotated[
        list[str] | None, typer.Option(help="Zero-shot: a prompt such as 'a photo of a {}'; repeatable.")
    ] = None,
    collection: Annotated[str | None, typer.Option(help="Nearest mean: the collection that has examples.")] = None,
    classifier: Annotated[str | None, typer.Option(metavar="ID", help="A classifier of `simila train`.")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Show only so many classes, the best.")] = None,
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

    cat reviews.txt | simila classify - --classifier ID > classes.jsonl

    simila classify lines.jsonl --model simila-lite --labels "a dog,a cat"

    A line of JSON: {"text": "…"} or {"image": "FILE"}, with id if you like.

    An input that fails has an error instead of classes; others go on, and the exit code is 3.
    """
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
    ask = _question(trained, [*_names(labels), *(label or [])], model, template, how)
    inputs, most = read_rows(texts, images, stdin), INPUTS_PER_REQUEST
    if priors == ESTIMATE:
        inputs, most = iter(_of_one_request(inputs)), sys.maxsize
    failures = Failures()
    with connect(url) as client:
        if classifier and keep_priors:
            inputs = iter(_priors_kept(client, classifier, inputs, priors))
        answers = _answers(partial(ask, client), inputs, most)
        report(_told(answers, failures), as_json=as_json, decided=rules is not None)
    failures.finish()


def _names(text: str | None) -> list[str]:
    return [one.strip() for one in (text or "").split(",") if one.strip()]


def _of_one_request(inputs: Iterator[Row]) -> list[Row]:
    first, *others = request_batches(inputs, size_bytes=lambda one: one.size_bytes, max_items=sys.maxsize)
    if others:
        raise WrongUsage("priors are estimated of the inputs of one request, and these do not fit into one: give fewer")
    return first


def _answers(ask: Ask, inputs: Iterator[Row], most: int) -> Iterator[Answer]:
    for batch in request_batches(inputs, size_bytes=lambda one: one.size_bytes, max_items=most):
        yield from _batch_answers(ask, batch)


def _batch_answers(ask: Ask, batch: Sequence[Row]) -> Iterator[Answer]:
    """The answers of a batch; where one of its inputs is refused, those of each alone."""
    try:
        yield from zip(batch, ask([_sound(one) for one in batch]), strict=True)
        return
    except _BadInput as error:
        why = str(error)
    except (BadRequest, CannotServe, TooLarge) as error:
        if not names_input(error):
            raise
        why = without_name(error.message)
    if len(batch) == 1:
        yield batch[0], why
        return
    for one in batch:
        yield from _batch_answers(ask, [one])


class _BadInput(Exception):
    """An input that cannot be sent."""


def _sound(one: Row) -> Source:
    if isinstance(one.content, InvalidArgument):
        raise _BadInput(one.content.message)
    return one.content


def _told(answers: Iterator[Answer], failures: Failures) -> Iterator[Answer]:
    for one, result in answers:
        if isinstance(result, str):
            failures.add(one.name, result)
        yield one, result


def _priors_kept(client: Simila, classifier: str, inputs: Iterator[Row], priors: str | None) -> list[Row]:
    """The inputs, of which priors were estimated unless given, and kept with the classifier."""
    rows, given = list(inputs), read_priors(priors)
    if isinstance(given, str):
        client.set_priors(classifier, inputs=[one.content for one in rows])
    else:
        client.set_priors(classifier, priors=given)
    return rows


def _trained_question(collection: str | None, classifier: str | None, how: Mapping[str, Any]) -> Question | None:
    if collection and classifier:
        raise WrongUsage("give --collection NAME or --classifier ID, not both")
    if collection:
        return lambda client, contents: client.classify_by_example(collection, contents, **how)
    if classifier:
        return lambda client, contents: client.classify_trained(classifier, contents, **how)
    return None


def _question(
    trained: Question | None,
    classes: list[str],
    model: str | None,
    templates: list[str] | None,
    how: Mapping[str, Any],
) -> Question:
    if trained:
        if classes or model or templates:
            raise WrongUsage("--collection and --classifier have their own classes and encoder: leave the others out")
        return trained
    if not classes or not model:
        raise WrongUsage("give --labels A,B,C and --model NAME, or --collection NAME, or --classifier ID")
    return lambda client, contents: client.classify(contents, model=model, labels=classes, templates=templates, **how)
