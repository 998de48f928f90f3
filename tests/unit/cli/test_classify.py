import json
from types import SimpleNamespace

import pytest

from simila.cli import classify, rows
from unit.cli.fake_server import UNREADABLE


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
    answer = {"id": "1", "input": "meow", "prediction": "cat", "score": 0.75, "predictions": expected}
    assert json.loads(result.stdout) == [answer]
    assert server.requests == [("POST", "/v1/collections/pets/classify", {"input": [{"text": "meow"}]})]


def test_a_trained_classifier_is_asked_by_its_id(server, run):
    result = run("classify", "meow", "--classifier", "0a", "--json")

    assert json.loads(result.stdout)[0]["predictions"][0]["label"] == "ant"
    assert server.requests == [("POST", "/v1/classify", {"classifier_id": "0a", "input": [{"text": "meow"}]})]


def test_rules_are_read_of_options_and_files(server, run, tmp_path):
    (tmp_path / "tree.json").write_text('{"ant": "insect", "bee": "insect", "insect": null}')
    (tmp_path / "metric.json").write_text('{"labels": ["ant", "bee"], "distances": [[0, 1], [1, 0]]}')
    options = [
        "--priors", '{"ant": 0.9, "bee": 0.1}', "--threshold", "0.5", "--unknown-below", "0.25",
        "--label-tree", "tree.json", "--confidence", "0.75", "--label-metric", "metric.json", "--view", "flip",
    ]  # fmt: skip

    result = run("classify", "meow", "--classifier", "0a", *options)

    assert result.stdout.splitlines()[0] == "meow: ant, bee"
    ((_, _, body),) = server.requests
    assert body["views"] == ["flip"]
    assert body["priors"] == {"ant": 0.9, "bee": 0.1}
    assert (body["multi_label"], body["unknown"]) == ({"threshold": 0.5}, {"threshold": 0.25})
    assert body["label_tree"] == {"parents": {"ant": "insect", "bee": "insect", "insect": None}, "confidence": 0.75}
    assert body["label_metric"] == {"labels": ["ant", "bee"], "distances": [[0, 1], [1, 0]]}


def test_priors_are_estimated_of_all_inputs_at_once_and_kept(server, run):
    texts = [str(number) for number in range(100)]

    result = run("classify", *texts, "--classifier", "0a", "--priors", "estimate", "--keep-priors")

    assert result.exit_code == 0
    kept, asked = server.requests
    assert kept[:2] == ("PUT", "/v1/classifiers/0a/priors")
    assert len(kept[2]["input"]) == len(asked[2]["input"]) == 100
    assert "priors" not in asked[2]
    refused = run("classify", "x" * 2**24, "y" * 2**24, "--classifier", "0a", "--priors", "estimate")
    assert (refused.exit_code, len(server.requests)) == (2, 2)
    assert "do not fit into one" in refused.stderr
    run("classify", "a", "--classifier", "0a", "--priors", '{"ant": 1}', "--keep-priors")
    assert server.requests[2][2] == {"priors": {"ant": 1}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "--classifier", "0a", "--confidence", "0.5"], "--confidence is of --label-tree"),
        (["a", "--collection", "c", "--priors", "estimate", "--keep-priors"], "--keep-priors keeps --priors with a"),
        (["a", "--classifier", "0a", "--priors", "often"], "--priors: not estimate or"),
        (["a", "--classifier", "0a", "--label-tree", "nowhere"], "nowhere: "),
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


@pytest.mark.usefixtures("piped")
def test_a_pipe_gets_a_json_line_an_input(run):
    result = run("classify", "-", "--model", "m", "--labels", "cat,dog", "--top-k", "1", stdin="meow\nwoof\n")

    predictions = [{"label": "cat", "score": 0.75, "cosine": 0.31}]
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"id": row_id, "input": text, "prediction": "cat", "score": 0.75, "predictions": predictions}
        for row_id, text in (("1", "meow"), ("2", "woof"))
    ]


@pytest.mark.usefixtures("piped")
@pytest.mark.parametrize("source", [["in.jsonl"], ["-", "--stdin", "jsonl"]], ids=["file", "stdin"])
def test_lines_of_json_are_texts_and_images_under_their_ids(server, run, tmp_path, source):
    (tmp_path / "cat.jpg").write_bytes(b"cat")
    (tmp_path / "in.jsonl").write_text(
        '{"text": "{}", "id": 7}\n{"image": "no.jpg"}\n{"image": "cat.jpg", "id": "c"}\n'
    )

    result = run("classify", *source, "--model", "m", "--labels", "cat,dog", stdin=(tmp_path / "in.jsonl").read_bytes())

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["id"], line["input"], line.get("prediction")) for line in lines] == [
        ("7", "{}", "cat"),
        ("2", "no.jpg", None),
        ("c", "cat.jpg", "cat"),
    ]
    assert (result.exit_code, result.stderr) == (3, "error: image no.jpg: No such file or directory\n")
    assert [body["input"] for _, _, body in server.requests] == [[{"text": "{}"}], [{"image": "Y2F0"}]]


@pytest.mark.usefixtures("piped")
def test_one_bad_input_has_an_error_of_its_own(server, run, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(UNREADABLE)
    (tmp_path / "cat.jpg").write_bytes(b"cat")
    options = ("--image", "broken.jpg", "--image", "cat.jpg", "--model", "m", "--labels", "cat,dog")

    result = run("classify", "-", *options, stdin=b"meow\ncaf\xe9\n")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["input"], line.get("prediction")) for line in lines] == [
        ("meow", "cat"),
        ("stdin, line 2", None),
        ("broken.jpg", None),
        ("cat.jpg", "cat"),
    ]
    assert lines[2] == {"id": "3", "input": "broken.jpg", "error": "cannot be decoded"}
    assert (result.exit_code, result.stderr.count("error: ")) == (3, 2)
    assert [len(body["input"]) for _, _, body in server.requests] == [1, 1, 1]


def test_an_error_of_the_request_is_not_one_of_its_inputs(server, run):
    result = run("classify", "a", "b", "--collection", "nowhere")

    assert (result.exit_code, len(server.requests)) == (1, 1)
    assert result.stderr == "error: there is no collection 'nowhere'\n"


def test_stdin_is_classified_while_it_is_still_written(monkeypatch):
    written = []

    def lines():
        for n in range(1000):
            written.append(n)
            yield b"text %d\n" % n

    monkeypatch.setattr(rows.sys, "stdin", SimpleNamespace(buffer=lines()))
    answers = classify._answers(lambda contents: contents, rows.read_rows(["-"]), most=2)

    assert next(answers)[0].name == "text 0"
    assert len(written) == 3  # and the one that showed that the batch was full
