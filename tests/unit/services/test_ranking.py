import asyncio
import threading

import numpy as np
import pytest

from simila.classifiers.prototypes import Prototypes
from simila.domain.errors import LimitExceeded
from simila.domain.results import Prediction
from simila.services.ranking import check_predictions, rank


@pytest.mark.parametrize(("inputs", "classes", "top_k"), [(10, 10, None), (100, 1000, 1), (1, 100, 1000)])
def test_an_answer_within_the_limit(inputs, classes, top_k):
    check_predictions(inputs, classes, top_k, limit=100)


@pytest.mark.parametrize(("inputs", "classes", "top_k"), [(11, 10, None), (101, 1000, 1), (1, 101, 1000)])
def test_an_answer_past_the_limit(inputs, classes, top_k):
    with pytest.raises(
        LimitExceeded, match=r"more than the limit of 100 \(SIMILA_LIMITS__MAX_PREDICTIONS\)"
    ) as refused:
        check_predictions(inputs, classes, top_k, limit=100)
    assert refused.value.param == "top_k"


def test_ranking_leaves_the_event_loop_free():
    threads = []

    def rule(vectors, prototypes):
        threads.append(threading.current_thread())
        scores = vectors.astype(np.float64) @ prototypes.vectors.T
        return scores, scores

    prototypes = Prototypes(("a", "b"), np.eye(2))
    [ranked] = asyncio.run(rank(rule, np.array([[0.6, 0.8]], dtype=np.float32), prototypes, 1))
    assert [(one.label, round(one.score, 6)) for one in ranked] == [("b", 0.8)]
    assert isinstance(ranked[0], Prediction)
    assert threads != [threading.main_thread()]
