import pytest

from simila.classifiers.labels import check_examples, check_labels, class_positions
from simila.domain.errors import InvalidLabels, NoExamples


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "labels: at least 2 labels are needed, got 0"),
        (["cat"], "labels: at least 2 labels are needed, got 1"),
        (["cat", " "], "labels[1]: the label is blank"),
        (["cat", "dog", "cat"], "labels[2]: the label 'cat' occurs twice"),
    ],
)
def test_labels_that_make_no_classifier(labels, message):
    with pytest.raises(InvalidLabels) as refused:
        check_labels(labels)
    assert refused.value.message == message


def test_two_labels_are_enough_and_one_where_it_is_allowed():
    check_labels(["cat", "dog"])
    check_labels(["cat"], fewest=1)


def test_positions_are_among_the_sorted_classes():
    classes, positions = class_positions(["dog", "cat\0", "cat", "dog"])
    assert classes == ("cat", "cat\0", "dog")
    assert positions.tolist() == [2, 1, 0, 2]


def test_a_class_without_enough_items_is_named():
    classes, positions = class_positions(["cat", "dog", "cat"])
    check_examples(positions, classes)
    with pytest.raises(NoExamples, match="class 'dog' has 1 items; at least 2 are needed"):
        check_examples(positions, classes, fewest=2)
    with pytest.raises(NoExamples, match="class 'eel' has 0 items"):
        check_examples(positions, (*classes, "eel"))
