import json

import pytest


def test_zero_shot_shows_label_cosine_and_probability(server, run, tmp_path):
    (tmp_path / "cat.jpg").write_bytes(b"cat")
    options = [
        "--model",
        "m",
        "--labels",
        "cat, dog",
        "--label",
        "a cup, of coffee",
        "--template",
        "a {}",
        "--top-k",
        "2",
    ]

    result = run("classify", "meow", "--image", "cat.jpg", *options)

    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert lines[0] == ["meow"]
    assert lines[1] == ["label", "cosine", "probability"]
    assert lines[2][:3] == ["cat", "0.310", "0.750"]
    assert lines[3][:3] == ["dog", "0.210", "0.250"]
    assert len(lines[2][3]) == 3 * len(lines[3][3])  # the bars
    assert lines[5] == ["cat.jpg"]
    (_, path, body) = server.requests[0]
    assert path == "/v1/classify"
    assert body["labels"] == ["cat", "dog", "a cup, of coffee"]
    assert (body["templates"], body["top_k"]) == (["a {}"], 2)


def test_nearest_mean_asks_the_collection(server, run):
    server.collections["pets"] = {"encoder": "m", "items": {"1": {"label": "cat"}}}

    result = run("classify", "meow", "--collection", "pets", "--json")

    expected = [{"label": "cat", "score": 0.75, "cosine": 0.31}]
    assert json.loads(result.stdout) == [{"input": "meow", "predictions": expected}]
    assert server.requests == [("POST", "/v1/collections/pets/classify", {"input": [{"text": "meow"}]})]


def test_a_trained_classifier_is_asked_by_its_id(server, run):
    result = run("classify", "meow", "--classifier", "0a", "--json")

    assert json.loads(result.stdout)[0]["predictions"][0]["label"] == "ant"
    assert server.requests == [("POST", "/v1/classify", {"classifier_id": "0a", "input": [{"text": "meow"}]})]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a"], "give --labels A,B,C and --model NAME, or --collection NAME, or --classifier ID"),
        (["a", "--labels", "x"], "give --labels A,B,C and --model NAME, or --collection NAME, or --classifier ID"),
        (
            ["a", "--model", "m", "--labels", " , "],
            "give --labels A,B,C and --model NAME, or --collection NAME, or --classifier ID",
        ),
        (
            ["a", "--labels", "x", "--collection", "c"],
            "--collection and --classifier have their own classes and encoder",
        ),
        (["a", "--classifier", "0a", "--model", "m"], "--collection and --classifier have their own"),
        (["a", "--classifier", "0a", "--collection", "c"], "give --collection NAME or --classifier ID, not both"),
        (["--collection", "c"], "give a text, - for texts from stdin, or --image FILE"),
    ],
)
def test_wrong_usage_is_one_line(server, run, arguments, message):
    result = run("classify", *arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1
    assert server.requests == []


def test_an_unknown_collection_is_one_line(run):
    result = run("classify", "a", "--collection", "nowhere")

    assert (result.exit_code, result.stderr) == (1, "error: there is no collection 'nowhere'\n")
