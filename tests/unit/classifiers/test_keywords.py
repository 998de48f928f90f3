import numpy as np
import pytest

from memory_vectors import unit_vectors
from simila.classifiers.keywords import keyword_prototype, refined_by_documents
from simila.domain.errors import InvalidInput
from simila.domain.vectors import unit_rows
from tolerances import FLOAT32_VALUES


def around(centre, rows, spread, seed=0):
    return unit_rows((centre + spread * unit_vectors(seed, rows, len(centre))).astype(np.float32))


def test_a_class_is_the_direction_of_its_phrases():
    np.testing.assert_allclose(
        keyword_prototype(np.array([[1, 0], [0, 1]], dtype=np.float32)), [0.5**0.5] * 2, atol=FLOAT32_VALUES
    )


def test_a_class_without_a_phrase_is_refused():
    with pytest.raises(InvalidInput, match="a class needs at least one phrase"):
        keyword_prototype(np.empty((0, 4), dtype=np.float32))


def test_the_close_documents_without_outliers_are_the_class():
    topic, keyword = unit_vectors(1, 1, 16)[0], None
    documents = around(topic, 40, 0.2)
    keyword = unit_rows((topic + 0.5 * unit_vectors(2, 1, 16)[0])[np.newaxis])[0]
    outlier = unit_rows((0.7 * keyword - 0.7 * topic + unit_vectors(3, 1, 16)[0])[np.newaxis])
    far = around(-topic, 30, 0.2)
    refined = refined_by_documents(
        keyword, np.concatenate([far, documents, outlier]), least_cosine=float((outlier @ keyword)[0]) - 0.01
    )
    np.testing.assert_allclose(refined, unit_rows(documents.mean(axis=0, keepdims=True))[0], atol=FLOAT32_VALUES)


def test_the_fewest_count_however_far_they_are_and_no_more_than_the_most():
    documents = around(np.eye(8)[0], 30, 0.6)
    prototype = -documents[0]
    closest = documents[np.argsort(-(documents @ prototype), kind="stable")]
    for options, count in [({"fewest": 2, "most": 9}, 2), ({"fewest": 2, "most": 2, "least_cosine": -1}, 2)]:
        np.testing.assert_allclose(
            refined_by_documents(prototype, documents, **options),
            unit_rows(closest[:count].mean(axis=0, keepdims=True))[0],
            atol=FLOAT32_VALUES,
        )


def test_without_documents_the_prototype_stays():
    prototype = unit_vectors(0, 1, 4)[0]
    assert refined_by_documents(prototype, np.empty((0, 4), dtype=np.float32)) is prototype


@pytest.mark.parametrize("limits", [{"fewest": 0}, {"fewest": 9, "most": 8}])
def test_limits_that_cross_are_refused(limits):
    with pytest.raises(InvalidInput, match="there must be 1 <= fewest <= most"):
        refined_by_documents(unit_vectors(0, 1, 4)[0], unit_vectors(1, 20, 4), **limits)
