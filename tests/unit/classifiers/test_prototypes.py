"""Prototypes of prompts, of labelled vectors and of given ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simila.classifiers.prototypes import class_means, class_totals, given_prototypes, prompt_prototype, prompts
from simila.domain.errors import InvalidInput, InvalidLabels, InvalidVector
from simila.domain.vectors import unit_rows
from tolerances import FLOAT32_VALUES, FLOAT64_VALUES


def test_a_prompt_prototype_is_the_direction_of_the_mean():
    np.testing.assert_allclose(
        prompt_prototype(np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32)),
        [0.5**0.5, 0.5**0.5, 0],
        atol=FLOAT32_VALUES,
    )


def test_the_prototype_of_one_prompt_is_its_vector():
    vector = unit_rows(np.random.default_rng(0).normal(size=(1, 384)).astype(np.float32))
    np.testing.assert_allclose(prompt_prototype(vector), vector[0], atol=FLOAT32_VALUES)


def test_opposite_prompts_have_no_direction():
    assert prompt_prototype(np.array([[1, 0], [-1, 0]], dtype=np.float32)).tolist() == [0, 0]


def test_the_label_goes_wherever_the_placeholder_is():
    assert prompts("a {} cat", ["{}", "a photo of {}, {}!", "{0}{}"]) == [
        "a {} cat",
        "a photo of a {} cat, a {} cat!",
        "{0}a {} cat",
    ]


def test_class_means_by_hand():
    vectors = np.array([[1, 0], [0, 1], [0, -1], [3, 4]], dtype=np.float32)
    means = class_means(vectors, ["b", "a", "b", "Ä"])
    assert means.labels == ("a", "b", "Ä")
    assert means.vectors.tolist() == [[0, 1], [0.5, -0.5], [3, 4]]
    assert means.vectors.dtype == np.float64


@given(
    labels=st.lists(st.sampled_from(["cat", "dog", "日本", "", " ", "nan"]), min_size=1, max_size=40),
    seed=st.integers(0, 1000),
)
def test_class_means_are_a_loops(labels, seed):
    vectors = np.random.default_rng(seed).normal(size=(len(labels), 5)).astype(np.float32)
    means = class_means(vectors, labels)
    assert means.labels == tuple(sorted(set(labels)))
    for label, mean in zip(means.labels, means.vectors, strict=True):
        members = [vector for vector, own in zip(vectors.astype(np.float64), labels, strict=True) if own == label]
        np.testing.assert_allclose(mean, np.mean(members, axis=0), atol=FLOAT64_VALUES)


def test_class_means_are_summed_in_float64():
    vectors = np.full((300_000, 1), 0.1, dtype=np.float32)
    assert class_means(vectors, ["x"] * 300_000).vectors[0, 0] == pytest.approx(np.float64(np.float32(0.1)), abs=1e-10)


def test_totals_are_those_of_each_class_and_zero_where_a_class_has_none():
    totals = class_totals(np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32), np.array([3, 1, 3]), 5)
    assert totals.tolist() == [[0, 0], [3, 4], [0, 0], [6, 8], [0, 0]]
    assert class_totals(np.empty((0, 2), dtype=np.float32), np.empty(0, dtype=np.int64), 2).tolist() == [[0, 0]] * 2


def test_given_vectors_become_unit_prototypes_of_their_labels():
    prototypes = given_prototypes(["cat", "dog"], [[3, 4], [0, -2]], 2)
    assert prototypes.labels == ("cat", "dog")
    np.testing.assert_allclose(prototypes.vectors, [[0.6, 0.8], [0, -1]], atol=FLOAT32_VALUES)


@pytest.mark.parametrize(
    ("labels", "vectors", "error", "message"),
    [
        (["cat"], [[1, 0]], InvalidLabels, "labels: at least 2 labels are needed, got 1"),
        (["cat", "dog"], [[1, 0]], InvalidInput, "2 labels and 1 vectors; each label needs one"),
        (["cat", "dog"], [[1, 0], [0, 0]], InvalidVector, "vectors[1]: a vector of length zero has no direction"),
        (
            ["cat", "dog"],
            [[1, 0, 0], [0, 1]],
            InvalidVector,
            "vectors[0]: the vector has 3 dimensions; the encoder's vectors have 2",
        ),
    ],
)
def test_given_vectors_that_are_no_prototypes(labels, vectors, error, message):
    with pytest.raises(error) as refused:
        given_prototypes(labels, vectors, 2)
    assert refused.value.message == message
