import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.classifiers.blend import blended, example_weights
from simila.classifiers.prototypes import Prototypes
from simila.domain.errors import InvalidInput, NoExamples
from tolerances import FLOAT64_VALUES

TEXTS = Prototypes(("cat", "dog"), np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32))
MEANS = Prototypes(("cat", "dog"), np.array([[0.8, 0.0, 0.4], [0.2, 0.6, 0.4]]))


def test_examples_weigh_by_their_squared_number():
    np.testing.assert_allclose(example_weights(np.array([0, 1, 2, 4, 8])), [0, 0.2, 0.5, 0.8, 64 / 68])
    np.testing.assert_allclose(example_weights(np.array([0, 1, 3]), 1.0), [0, 0.5, 0.9])


@pytest.mark.parametrize("worth", [0.0, -1.0, np.nan])
def test_prompts_worth_no_examples_are_refused(worth):
    with pytest.raises(InvalidInput, match="it must be above 0"):
        example_weights(np.array([1]), worth)


def test_a_blend_by_hand():
    """The texts are moved by the mean of (-0.2, 0, 0.4) and (0.2, -0.4, 0.4), which is (0, -0.2, 0.4)."""
    blend = blended(TEXTS, MEANS, np.array([0.5, 0.25]))
    expected = np.array([[0.9, -0.1, 0.4], [0.05, 0.75, 0.4]])
    np.testing.assert_allclose(blend.vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-12)
    assert blend.labels == ("cat", "dog")


def test_all_weight_to_the_examples_leaves_the_directions_of_the_means():
    blend = blended(TEXTS, MEANS, np.array([1.0, 1.0]))
    np.testing.assert_allclose(
        blend.vectors, MEANS.vectors / np.linalg.norm(MEANS.vectors, axis=1, keepdims=True), atol=FLOAT64_VALUES
    )


def test_means_are_found_by_label_and_a_class_without_one_keeps_its_moved_text():
    texts = Prototypes(("dog", "eel", "cat"), unit_vectors(0, 3, 4))
    means = Prototypes(("cat", "dog"), unit_vectors(1, 2, 4).astype(np.float64))
    blend = blended(texts, means, np.array([0.5, 0.0, 0.5]))
    text_rows = texts.vectors.astype(np.float64)
    gap = ((means.vectors[1] - text_rows[0]) + (means.vectors[0] - text_rows[2])) / 2
    eel = text_rows[1] + gap
    dog = (means.vectors[1] + text_rows[0] + gap) / 2
    np.testing.assert_allclose(blend.vectors[1], eel / np.linalg.norm(eel), atol=FLOAT64_VALUES)
    np.testing.assert_allclose(blend.vectors[0], dog / np.linalg.norm(dog), atol=FLOAT64_VALUES)


def test_examples_of_one_class_do_not_draw_the_images_of_another():
    """Images are all near to each other and far from texts; a class known by examples must not win by that."""
    images, texts = np.eye(3, 5) + 3 * np.eye(5)[3], np.eye(3, 5) + 3 * np.eye(5)[4]
    images, texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (images, texts))
    prompted = Prototypes(("a", "b", "c"), texts.astype(np.float32))
    blend = blended(prompted, Prototypes(("a",), images[:1]), np.array([0.8, 0, 0]))
    assert (blend.vectors @ images[1]).argmax() == 1
    as_they_are = np.concatenate([0.8 * images[:1] + 0.2 * texts[:1], texts[1:]])
    assert (as_they_are @ images[1]).argmax() == 0


@pytest.mark.parametrize(
    ("means", "weights", "error", "message"),
    [
        (MEANS, [0.5], InvalidInput, "1 weights for 2 classes; each class needs one"),
        (MEANS, [0.5, 1.5], InvalidInput, "a weight of a blend must be within 0 and 1"),
        (MEANS, [0.5, np.nan], InvalidInput, "a weight of a blend must be within 0 and 1"),
        (Prototypes((), np.empty((0, 3))), [0.0, 0.0], NoExamples, "no class has examples to blend with its prompts"),
        (
            Prototypes(("cat",), MEANS.vectors[:1]),
            [0.5, 0.5],
            NoExamples,
            "class 'dog' has no items, so its weight must be 0",
        ),
    ],
)
def test_weights_that_cannot_be(means, weights, error, message):
    with pytest.raises(error) as refused:
        blended(TEXTS, means, np.array(weights))
    assert refused.value.message == message
