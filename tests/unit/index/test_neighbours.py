"""Answers of the index."""

import numpy as np

from simila.index.neighbours import Neighbours


def answer(*sequences: list[int]) -> Neighbours:
    return Neighbours(np.zeros((len(sequences), len(sequences[0])), np.float32), np.array(sequences, np.int64))


def test_an_answer_is_complete_when_every_query_has_all_it_asked_for():
    assert answer([3, 1], [2, 7]).are_complete()
    assert not answer([3, 1], [2, -1]).are_complete()
    assert not Neighbours.none(1, 2).are_complete()


def test_the_best_of_two_parts_are_by_cosine_and_of_equals_the_oldest():
    parts = [
        Neighbours(np.array([[0.5, 0.9], [0.1, 0.2]], np.float32), np.array([[8, 2], [4, 5]])),
        Neighbours(np.array([[0.9, 0.7], [0.3, -np.inf]], np.float32), np.array([[1, 6], [9, -1]])),
    ]
    best = Neighbours.best(parts, 3)
    assert best.sequences.tolist() == [[1, 2, 6], [9, 5, 4]]
    assert best.scores.tolist() == np.array([[0.9, 0.9, 0.7], [0.3, 0.2, 0.1]], np.float32).tolist()
