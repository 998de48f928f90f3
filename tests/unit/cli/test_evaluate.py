import json

import pytest


@pytest.fixture
def pets(server):
    items = {str(number): {"label": label} for number, label in enumerate(["cat", "cat", "dog"])}
    server.collections["pets"] = {"encoder": "m", "items": items}


def test_evaluate_shows_figures_classes_and_confusion(run, pets):  # noqa: ARG001 - it makes the collection
    result = run("evaluate", "pets", "--hold-out", "bird")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0] == (
        "nearest_mean, leave one out: 8 items, accuracy 0.875, macro-F1 0.600, calibration error 0.125,"
        " open-set AUROC 0.938"
    )
    assert [line.split() for line in lines[2:5]] == [
        ["label", "items", "precision", "recall", "F1"],
        ["cat", "4", "0.750", "0.500", "0.600"],
        ["dog", "4", "0.750", "0.500", "0.600"],
    ]
    assert [line.split()[-2:] for line in lines[6:]] == [["1", "2"], ["3", "·"], ["·", "3"]]


def test_evaluate_sends_what_was_asked_for_and_prints_json(server, run, pets):  # noqa: ARG001
    options = ["--method", "knn", "--k", "3", "--held-out", "0.25", "--seed", "7", "--calibrated", "--json"]
    found = json.loads(run("evaluate", "pets", *options).stdout)
    assert (found["protocol"], found["open_set_auroc"]) == ("held_out", None)
    expected = {"method": "knn", "k": 3, "held_out": 0.25, "seed": 7, "calibrated": True}
    assert server.requests == [("POST", "/v1/collections/pets/evaluate", expected)]


def test_evaluate_writes_the_picture_that_the_server_draws(server, run, pets, tmp_path):  # noqa: ARG001
    result = run("evaluate", "pets", "--picture", tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"{")  # the stand-in draws none
    assert "drawn:" in result.stdout
    assert [path for _, path, _ in server.requests] == ["/v1/collections/pets/evaluate"] * 2


def test_forget_asks_and_prints_the_receipt(server, run, pets):  # noqa: ARG001
    refused = run("collections", "forget", "pets", "--label", "cat", stdin="n\n")
    assert refused.exit_code == 1
    assert "Forget 2 items of pets?" in refused.stdout
    assert len(server.collections["pets"]["items"]) == 3
    server.stale, server.unreadable = ["0a"], ["0b"]
    result = run("collections", "forget", "pets", "--label", "cat", "--yes")
    lines = result.stdout.splitlines()
    assert lines[0] == "forgot 2 items of pets; no file holds them any more, and the class means agree"
    assert lines[1] == "erased, because they had learned from them: 0a; train them anew"
    assert lines[2] == "damaged, so that nobody knows what they learned from: 0b; delete them"
    assert lines[4].split() == ["cat", "2", "0"]
    assert list(server.collections["pets"]["items"]) == ["2"]


@pytest.mark.parametrize("arguments", [[], ["--label", "cat", "--id", "1"]])
def test_forget_wants_exactly_one_choice(server, run, pets, arguments):  # noqa: ARG001
    result = run("collections", "forget", "pets", *arguments)
    assert "give exactly one of --id, --label and --filter" in result.output
    assert not server.requests
