import pytest

from simila.domain.errors import InvalidInput, InvalidLabels, LimitExceeded
from simila.services.prompt_checks import PromptLimits, check_prompts

LIMITS = PromptLimits(labels=4, label_characters=20, prompt_characters=100)


@pytest.mark.parametrize(
    ("labels", "error", "message", "param"),
    [
        ([], InvalidLabels, "classification needs at least 2 labels, got 0", "labels"),
        (["cat"], InvalidLabels, "classification needs at least 2 labels, got 1", "labels"),
        (list("abcde"), LimitExceeded, "5 labels are more than the limit of 4 (SIMILA_LIMITS__MAX_LABELS)", "labels"),
        (["cat", " \t\u2003"], InvalidLabels, "labels[1]: the label is blank", "labels[1]"),
        (["cat", "dog", "cat"], InvalidLabels, "labels[2]: the label 'cat' occurs twice", "labels[2]"),
        (
            ["cat", "x" * 21],
            LimitExceeded,
            "labels[1]: 21 characters are more than the limit of 20 (SIMILA_LIMITS__MAX_LABEL_CHARACTERS)",
            "labels[1]",
        ),
    ],
)
def test_labels_that_are_refused(labels, error, message, param):
    with pytest.raises(error) as refused:
        check_prompts(labels, ["{}"], LIMITS)
    assert (refused.value.message, refused.value.param) == (message, param)


@pytest.mark.parametrize("labels", [["a", "b"], ["a", "A"], ["a", " a"], list("abcd")])
def test_labels_that_are_taken(labels):
    check_prompts(labels, ["a {}"], LIMITS)


@pytest.mark.parametrize(
    ("templates", "error", "message", "param"),
    [
        ([], InvalidInput, "at least one prompt template is needed", "templates"),
        (
            ["{}", "a photo"],
            InvalidInput,
            "templates[1]: the template 'a photo' has no {} where the label goes",
            "templates[1]",
        ),
        (
            ["{}" * 11],
            LimitExceeded,
            "templates[0]: 22 characters are more than the limit of 20 (SIMILA_LIMITS__MAX_LABEL_CHARACTERS)",
            "templates[0]",
        ),
    ],
)
def test_templates_that_are_refused(templates, error, message, param):
    with pytest.raises(error) as refused:
        check_prompts(["cat", "dog"], templates, LIMITS)
    assert (refused.value.message, refused.value.param) == (message, param)


def test_prompts_are_weighed_before_they_are_made():
    labels, templates = ["x" * 20, "y" * 10], ["{}" * 5, "{}"]  # 5 x 30 + 30 characters of labels, 24 of placeholders
    with pytest.raises(
        LimitExceeded, match="make prompts of about 204 characters, more than the limit of 100"
    ) as refused:
        check_prompts(labels, templates, LIMITS)
    assert refused.value.param == "labels"


def test_a_message_does_not_repeat_what_is_long():
    with pytest.raises(InvalidInput) as refused:
        check_prompts(["cat", "dog"], ["x" * 1_000_000], LIMITS)
    assert len(refused.value.message) < 200
