from pathlib import Path

import pytest
from platformdirs import user_data_path
from pydantic import ValidationError

from simila.settings import Settings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults() -> None:
    settings = Settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.data_dir == user_data_path("simila", appauthor=False)


def test_the_command_line_wins_over_variables_and_they_over_the_file(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / "simila.toml").write_text('host = "::1"\nport = 1\n[limits]\nmax_inputs = 3\nmax_items = 4\n')
    assert (Settings().host, Settings().port, Settings().limits.max_inputs) == ("::1", 1, 3)
    monkeypatch.setenv("SIMILA_PORT", "2")
    monkeypatch.setenv("SIMILA_LIMITS__MAX_INPUTS", "5")
    assert (Settings().host, Settings().port) == ("::1", 2)
    assert (Settings().limits.max_inputs, Settings().limits.max_items) == (5, 4)
    assert Settings(port=3).port == 3


def test_a_misspelt_setting_in_the_file_is_refused(empty_folder: Path) -> None:
    (empty_folder / "simila.toml").write_text("prot = 1\n")
    with pytest.raises(ValidationError, match="prot"):
        Settings()


def test_every_setting_says_what_it_is_for() -> None:
    for model in (Settings, *(field.annotation for field in Settings.model_fields.values())):
        for name, field in getattr(model, "model_fields", {}).items():
            assert field.description, name


@pytest.mark.parametrize("given", ["one:8001, two:8001", "one:8001 two:8001", '["one:8001", "two:8001"]'])
def test_lists_of_names_are_written_in_one_variable(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMILA_TRITON__ADDRESSES", given)
    monkeypatch.setenv("SIMILA_ENCODERS", given)
    assert Settings().triton.addresses == Settings().encoders == ("one:8001", "two:8001")


def test_where_images_are_fetched_from_may_be_one_string(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Settings().fetch.enabled
    monkeypatch.setenv("SIMILA_FETCH__PORTS", "80, 8443")
    monkeypatch.setenv("SIMILA_FETCH__ALLOWED_NETWORKS", "10.1.0.0/16 fd00::/8")
    assert Settings().fetch.ports == (80, 8443)
    assert Settings().fetch.allowed_networks == ("10.1.0.0/16", "fd00::/8")
    monkeypatch.setenv("SIMILA_FETCH__ALLOWED_NETWORKS", "10.1.0.1/16")
    with pytest.raises(ValidationError, match="has host bits set"):
        Settings()
