import pytest

from simila.cli.configuration import read_settings
from simila.cli.connection import configured_url
from simila.cli.errors import WrongUsage


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:9000"),
        ("0.0.0.0", "http://127.0.0.1:9000"),
        ("::", "http://127.0.0.1:9000"),
        ("::1", "http://[::1]:9000"),
        ("server.example", "http://server.example:9000"),
    ],
)
def test_the_server_is_looked_for_where_the_settings_put_it(monkeypatch, host, url):
    monkeypatch.setenv("SIMILA_HOST", host)
    monkeypatch.setenv("SIMILA_PORT", "9000")

    assert configured_url() == url


def test_what_is_typed_wins_over_the_environment_and_the_file(monkeypatch, tmp_path):
    (tmp_path / "simila.toml").write_text('port = 1\nhost = "::1"\nlog_level = "error"\n')
    monkeypatch.setenv("SIMILA_PORT", "2")
    monkeypatch.setenv("SIMILA_HOST", "localhost")

    settings = read_settings(port=3, host=None)

    assert (settings.port, settings.host, settings.log_level) == (3, "localhost", "error")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SIMILA_PORT", "x", "setting port: Input should be a valid integer"),
        ("SIMILA_LIMITS__MAX_ITEMS", "0", "setting limits.max_items: Input should be greater than 0"),
        ("SIMILA_ENCODERS", "a,b", 'settings: error parsing value for field "encoders"'),
    ],
)
def test_a_bad_variable_names_the_setting(monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)

    with pytest.raises(WrongUsage, match=message):
        read_settings()


@pytest.mark.parametrize(
    ("text", "message"), [("port = [", "simila.toml: Invalid value"), ("prot = 1", "setting prot: Extra inputs")]
)
def test_a_bad_file_is_named(tmp_path, text, message):
    (tmp_path / "simila.toml").write_text(text)

    with pytest.raises(WrongUsage, match=message):
        read_settings()
