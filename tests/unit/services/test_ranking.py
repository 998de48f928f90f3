import asyncio
import threading

import numpy as np
import pytest

from simila.classifiers import decision_rules
from simila.classifiers.activations import Activation
from simila.classifiers.linear_scorer import cosine_scorer
from simila.classifiers.prototypes import Prototypes
from simila.domain.errors import LimitExceeded
from simila.domain.results import Prediction
from simila.services import ranking
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


def test_ranking_leaves_the_event_loop_free(monkeypatch):
    threads = []

    def predict(*arguments):
        threads.append(threading.current_thread())
        return decision_rules.predict(*arguments)

    monkeypatch.setattr(ranking, "predict", predict)
    scorer = cosine_scorer(Prototypes(("a", "b"), np.eye(2)))
    [[best]] = asyncio.run(rank(scorer, Activation(), np.array([[0.6, 0.8]], dtype=np.float32), 1))
    assert best == Prediction("b", pytest.approx(1 / (1 + np.exp(-0.2))), pytest.approx(0.8))
    assert threads != [threading.main_thread()]
