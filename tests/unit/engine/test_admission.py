"""How much work is taken on."""

from contextlib import ExitStack

import pytest

from simila.domain.errors import Overloaded
from simila.engine.admission import Admission


def admission() -> Admission:
    """Two workers that take 10 ms a unit each: 200 units a second, so a limit of 1 s is 200 units."""
    made = Admission(most_wait_seconds=1.0, fair_share=50, workers=2)
    made.measured(units=100, seconds=1.0)
    return made


@pytest.fixture
def hold():
    """Take work on and keep it until the test is over."""
    with ExitStack() as held:
        yield lambda made, units: held.enter_context(made.admit(units))


def test_work_is_taken_on_up_to_the_limit_and_given_back():
    made = admission()
    with made.admit(150):
        assert made.units_in_flight == 150
    assert made.units_in_flight == 0


def test_a_full_tower_refuses_and_says_when_to_come_again(hold):
    made = admission()
    for _ in range(5):
        hold(made, 50)
    with pytest.raises(Overloaded) as refused:  # 250 units are 1.25 s of work
        hold(made, 50)
    assert made.units_in_flight == 250
    assert refused.value.retry_after_seconds == pytest.approx(0.25)
    assert "work for 1.2 s waits already; the limit is 1 s (SIMILA_ENGINE__MAX_QUEUE_SECONDS)" in refused.value.message


def test_a_large_request_counts_with_its_fair_share(hold):
    made = admission()
    hold(made, 1500)  # 7.5 s of work, of which others wait for 0.25 s
    hold(made, 1)
    assert made.units_in_flight == 1501


def test_ten_times_the_limit_is_too_much_however_large_the_requests(hold):
    made = admission()
    hold(made, 2500)
    with pytest.raises(Overloaded) as refused:
        hold(made, 1)
    assert refused.value.retry_after_seconds == pytest.approx(2.5)


def test_what_is_refused_is_not_counted(hold):
    made = admission()
    hold(made, 2500)
    with pytest.raises(Overloaded):
        hold(made, 7)
    assert made.units_in_flight == 2500


def test_an_error_gives_the_work_back():
    made = admission()
    with pytest.raises(ZeroDivisionError), made.admit(10):
        raise ZeroDivisionError
    assert made.units_in_flight == 0


def test_the_rate_follows_what_is_measured(hold):
    made = admission()
    for _ in range(100):
        made.measured(units=100, seconds=10.0)  # ten times slower now
    hold(made, 50)
    with pytest.raises(Overloaded):
        hold(made, 1)


def test_nothing_is_refused_before_anything_was_measured(hold):
    made = Admission(most_wait_seconds=1.0, fair_share=50, workers=2)
    for _ in range(100):
        hold(made, 1000)
    assert made.units_in_flight == 100_000
