import json

import pytest

from simila.api.errors import detail_of, error_response
from simila.domain.errors import DeadlineExceeded, LimitExceeded, NotReady, Overloaded


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.01, "2"), (7.5, "8")])
def test_when_to_come_back_is_rounded_up_to_whole_seconds(seconds, header):
    response = error_response(Overloaded("full", retry_after_seconds=seconds))
    assert (response.status_code, response.headers["retry-after"]) == (429, header)


def test_not_ready_has_its_own_time():
    response = error_response(NotReady("loading"))
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


def test_other_errors_say_nothing_of_coming_back():
    response = error_response(DeadlineExceeded("late"))
    assert response.status_code == 504
    assert "retry-after" not in response.headers
    expected = {"message": "late", "type": "server_error", "param": None, "code": "deadline_exceeded"}
    assert json.loads(response.body) == {"error": expected}


def test_an_error_in_a_list_has_the_words_of_an_error_of_its_own():
    detail = detail_of(LimitExceeded("too long", param="input[1]"))
    assert detail.model_dump() == {
        "message": "too long",
        "type": "invalid_request_error",
        "param": "input[1]",
        "code": "limit_exceeded",
    }
