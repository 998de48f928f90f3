import json

import pytest

from simila.cli import train as command


@pytest.fixture
def photographs(tmp_path):
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.png", "loose.jpg"):
        path = tmp_path / "photographs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "photographs"


def test_a_folder_of_class_folders_is_learned(server, run, photographs):
    result = run("train", str(photographs), "--model", "m", "--name", "pets")

    assert (result.exit_code, result.stdout) == (0, "3 examples of 2 classes: 0a\n")
    (_, path, body) = server.requests[0]
    assert (path, body["model"], body["method"], body["name"]) == ("/v1/train", "m", "nearest_mean", "pets")
    assert [example["label"] for example in body["input"]] == ["cat", "dog", "cat"]


def test_many_examples_are_added_request_by_request(server, run, tmp_path):
    rows = [{"text": str(n), "label": "ab"[n >= 40]} for n in range(80)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))

    result = run("train", "rows.jsonl", "--model", "m", "--json")

    assert json.loads(result.stdout) == {"classifier_id": "0a", "num_samples": 80}
    first, second = (body for method, _, body in server.requests if method == "POST")
    assert {example["label"] for example in first["input"]} == {"a", "b"}
    assert (second["classifier_id"], len(first["input"]) + len(second["input"])) == ("0a", 80)


def test_a_probe_gets_all_examples_at_once(server, run, tmp_path):
    rows = [{"vector": [n, 1.0], "label": "ab"[n % 2]} for n in range(80)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))

    run("train", "rows.jsonl", "--model", "m", "--method", "ridge")

    (body,) = (body for method, _, body in server.requests if method == "POST")
    assert (len(body["input"]), body["method"]) == (80, "ridge")


def test_a_collection_is_learned_and_a_failure_is_told(server, run, monkeypatch):
    monkeypatch.setattr(command, "POLL_SECONDS", 0)
    server.collections["pets"] = {"encoder": "m", "items": {"1": {"label": "cat"}}}
    server.trained_state = "failed"

    result = run("train", "--collection", "pets", "--method", "knn")

    assert result.exit_code == 1
    assert result.stderr == "error: classifier 0a could not be trained: None\n"
    assert server.requests[0][2] == {"collection": "pets", "method": "knn"}


def test_a_refinement_starts_from_classes_and_tells_its_figures(server, run):
    server.collections["docs"] = {"encoder": "m", "items": {"1": {"label": "b"}}}
    server.refinement = {"judged_items": 7, "accuracy_before": 0.5, "accuracy_after": 0.75}
    options = ["--labels", "a, b", "--phrases", "c=x y, z", "--option", "most=40", "--option", "least_cosine=0.2"]

    result = run("train", "--collection", "docs", "--method", "keywords", "--filter", '{"n": 1}', *options)

    assert result.stdout.splitlines()[1] == "accuracy on 7 items whose labels were not used: 0.500 before, 0.750 after"
    assert server.requests[0][2] == {
        "collection": "docs", "method": "keywords", "filter": {"n": 1}, "most": 40, "least_cosine": 0.2,
        "labels": ["a", "b", {"label": "c", "phrases": ["x y", "z"]}],
    }  # fmt: skip
    told = json.loads(run("train", "--collection", "docs", "--method", "keywords", "--json").stdout)
    assert told["refinement"] == server.refinement


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "--model", "m", "--labels", "a"], "--filter, --labels, --phrases and --option are of a --collection"),
        (["--collection", "c", "--phrases", "a"], "--phrases a: not of the form LABEL=A,B"),
        (["--collection", "c", "--option", "k=many"], "--option: not of the form NAME=NUMBER"),
        ([], "give FOLDER or FILE.jsonl and --model NAME, or --collection NAME"),
        (["x"], "give FOLDER or FILE.jsonl and --model NAME, or --collection NAME"),
        (["x", "--model", "m", "--collection", "c"], "give FOLDER"),
        (["nowhere", "--model", "m"], "nowhere: No such file or directory\n"),
        (["latin.jsonl", "--model", "m"], "latin.jsonl is not UTF-8: invalid continuation byte at byte 9\n"),
        (["bad.jsonl", "--model", "m"], "bad.jsonl:2: not of the form"),
        (["empty.jsonl", "--model", "m"], "empty.jsonl: there are no examples"),
    ],
)
def test_wrong_usage_is_one_line(server, run, tmp_path, arguments, message):
    (tmp_path / "bad.jsonl").write_text('{"text": "a", "label": "b"}\n{"text": "a"}\n')
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "latin.jsonl").write_bytes(b'{"text": \xe9t')

    result = run("train", *arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {message}")
    assert server.requests == []
