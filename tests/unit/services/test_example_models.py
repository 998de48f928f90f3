"""What was learned of a collection lasts until its next write."""

import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.domain.errors import LimitExceeded, NoExamples
from simila.services import example_models
from simila.services.example_models import ExampleModels
from simila.storage.item_writes import Delete, UpsertArrays
from tolerances import FLOAT64_VALUES
from unit.services.word_encoders import DIMENSION

VECTORS = unit_vectors(0, 6, DIMENSION)
LABELS = ["b", "a", None, "b", "a", "c"]


@pytest.fixture
def colours(catalogue, collections):  # noqa: ARG001 - it makes the collection
    collection = catalogue.get("colours")
    collection.write(UpsertArrays([str(number) for number in range(6)], VECTORS, LABELS)).result()
    return collection


def test_it_is_made_once_and_again_after_a_write_or_when_it_is_dropped(colours):
    models, made = ExampleModels(), []

    def make():
        made.append(len(made))
        return made[-1]

    assert [models.kept(colours, "key", make) for _ in range(3)] == [0, 0, 0]
    assert models.kept(colours, "other", make) == 1
    colours.write(Delete(["0"])).result()
    assert models.kept(colours, "key", make) == 2
    models.drop(colours)
    assert models.kept(colours, "key", make) == 3


def test_only_so_much_is_kept_of_a_collection(colours):
    models = ExampleModels()
    for number in range(3 * example_models._MOST_KEPT):
        assert models.kept(colours, number, lambda number=number: number) == number
    assert len(models._kept[colours][1]) == example_models._MOST_KEPT


def test_examples_are_all_items_with_a_label(colours):
    examples = ExampleModels().examples(colours)
    assert examples.labels == ("a", "b", "c")
    assert examples.item_classes.tolist() == [1, 0, 1, 0, 2]
    assert examples.vectors.tobytes() == VECTORS[[0, 1, 3, 4, 5]].tobytes()


def test_means_are_those_of_the_items(colours):
    means, counts = ExampleModels().means(colours)
    assert counts == {"a": 2, "b": 2, "c": 1}
    np.testing.assert_allclose(
        means.vectors[1], VECTORS[[0, 3]].mean(axis=0, dtype=np.float64), rtol=0, atol=FLOAT64_VALUES
    )


def test_too_few_classes_and_too_many_items_are_refused(colours, monkeypatch):
    monkeypatch.setattr(example_models, "MOST_VALUES", 5 * DIMENSION - 1)
    with pytest.raises(LimitExceeded, match="40 values, more than the 39"):
        ExampleModels().examples(colours)
    colours.write(Delete(["0", "3", "5"])).result()
    with pytest.raises(NoExamples, match="items of one class only; 2 are needed"):
        ExampleModels().examples(colours)
    colours.write(Delete(["1", "4"])).result()
    with pytest.raises(NoExamples, match="has no labelled items"):
        ExampleModels().examples(colours)
