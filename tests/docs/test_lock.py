"""What counts as a difference between an environment and its lock."""

from docs.lock import differences, versions


def test_names_are_compared_as_indexes_do() -> None:
    assert versions("# head\nTyping_Extensions==4.1\nruamel.yaml==1\n") == {
        "typing-extensions": "4.1",
        "ruamel-yaml": "1",
    }


def test_what_is_locked_otherwise_or_not_at_all_is_told() -> None:
    locked = {"same": "1", "other": "1", "of-another-system": "3"}
    assert differences({"same": "1", "other": "2", "unknown": "5"}, locked) == [
        "other: 2 is installed, 1 is locked",
        "unknown: 5 is installed, none is locked",
    ]
