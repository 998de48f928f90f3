import pytest

from simila.domain.errors import LimitExceeded
from simila.services.ranking import check_predictions


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
