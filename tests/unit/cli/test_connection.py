import functools
import os

import httpx
import pytest

from simila.cli import connection
from simila.cli.configuration import read_settings
from simila.cli.connection import configured_url
from simila.cli.errors import WrongUsage
from simila_client import Simila


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
        ("SIMILA_LIMITS", "x", "^setting limits: Expecting value: line 1"),
        ("SIMILA_TLS_CERTIFICATE", "a.pem", "^setting tls_key: goes with tls_certificate, both or neither"),
        ("SIMILA_TLS_KEY", "key.pem", "^setting tls_key: goes with tls_certificate, both or neither"),
        ("SIMILA_CORS_ORIGINS", "shop.example", "setting cors_origins: 'shop.example' is no origin"),
        ("SIMILA_CORS_ORIGINS", "https://a.b/", "'https://a.b/' is no origin, such as https://shop.example"),
        ("SIMILA_TRITON__ADDRESSES", "gpu-1", "setting triton.addresses: 'gpu-1' is not HOST:PORT"),
        ("SIMILA_ENCODERS", '["a"', "setting encoders: Expecting ',' delimiter"),
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


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SIMILA_HOTS", "SIMILA_HOST\n"),
        ("simila_x", "SIMILA_"),
    ],
)
def test_an_unknown_variable_is_told_with_the_nearest_known_one(monkeypatch, capsys, name, nearest):
    monkeypatch.setenv(name, "3")

    assert read_settings().port == 8000

    assert f"warning: no setting is called {name}; the nearest is {nearest}" in capsys.readouterr().err


def test_known_variables_in_either_case_and_those_of_the_tests_pass(monkeypatch, capsys):
    for name in ("SIMILA_TEST_ANYTHING", "SIMILARITY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("SIMILA_LIMITS", '{"max_items": 3}')
    monkeypatch.setenv("simila_limits__max_inputs", "4")

    limits = read_settings().limits

    assert (limits.max_items, limits.max_inputs) == (3, 4)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("value", ["a,b", "a b", "a, b ", '["a", "b"]'])
def test_encoders_are_separated_by_commas_or_spaces_or_a_json_list(monkeypatch, value):
    monkeypatch.setenv("SIMILA_ENCODERS", value)

    assert read_settings().encoders == ("a", "b")


def test_a_file_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "simila.toml").write_bytes(b'host = "\xff"')

    with pytest.raises(WrongUsage, match=r"^simila\.toml is not UTF-8: invalid start byte at byte 8$"):
        read_settings()


def test_a_folder_in_place_of_the_file_is_named(tmp_path):
    (tmp_path / "simila.toml").mkdir()

    with pytest.raises(WrongUsage, match=r"^simila\.toml cannot be read: Is a directory$"):
        read_settings()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    (tmp_path / "simila.toml").touch(mode=0o000)

    with pytest.raises(WrongUsage, match=r"^simila\.toml cannot be read: Permission denied$"):
        read_settings()


@pytest.mark.parametrize(
    ("typed", "variable", "sent"),
    [(["--api-key", "typed"], "set", "Bearer typed"), ([], "set", "Bearer set"), ([], None, None)],
)
def test_the_key_is_sent_that_is_typed_or_set(monkeypatch, server, run, typed, variable, sent):
    seen = []

    def answer(request):
        seen.append(request.headers.get("authorization"))
        return server(request)

    monkeypatch.setattr(connection, "Simila", functools.partial(Simila, transport=httpx.MockTransport(answer)))
    if variable:
        monkeypatch.setenv("SIMILA_API_KEY", variable)

    result = run(*typed, "embed", "a", "--model", "m")

    assert (result.exit_code, result.stderr, seen) == (0, "", [sent])
