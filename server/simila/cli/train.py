"""`simila train`: a classifier of a folder of images, of a file of examples, or of a collection."""

import json
import time
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer

from simila.cli import tables
from simila.cli.connection import UrlOption, connect
from simila.cli.errors import WrongUsage
from simila.cli.filters import FilterOption, read_filter
from simila.cli.folder_import import find_images
from simila.cli.inputs import read_image, read_text, request_batches
from simila.cli.training_options import (
    LabelsOption,
    MethodOption,
    NumbersOption,
    PhrasesOption,
    read_classes,
    read_options,
)
from simila.domain.errors import CannotServe
from simila_client import Classifier, Example, Simila, Trained

POLL_SECONDS = 0.5
NEAREST_MEAN = "nearest_mean"
_NUMBER_BYTES = 8


def train(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER|FILE.jsonl",
            help="A folder with CLASS/image files, or JSON Lines of {text or vector, label}.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The encoder of FOLDER or FILE; `simila models list` names them.")
    ] = None,
    collection: Annotated[str | None, typer.Option(help="Learn from the labelled items of this collection.")] = None,
    method: MethodOption = NEAREST_MEAN,
    conditions: FilterOption = None,
    labels: LabelsOption = None,
    phrases: PhrasesOption = None,
    option: NumbersOption = None,
    name: Annotated[str | None, typer.Option(help="What to call the classifier.")] = None,
    as_json: tables.JsonOption = False,
    url: UrlOption = None,
) -> None:
    """Learn classes from examples, and print the id to classify by.

    simila train photos/ --model efficientnet-lite0 --name shoes

    simila train reviews.jsonl --model all-minilm-l6-v2 --method logistic

    simila train --collection shoes --method ridge

    simila train --collection shoes --method pseudo_labels --labels "boots,sandals"
    """
    if (source is None) == (collection is None) or (source is None) != (model is None):
        raise WrongUsage("give FOLDER or FILE.jsonl and --model NAME, or --collection NAME")
    if not collection and (conditions or labels or phrases or option):
        raise WrongUsage("--filter, --labels, --phrases and --option are of a --collection")
    examples = read_examples(source) if source else []
    classes, options, matching = read_classes(labels, phrases), read_options(option), read_filter(conditions)
    with connect(url) as client:
        if collection:
            trained = client.train_on(
                collection, method=method, name=name, filter=matching, labels=classes or None, options=options
            )
        else:
            assert model
            trained = _train(client, examples, model, method, name)
        classifier = _when_trained(client, trained)
    figures = {"refinement": classifier.refinement} if classifier.refinement else {}
    found = {"classifier_id": classifier.id, "num_samples": classifier.num_samples, **figures}
    tables.answer(found, lambda: _show(classifier), as_json=as_json)


def read_examples(source: Path) -> list[Example]:
    """Labelled images of a folder of class folders, or texts and vectors of JSON Lines, the classes by turns.

    Raises:
        WrongUsage: there are none, or the file cannot be read as such.

    """
    if source.is_dir():
        images = [image for image in find_images(source, labels_from_folders=True) if image.label is not None]
        examples = [Example(read_image(image.path), str(image.label)) for image in images]
    else:
        examples = _lines(source)
    if not examples:
        raise WrongUsage(f"{source}: there are no examples; a folder has CLASS/image files, a file has JSON Lines")
    by_label: dict[str, list[Example]] = {}
    for example in examples:
        by_label.setdefault(example.label, []).append(example)
    # By turns, so that the first request has examples of more than one class.
    return [example for turn in zip_longest(*by_label.values()) for example in turn if example is not None]


def _lines(path: Path) -> list[Example]:
    lines = read_text(path).splitlines()
    return [_example(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _example(line: str, place: str) -> Example:
    try:
        row: dict[str, Any] = json.loads(line)
        return Example(row["text"] if "text" in row else row["vector"], row["label"])
    except (ValueError, LookupError, TypeError) as error:
        raise WrongUsage(f'{place}: not of the form {{"text": "...", "label": "..."}} ({error})') from error


def _train(client: Simila, examples: Sequence[Example], model: str, method: str, name: str | None) -> Trained:
    """One request where the method needs all examples at once; else as many as it takes."""
    if method != NEAREST_MEAN:
        return client.train(examples, model=model, method=method, name=name)
    first, *others = request_batches(examples, size_bytes=_size_bytes)
    trained = client.train(first, model=model, method=method, name=name)
    for batch in others:
        trained = client.train(batch, classifier_id=trained.classifier_id)
    return trained


def _size_bytes(example: Example) -> int:
    content = example.content
    if isinstance(content, str | bytes):
        return len(content)
    assert isinstance(content, list)  # a vector, as it was read from JSON
    return len(content) * _NUMBER_BYTES


def _when_trained(client: Simila, trained: Trained) -> Classifier:
    while (classifier := client.classifier(trained.classifier_id)).state == "training":
        time.sleep(POLL_SECONDS)
    if classifier.state != "ready":
        raise CannotServe(f"classifier {classifier.id} could not be trained: {classifier.error}")
    return classifier


def _show(classifier: Classifier) -> None:
    tables.show(f"{classifier.num_samples} examples of {len(classifier.labels)} classes: {classifier.id}")
    if found := classifier.refinement:
        tables.show(
            f"accuracy on {found.judged_items} items whose labels were not used:"
            f" {found.accuracy_before:.3f} before, {found.accuracy_after:.3f} after"
        )
