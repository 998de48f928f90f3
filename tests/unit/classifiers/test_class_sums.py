import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_vectors import unit_vectors
from simila.classifiers.class_sums import ClassSums
from simila.classifiers.prototypes import class_means
from simila.domain.class_sum import ClassSum
from simila.domain.errors import InvalidInput, InvalidVector
from tolerances import FLOAT64_VALUES

LABELS = ["cat", "dog", "日本", "nan", None]


def sums_of(vectors, labels):
    sums = ClassSums(vectors.shape[1])
    sums.add(vectors, labels)
    return sums


@given(
    seed=st.integers(0, 2**32 - 1),
    steps=st.lists(st.tuples(st.integers(0, 9), st.sampled_from([*LABELS, "deleted"])), max_size=60),
)
def test_after_any_adding_relabelling_and_deleting_the_means_are_those_computed_afresh(seed, steps):
    vectors = unit_vectors(seed, 10, 6)
    sums, labels = ClassSums(6), {}
    for item, label in steps:
        if item in labels:
            sums.remove(vectors[[item]], [labels.pop(item)])
        if label != "deleted":
            labels[item] = label
            sums.add(vectors[[item]], [label])
    left = [item for item in labels if labels[item] is not None]
    afresh = sums_of(vectors[left], [labels[item] for item in left])
    assert list(sums.rows()) == list(afresh.rows())
    assert sums.counts == {label: list(labels.values()).count(label) for label in sums.counts}
    if left:
        expected = class_means(vectors[left], [labels[item] for item in left])
        assert sums.means().labels == expected.labels
        np.testing.assert_allclose(sums.means().vectors, expected.vectors, rtol=0, atol=FLOAT64_VALUES)


def test_without_labels_there_are_no_means():
    means = sums_of(unit_vectors(0, 3, 4), [None] * 3).means()
    assert means.labels == ()
    assert means.vectors.shape == (0, 4)


def test_rows_are_read_back():
    vectors = unit_vectors(0, 5, 4)
    sums = sums_of(vectors, ["a", "b", "a", "b", "c"])
    read = ClassSums(4, {label: ClassSum.from_bytes(row, 4) for label, row in sums.rows()})
    read.remove(vectors[:2], ["a", "b"])
    assert list(read.rows()) == list(sums_of(vectors[2:], ["a", "b", "c"]).rows())


def test_a_refused_change_changes_nothing():
    vectors = unit_vectors(0, 2, 4)
    sums = sums_of(vectors, ["a", "b"])
    before = list(sums.rows())
    with pytest.raises(InvalidInput):
        sums.remove(vectors, ["a", "c"])
    with pytest.raises(InvalidVector):
        sums.add(np.array([vectors[0], [9, 0, 0, 0]], dtype=np.float32), ["a", "b"])
    assert list(sums.rows()) == before
