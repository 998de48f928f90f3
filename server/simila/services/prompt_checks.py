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


def check_prompts(
    labels: Sequence[str], templates: Sequence[str], limits: PromptLimits, *, phrases: Sequence[str] | None = None
) -> None:
    """Check the labels of one zero-shot request, and the phrases (by default the labels) and templates of its prompts.

    Raises:
        InvalidLabels: fewer than two labels, a blank one, or one that occurs twice.
        InvalidInput: there is no template, or one has no place for the label; a phrase is blank.
        LimitExceeded: too many labels, too long a label, phrase or template, or too many prompts of too great a length.

    """
    _check_labels(labels, limits)
    if phrases is None:
        phrases = labels
    else:
        _check_phrases(phrases, limits)
    if not phrases:
        return
    _check_templates(templates, limits)
    phrase_characters = sum(map(len, phrases))
    prompt_characters = sum(
        len(phrases) * len(template) + template.count(PLACEHOLDER) * phrase_characters for template in templates
    )
    if prompt_characters > limits.prompt_characters:
        raise LimitExceeded(
            f"{len(phrases)} labels in {len(templates)} templates make prompts of about {prompt_characters} characters,"
            f" more than the limit of {limits.prompt_characters} (SIMILA_LIMITS__MAX_PROMPT_CHARACTERS)",
            param="labels",
        )


def _check_phrases(phrases: Sequence[str], limits: PromptLimits) -> None:
    for phrase in phrases:
        if not phrase.strip():
            raise InvalidInput("labels: a phrase is blank", param="labels")
        check_length(phrase, "labels", limits.label_characters)


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
