"""What labels and templates must be before a prompt is made of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from simila.classifiers.prototypes import PLACEHOLDER
from simila.domain.errors import InvalidInput, InvalidLabels, LimitExceeded, quoted

FEWEST_LABELS = 2


@dataclass(frozen=True)
class PromptLimits:
    """`label_characters` bounds templates too; `prompt_characters` bounds all prompts of a request together."""

    labels: int
    label_characters: int
    prompt_characters: int
    predictions: int


def check_prompts(labels: Sequence[str], templates: Sequence[str], limits: PromptLimits) -> None:
    """Check the labels and templates of one zero-shot request.

    Raises:
        InvalidLabels: fewer than two labels, a blank one, or one that occurs twice.
        InvalidInput: there is no template, or one has no place for the label.
        LimitExceeded: too many labels, too long a label or template, or too many prompts of too great a length.

    """
    _check_labels(labels, limits)
    _check_templates(templates, limits)
    label_characters = sum(map(len, labels))
    prompt_characters = sum(
        len(labels) * len(template) + template.count(PLACEHOLDER) * label_characters for template in templates
    )
    if prompt_characters > limits.prompt_characters:
        raise LimitExceeded(
            f"{len(labels)} labels in {len(templates)} templates make prompts of about {prompt_characters} characters,"
            f" more than the limit of {limits.prompt_characters} (SIMILA_LIMITS__MAX_PROMPT_CHARACTERS)",
            param="labels",
        )


def _check_labels(labels: Sequence[str], limits: PromptLimits) -> None:
    if len(labels) < FEWEST_LABELS:
        raise InvalidLabels(f"classification needs at least {FEWEST_LABELS} labels, got {len(labels)}", param="labels")
    if len(labels) > limits.labels:
        message = f"{len(labels)} labels are more than the limit of {limits.labels} (SIMILA_LIMITS__MAX_LABELS)"
        raise LimitExceeded(message, param="labels")
    seen: set[str] = set()
    for position, label in enumerate(labels):
        name = f"labels[{position}]"
        if not label.strip():
            raise InvalidLabels(f"{name}: the label is blank", param=name)
        if label in seen:
            raise InvalidLabels(f"{name}: the label {quoted(label)} occurs twice", param=name)
        check_length(label, name, limits.label_characters)
        seen.add(label)


def _check_templates(templates: Sequence[str], limits: PromptLimits) -> None:
    if not templates:
        raise InvalidInput("at least one prompt template is needed", param="templates")
    for position, template in enumerate(templates):
        name = f"templates[{position}]"
        if PLACEHOLDER not in template:
            message = f"{name}: the template {quoted(template)} has no {PLACEHOLDER} where the label goes"
            raise InvalidInput(message, param=name)
        check_length(template, name, limits.label_characters)


def check_length(text: str, name: str, most_characters: int) -> None:
    """Check a label or a template.

    Raises:
        LimitExceeded: it is too long.

    """
    if len(text) > most_characters:
        raise LimitExceeded(
            f"{name}: {len(text)} characters are more than the limit of {most_characters}"
            " (SIMILA_LIMITS__MAX_LABEL_CHARACTERS)",
            param=name,
        )
