import numpy as np
import pytest

from simila.domain.vectors import unit_rows
from simila.services.diversity import diverse


def maximal_marginal_relevance(vectors, scores, count, relevance):
    """Written as the paper has it."""
    chosen, rest = [], list(range(len(vectors)))
    while rest and len(chosen) < count:
        best = max(
            rest,
            key=lambda row: (
                relevance * scores[row]
                - (1 - relevance) * max(float(vectors[row] @ vectors[other]) for other in chosen)
                if chosen
                else scores[row]
            ),
        )
        chosen.append(best)
        rest.remove(best)
    return chosen


@pytest.mark.parametrize("relevance", [0.0, 0.3, 0.7, 1.0])
def test_the_choice_is_that_of_the_definition(relevance):
    random = np.random.default_rng(3)
    vectors = unit_rows(random.normal(size=(40, 6)).astype(np.float32))
    scores = np.sort(vectors @ vectors[0])[::-1].tolist()
    found = diverse(vectors, scores, 12, relevance)
    assert found == maximal_marginal_relevance(vectors, scores, 12, relevance)


def test_a_near_copy_of_the_best_comes_after_what_is_different():
    vectors = unit_rows(np.array([[1, 0], [0.999, 0.04], [0.6, 0.8]], np.float32))
    assert diverse(vectors, [1.0, 0.99, 0.6], 3, 1.0) == [0, 1, 2]
    assert diverse(vectors, [1.0, 0.99, 0.6], 3, 0.5) == [0, 2, 1]


def test_no_more_come_than_there_are():
    assert diverse(np.eye(2, dtype=np.float32), [0.5, 0.4], 9, 0.5) == [0, 1]
