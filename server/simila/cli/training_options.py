"""How a classifier is to learn, and what its classes start from, from the command line."""

from collections.abc import Sequence
from typing import Annotated

import typer

from simila.cli.errors import WrongUsage
from simila_client import ClassSource, KeywordClass

MethodOption = Annotated[
    str,
    typer.Option(
        help="nearest_mean, knn, ridge or logistic; of a collection keywords, pseudo_labels or"
        " label_propagation too, which learn from items without labels."
    ),
]
LabelsOption = Annotated[str | None, typer.Option(metavar="A,B,C", help="With --collection: classes to start from.")]
PhrasesOption = Annotated[
    list[str] | None, typer.Option(metavar="LABEL=A,B", help="A class to start from, by phrases; repeatable.")
]
NumbersOption = Annotated[
    list[str] | None, typer.Option(metavar="NAME=NUMBER", help="With --collection: of the method; repeatable.")
]


def read_classes(labels: str | None, phrases: Sequence[str] | None) -> list[ClassSource]:
    """Classes by name, and by phrases in the form LABEL=A,B.

    Raises:
        WrongUsage: one has not that form.

    """
    classes: list[ClassSource] = [one.strip() for one in (labels or "").split(",") if one.strip()]
    for text in phrases or ():
        label, _, rest = text.partition("=")
        words = [word.strip() for word in rest.split(",") if word.strip()]
        if not label.strip() or not words:
            raise WrongUsage(f"--phrases {text}: not of the form LABEL=A,B")
        classes.append(KeywordClass(label.strip(), words))
    return classes


def read_options(texts: Sequence[str] | None) -> dict[str, float]:
    """Options of a method, in the form NAME=NUMBER; whole numbers are integers.

    Raises:
        WrongUsage: one has not that form.

    """
    try:
        pairs = [text.split("=") for text in texts or ()]
        return {name: int(number) if number.isdecimal() else float(number) for name, number in pairs}
    except ValueError as error:
        raise WrongUsage(f"--option: not of the form NAME=NUMBER ({error})") from error
