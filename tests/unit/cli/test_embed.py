import io
import json
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from simila.cli import embed_rows, inputs, rows
from simila_client import Embeddings
from unit.cli.fake_server import UNREADABLE

pytestmark = pytest.mark.usefixtures("piped")


def test_each_input_is_one_line_of_json(server, run, tmp_path):
    (tmp_path / "cat.jpg").write_bytes(b"cat")

    result = run(
        "embed", "a cat", "a text that is longer than the encoder can read", "--image", "cat.jpg", "--model", "m"
    )

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert [line["input"] for line in lines] == ["a cat", "a text that is longer than the encoder can read", "cat.jpg"]
    assert lines[0] == {"id": "1", "input": "a cat", "vector": [1, 0, 0, 0, 0, 0, 0, 0]}
    assert lines[1]["truncated"] is True
    assert server.requests[0][2]["input"][2] == {"image": "Y2F0"}


def test_texts_are_read_from_stdin_line_by_line(run):
    result = run("embed", "first", "-", "--model", "m", stdin="a cat\n\na dog\r\n")

    assert [json.loads(line)["input"] for line in result.stdout.splitlines()] == ["first", "a cat", "a dog"]


def test_lines_of_stdin_are_json_where_that_is_said_and_nowhere_else(server, run, tmp_path):
    (tmp_path / "cat.jpg").write_bytes(b"cat")
    stdin = '{"text": "a cat", "id": "c", "label": "animal", "payload": {"legs": 4}}\n{"image": "cat.jpg"}\n'

    of_json = run("embed", "-", "--stdin", "jsonl", "--model", "m", stdin=stdin)
    of_text = run("embed", "-", "--model", "m", stdin=stdin)

    first, second = (json.loads(line) for line in of_json.stdout.splitlines())
    assert (first["id"], first["input"], first["label"], first["payload"]) == ("c", "a cat", "animal", {"legs": 4})
    assert (second["id"], second["input"]) == ("2", "cat.jpg")
    assert [json.loads(line)["input"] for line in of_text.stdout.splitlines()] == stdin.splitlines()
    assert server.requests[0][2]["input"] == [{"text": "a cat"}, {"image": "Y2F0"}]


def test_many_texts_go_in_several_requests_and_come_out_in_order(server, run, monkeypatch):
    monkeypatch.setattr(embed_rows, "BATCH_ITEMS", 3)
    texts = [f"text {n}" for n in range(7)]

    result = run("embed", "-", "--model", "m", stdin="\n".join(texts))

    assert [json.loads(line)["input"] for line in result.stdout.splitlines()] == texts
    assert sorted(len(body["input"]) for _, _, body in server.requests) == [1, 3, 3]


def test_stdin_is_answered_while_it_is_still_written(monkeypatch):
    monkeypatch.setattr(embed_rows, "BATCH_ITEMS", 2)
    written = []

    class Lines:
        def __iter__(self):
            for n in range(100):
                written.append(n)
                yield b"text %d\n" % n

    class Answering:
        def embed_stream(self, contents, *, batch_items, **_):
            while batch := list(islice(contents, batch_items)):
                nothing = np.zeros((len(batch), 1), dtype=np.float32)
                yield Embeddings(nothing, nothing, (False,) * len(batch), "m", 0, 0)

    monkeypatch.setattr(rows.sys, "stdin", SimpleNamespace(buffer=Lines()))
    answers = embed_rows.embedded(Answering(), rows.read_rows(["-"]), "m")

    assert [row.name for row in next(answers).rows] == ["text 0", "text 1"]
    assert written == [0, 1]


def test_one_bad_input_has_an_error_of_its_own(server, run, tmp_path):  # noqa: ARG001
    (tmp_path / "broken.jpg").write_bytes(UNREADABLE)
    (tmp_path / "cat.jpg").write_bytes(b"cat")

    result = run("embed", "-", "--image", "broken.jpg", "--image", "cat.jpg", "--model", "m", stdin=b"a\ncaf\xe9\n")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [sorted(line) for line in lines] == [
        ["id", "input", "vector"],
        *[["error", "id", "input"]] * 2,
        sorted(lines[0]),
    ]
    assert lines[1]["error"] == "stdin, line 2: not UTF-8 (invalid continuation byte at byte 3)"
    assert lines[2] == {"id": "3", "input": "broken.jpg", "error": "cannot be decoded"}
    assert lines[3]["input"] == "cat.jpg"
    assert (result.exit_code, result.stderr.splitlines()) == (
        3,
        [f"error: {lines[1]['error']}", "error: broken.jpg: cannot be decoded"],
    )


def test_of_many_failures_the_first_are_told_and_all_are_counted(run):
    result = run("embed", "-", "--model", "m", stdin=b"\xff\n" * 12 + b"a\n")

    assert result.exit_code == 3
    assert result.stderr.count("not UTF-8") == 10
    assert result.stderr.endswith("error: 12 inputs failed in all\n")


def test_a_terminal_gets_a_table_with_the_errors_in_it(run, tmp_path, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    (tmp_path / "broken.jpg").write_bytes(UNREADABLE)

    result = run("embed", "a cat", "--image", "broken.jpg", "--model", "m")

    head, cat, broken, total = result.stdout.splitlines()
    assert head.split()[:2] == ["input", "dimension"]
    assert cat.split() == ["a", "cat", "8", "1.0000", *["0.0000"] * 4]
    assert broken.split(maxsplit=1) == ["broken.jpg", "cannot be decoded"]
    assert total == "m, 6 tokens"


def test_a_file_that_is_typed_as_a_text_is_warned_of(run, tmp_path):
    (tmp_path / "notes.txt").write_text("a cat")

    result = run("embed", "notes.txt", "--model", "m")

    assert json.loads(result.stdout)["input"] == "notes.txt"
    assert result.stderr == (
        "warning: notes.txt is a file, whose name is taken as a text; for its lines give: - < notes.txt\n"
    )


def test_npy_is_one_array(run):
    result = run("embed", "a", "b", "--model", "m", "--format", "npy")

    vectors = np.load(io.BytesIO(result.stdout_bytes))
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, np.eye(8, dtype=np.float32)[:2])


def test_output_goes_to_a_file(run, tmp_path):
    result = run("embed", "a", "--model", "m", "--output", "a.json")

    assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads((tmp_path / "a.json").read_text())["input"] == "a"


def test_a_failed_request_leaves_no_file(run, tmp_path):
    result = run("embed", "a", "--model", "unknown", "--output", "a.json")

    assert (result.exit_code, result.stderr) == (1, "error: there is no encoder 'unknown'\n")
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a text, - for texts from stdin, or --image FILE"),
        (["-"], "give a text, - for texts from stdin, or --image FILE"),
        (["--image", "missing.jpg"], "image missing.jpg: No such file or directory"),
        (["missing.jsonl"], "file missing.jsonl: No such file or directory"),
        (["a", "--format", "parquet"], "Parquet needs --output FILE"),
        (["a", "--url", "localhost:8000"], "'localhost:8000' is no address of a server"),
        (["a", "--stdin", "jsonl"], "--stdin jsonl says what - reads: give -"),
        (["a", "-", "--stdin", "jsonl"], "JSON Lines have all inputs; give nothing beside them"),
        (["-", "--stdin", "jsonl"], "stdin has no lines"),
        (["bytes \udcff"], "text 'bytes \\udcff' is not UTF-8"),
    ],
)
def test_wrong_usage_is_one_line(server, run, arguments, message):
    result = run("embed", "--model", "m", *arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1
    assert server.requests == []


def test_a_file_that_cannot_be_written_is_one_line(run):
    result = run("embed", "a", "--model", "m", "--output", "missing/a.json")

    assert (result.exit_code, result.stderr) == (1, "error: missing/a.json: No such file or directory\n")


def test_batches_are_bounded_by_bytes_too(monkeypatch):
    monkeypatch.setattr(inputs, "BYTES_PER_REQUEST", 10)

    batches = list(inputs.request_batches([4, 6, 1, 12, 3, 3], size_bytes=lambda size: size, max_items=2))

    assert batches == [[4, 6], [1], [12], [3, 3]]


def test_an_image_of_any_file_name_is_embedded(run, tmp_path):
    name = "bad\udcff.jpg"
    (tmp_path / name).write_bytes(b"cat")

    result = run("embed", "--image", name, "--model", "m")

    assert json.loads(result.stdout)["input"] == r"bad\udcff.jpg"
