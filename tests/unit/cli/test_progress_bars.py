from simila.cli.progress_bars import ProgressBars


def test_work_that_ends_before_its_first_step_draws_nothing(capsys):
    with ProgressBars():
        pass

    assert capsys.readouterr().err == ""


def test_a_step_is_drawn_with_its_amount(capsys):
    with ProgressBars() as bars:
        bars.step("upload", 1000, 2000, unit="bytes")

    assert "1.0 kB of 2.0 kB" in capsys.readouterr().err
