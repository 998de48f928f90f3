"""What a server prints once its encoders are loaded."""

from simila.app.announcement import announce
from simila.settings import Settings


def test_a_server_that_is_given_no_encoders_does_not_ask_for_exports(capsys):
    announce([], Settings(encoders=()))

    assert capsys.readouterr().out == "Simila listens on http://127.0.0.1:8000, with no encoders (SIMILA_ENCODERS)\n"


def test_an_ipv6_address_is_announced_in_brackets(capsys):
    announce([], Settings(host="::1", port=8150))

    assert capsys.readouterr().out.startswith("Simila listens on http://[::1]:8150, but no encoder")
