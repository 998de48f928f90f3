"""How scores become decisions, from the command line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from simila.cli.errors import WrongUsage
from simila.cli.inputs import read_text
from simila_client import LabelMetric, Rules

ESTIMATE: Literal["estimate"] = "estimate"

PriorsOption = Annotated[
    str | None,
    typer.Option(
        metavar="estimate|JSON",
        help='How frequent the classes are: \'{"a": 0.9, "b": 0.1}\', or estimated of the inputs.',
    ),
]
ThresholdOption = Annotated[float | None, typer.Option(help="Tell all labels of at least this probability.")]
UnknownOption = Annotated[float | None, typer.Option(help="Reject inputs of less familiarity, which --json tells.")]
TreeOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help='Answer the deepest label that is sure: JSON {"dog": "animal", "animal": null}.'),
]
ConfidenceOption = Annotated[float | None, typer.Option(help="With --label-tree: how sure.")]
MetricOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help='Answer the label of the least expected error: JSON {"labels", "distances"}.'),
]


def read_rules(
    *,
    priors: str | None,
    threshold: float | None,
    unknown_below: float | None,
    tree: Path | None,
    confidence: float | None,
    metric: Path | None,
) -> Rules | None:
    """The rules that options state; None without any. The server checks what they say.

    Raises:
        WrongUsage: a file cannot be read, or is not JSON of the right form.

    """
    if confidence is not None and tree is None:
        raise WrongUsage("--confidence is of --label-tree: give both")
    if all(option is None for option in (priors, threshold, unknown_below, tree, metric)):
        return None
    return Rules(
        thresholds=threshold,
        unknown_below=unknown_below,
        priors=read_priors(priors),
        label_metric=None if metric is None else _label_metric(metric),
        label_tree=None if tree is None else _read_object(tree),
        confidence=confidence,
    )


def read_priors(text: str | None) -> Mapping[str, float] | Literal["estimate"] | None:
    """Class priors of an option's text.

    Raises:
        WrongUsage: it is neither `estimate` nor a JSON object.

    """
    if text is None:
        return None
    if text == ESTIMATE:
        return ESTIMATE
    return _object(text, "--priors", 'estimate or {"a": 0.9, "b": 0.1}')


def _label_metric(path: Path) -> LabelMetric:
    content = _read_object(path)
    if set(content) != {"labels", "distances"}:
        raise WrongUsage(f'{path}: a label metric is {{"labels": ["a", "b"], "distances": [[0, 1], [1, 0]]}}')
    return LabelMetric(content["labels"], content["distances"])


def _read_object(path: Path) -> dict[str, Any]:
    return _object(read_text(path), str(path), "a JSON object")


def _object(text: str, place: str, form: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongUsage(f"{place}: not {form} ({error})") from error
    if not isinstance(content, dict):
        raise WrongUsage(f"{place}: not {form}")
    return content
