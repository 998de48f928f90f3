import io
import json

import numpy as np
import pytest

from simila.cli import inputs


def test_each_input_is_one_line_of_json(server, run, tmp_path):
    (tmp_path / "cat.jpg").write_bytes(b"cat")

    result = run(
        "embed", "a cat", "a text that is longer than the encoder can read", "--image", "cat.jpg", "--model", "m"
    )

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert [line["input"] for line in lines] == ["a cat", "a text that is longer than the encoder can read", "cat.jpg"]
    assert lines[0] == {"input": "a cat", "dimension": 8, "embedding": [1, 0, 0, 0, 0, 0, 0, 0]}
    assert lines[1]["truncated"] is True
    assert server.requests[0][2]["input"][2] == {"image": "Y2F0"}


def test_texts_are_read_from_stdin_line_by_line(run):
    result = run("embed", "first", "-", "--model", "m", stdin="a cat\n\na dog\r\n")

    assert [json.loads(line)["input"] for line in result.stdout.splitlines()] == ["first", "a cat", "a dog"]


def test_many_texts_go_in_several_requests_and_come_out_in_order(server, run):
    texts = [f"text {n}" for n in range(inputs.INPUTS_PER_REQUEST + 1)]

    result = run("embed", "-", "--model", "m", stdin="\n".join(texts))

    assert [json.loads(line)["input"] for line in result.stdout.splitlines()] == texts
    assert [len(body["input"]) for _, _, body in server.requests] == [inputs.INPUTS_PER_REQUEST, 1]


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
        (["a", "--url", "localhost:8000"], "'localhost:8000' is no address of a server"),
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


def test_stdin_that_is_not_utf8_is_one_line(server, run):
    result = run("embed", "-", "--model", "m", stdin=b"caf\xe9 au lait\n")

    assert (result.exit_code, result.stderr) == (2, "error: stdin is not UTF-8: invalid continuation byte at byte 3\n")
    assert server.requests == []


def test_an_image_of_any_file_name_is_embedded(run, tmp_path):
    name = "bad\udcff.jpg"
    (tmp_path / name).write_bytes(b"cat")

    result = run("embed", "--image", name, "--model", "m")

    assert json.loads(result.stdout)["input"] == r"bad\udcff.jpg"
