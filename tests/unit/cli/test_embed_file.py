import functools
import json

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest

from simila.cli import connection, embed_file
from simila_client import Simila

FINGERPRINT = "ab12"
MODEL = {
    "id": "m",
    "description": "",
    "licence": "",
    "state": "ready",
    "error": None,
    "modalities": ["text"],
    "dimension": 8,
    "fingerprint": FINGERPRINT,
    "certificates": {},
    "aliases": ["usual"],
}
LINES = [
    {"text": "a cat", "id": "cat", "label": "animal", "payload": {"legs": 4}},
    "a dog",
    {"image": "fish.png", "id": 7},
    {"text": "a bird"},
    {"text": "a cow"},
]


class Interrupted:
    """The stand-in, with its encoder listed; somebody presses Ctrl-C in the request `at`."""

    def __init__(self, server):
        self.server = server
        self.asked = []
        self.at = None

    def __call__(self, request):
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [MODEL]})
        self.asked.append(json.loads(request.content)["input"])
        if len(self.asked) == self.at:
            raise KeyboardInterrupt
        return self.server(request)


@pytest.fixture
def interrupted(monkeypatch, server):
    stand_in = Interrupted(server)
    monkeypatch.setattr(connection, "Simila", functools.partial(Simila, transport=httpx.MockTransport(stand_in)))
    monkeypatch.setattr(embed_file, "PART_ROWS", 2)
    return stand_in


def write(folder, lines=LINES):
    (folder / "fish.png").write_bytes(b"fish")
    (folder / "in.jsonl").write_text("\n\n".join(map(json.dumps, lines)) + "\n")


COMMAND = ("embed", "in.jsonl", "-o", "out.parquet", "--model", "m")


def rows_of(path):
    table = pq.read_table(path)
    return table.select(["id", "label", "payload"]).to_pylist(), np.array(table["vector"].to_pylist())


def test_a_file_of_lines_becomes_a_table_that_import_reads(interrupted, run, tmp_path):
    write(tmp_path)

    result = run(*COMMAND)

    assert (result.exit_code, result.stdout) == (0, "")
    rows, vectors = rows_of(tmp_path / "out.parquet")
    assert rows == [
        {"id": "cat", "label": "animal", "payload": '{"legs": 4}'},
        {"id": "3", "label": None, "payload": None},
        {"id": "7", "label": None, "payload": None},
        {"id": "7", "label": None, "payload": None},
        {"id": "9", "label": None, "payload": None},
    ]
    np.testing.assert_array_equal(vectors, np.eye(8)[[0, 1, 0, 1, 0]])
    assert pq.read_schema(tmp_path / "out.parquet").metadata[b"simila.fingerprint"] == FINGERPRINT.encode()
    assert interrupted.asked == [
        [{"text": "a cat"}, {"text": "a dog"}],
        [{"image": "ZmlzaA=="}, {"text": "a bird"}],
        [{"text": "a cow"}],
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fish.png", "in.jsonl", "out.parquet"]


def test_what_was_interrupted_goes_on_after_the_last_whole_part(interrupted, run, tmp_path):
    write(tmp_path)
    interrupted.at = 2

    cut = run(*COMMAND)

    assert cut.exit_code == 130
    assert "error: interrupted; the same command goes on from here" in cut.stderr
    assert not (tmp_path / "out.parquet").exists()
    assert run(*COMMAND).exit_code == 0
    assert [one[0] for one in interrupted.asked[2:]] == [{"image": "ZmlzaA=="}, {"text": "a cow"}]
    assert [row["id"] for row in rows_of(tmp_path / "out.parquet")[0]] == ["cat", "3", "7", "7", "9"]


def test_parts_of_another_file_are_not_taken(interrupted, run, tmp_path):
    write(tmp_path)
    interrupted.at = 2
    run(*COMMAND)
    write(tmp_path, ["another", "text"])

    result = run(*COMMAND)

    assert result.exit_code == 2
    assert "holds parts of another file or encoder; delete it to begin again" in result.stderr


@pytest.mark.parametrize(
    ("line", "reason"),
    [("{", "Expecting"), ('{"txt": "a"}', "'text'"), ('{"text": 3}', "text is no text"), ("[]", "list")],
)
@pytest.mark.usefixtures("interrupted")
def test_a_line_of_another_form_is_named(run, tmp_path, line, reason):
    (tmp_path / "in.jsonl").write_text(f'"a"\n{line}\n')

    result = run(*COMMAND)

    assert result.exit_code == 2
    assert "error: in.jsonl, line 2: not of the form" in result.stderr
    assert reason in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [("a", "-o", "x.parquet"), ("in.jsonl", "--format", "parquet"), ("in.jsonl", "b.jsonl", "-o", "x.parquet")],
)
@pytest.mark.usefixtures("interrupted")
def test_parquet_is_made_of_one_file(run, arguments):
    result = run("embed", *arguments, "--model", "m")

    assert result.exit_code == 2
    assert "error: Parquet is made of one file: simila embed FILE.jsonl -o FILE.parquet" in result.stderr


@pytest.mark.usefixtures("interrupted")
def test_an_unknown_encoder_leaves_nothing(run, tmp_path):
    write(tmp_path)

    result = run("embed", "in.jsonl", "-o", "out.parquet", "--model", "unknown")

    assert (result.exit_code, result.stderr) == (1, "error: there is no encoder 'unknown'\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fish.png", "in.jsonl"]


def test_a_file_that_was_mended_before_its_first_part_is_begun_again(interrupted, run, tmp_path):
    write(tmp_path, [{"txt": "a"}])
    assert run(*COMMAND).exit_code == 2
    write(tmp_path, [{"text": "a"}])

    assert run(*COMMAND).exit_code == 0
    assert interrupted.asked == [[{"text": "a"}]]
