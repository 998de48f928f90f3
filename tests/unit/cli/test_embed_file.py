import json
import re
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest

from embedding_bodies import embedding_body
from simila.cli import connection, embed_file, embed_rows
from simila.cli.parquet_files import open_parquet
from simila.cli.vector_files import open_json_lines
from simila_client import Simila
from unit.cli import fake_server

LINES = [
    {"text": "a cat", "id": "cat", "label": "animal", "payload": {"legs": 4}},
    "a dog",
    {"image": "fish.png", "id": 7},
    {"text": "a bird"},
    {"text": "a cow"},
]


class Interrupted:
    """The stand-in; somebody presses Ctrl-C in the request of the text `at`."""

    def __init__(self, server):
        self.server = server
        self.asked = []
        self.at = None

    def __call__(self, request):
        if request.url.path == "/v1/models":
            return self.server(request)
        inputs = embedding_body(request)["input"]
        self.asked.append([one.get("text", "an image") for one in inputs])
        if {"text": self.at} in inputs:
            raise KeyboardInterrupt
        return self.server(request)


@pytest.fixture
def interrupted(monkeypatch, server):
    stand_in = Interrupted(server)
    monkeypatch.setattr(connection, "Simila", partial(Simila, transport=httpx.MockTransport(stand_in)))
    monkeypatch.setattr(embed_file, "PART_ROWS", 2)
    monkeypatch.setattr(embed_rows, "BATCH_ITEMS", 2)
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
    assert pq.read_schema(tmp_path / "out.parquet").metadata[b"simila.fingerprint"] == b"ab12"
    assert sorted(interrupted.asked) == [["a cat", "a dog"], ["a cow"], ["an image", "a bird"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fish.png", "in.jsonl", "out.parquet"]


@pytest.mark.parametrize("target", ["out.parquet", "out.jsonl", "out.npy"])
@pytest.mark.parametrize("source", ["in.jsonl", "-"])
def test_what_was_interrupted_goes_on_after_the_last_whole_part(interrupted, run, tmp_path, target, source):
    write(tmp_path)
    stdin = "".join(f"{text}\n" for text in ("a cat", "a dog", "a fish", "a bird", "a cow"))
    command = ("embed", source, "-o", target, "--model", "m")
    uncut = run("embed", source, "-o", f"uncut-{target}", "--model", "m", stdin=stdin)
    interrupted.at = "a bird"

    cut = run(*command, stdin=stdin)

    assert (uncut.exit_code, cut.exit_code) == (0, 130)
    assert "error: interrupted; the same command goes on from here" in cut.stderr
    assert not (tmp_path / target).exists()
    interrupted.asked, interrupted.at = [], None
    assert run(*command, stdin=stdin).exit_code == 0
    assert sorted(map(len, interrupted.asked)) == [1, 2]
    assert (tmp_path / target).read_bytes() == (tmp_path / f"uncut-{target}").read_bytes()


def test_a_part_is_finished_after_some_time_though_few_rows_are_done(interrupted, run, tmp_path, monkeypatch):
    monkeypatch.setattr(embed_file, "PART_ROWS", 4096)
    monkeypatch.setattr(embed_file, "PART_SECONDS", 0)
    write(tmp_path)
    interrupted.at = "a bird"
    run(*COMMAND)
    interrupted.asked, interrupted.at = [], None

    assert run(*COMMAND).exit_code == 0
    assert sorted(map(len, interrupted.asked)) == [1, 2]


def test_a_server_that_goes_away_leaves_what_is_done(interrupted, run, tmp_path, server):
    write(tmp_path)
    server.broken_at = "a bird"

    cut = run(*COMMAND)

    assert cut.exit_code == 1
    assert cut.stderr.endswith("; the same command goes on from here\n")
    server.broken_at = None
    interrupted.asked = []
    assert run(*COMMAND).exit_code == 0
    assert ["a cat", "a dog"] not in interrupted.asked


def test_parts_of_other_rows_are_not_taken(interrupted, run, tmp_path):
    write(tmp_path)
    interrupted.at = "a bird"
    run(*COMMAND)
    write(tmp_path, ["another", "text", "than", "before"])

    result = run(*COMMAND)

    assert result.exit_code == 2
    assert "holds parts of other inputs or of another encoder; delete it to begin again" in result.stderr


def test_parts_of_another_encoder_are_not_taken(interrupted, run, tmp_path, monkeypatch):
    write(tmp_path)
    interrupted.at = "a bird"
    run(*COMMAND)
    monkeypatch.setitem(fake_server.ENCODER, "fingerprint", "cd34")

    assert run(*COMMAND).exit_code == 2


def write_some_bad(folder):
    """Of six inputs only the second and the last can be embedded; no row of the middle part."""
    (folder / "broken.png").write_bytes(fake_server.UNREADABLE)
    write(
        folder, [{"text": 3}, "a dog", {"image": "broken.png"}, {"image": "none.png"}, {"text": "a", "label": 7}, "b"]
    )


ERRORS = [
    "in.jsonl, line 1: not of the form",
    None,
    "cannot be decoded",
    "image none.png: No such file or directory",
    "in.jsonl, line 9: not of the form",
    None,
]


def assert_errors(found):
    assert [error is None for error in found] == [error is None for error in ERRORS]
    assert all(error.startswith(start) for error, start in zip(found, ERRORS, strict=True) if error)


@pytest.mark.usefixtures("interrupted")
def test_inputs_that_fail_are_rows_with_an_error_and_no_vector(run, tmp_path):
    write_some_bad(tmp_path)

    result = run(*COMMAND)

    assert result.exit_code == 3
    assert "error: broken.png: cannot be decoded\n" in result.stderr
    table = pq.read_table(tmp_path / "out.parquet")
    assert_errors(table["error"].to_pylist())
    assert [vector is None for vector in table["vector"].to_pylist()] == [error is not None for error in ERRORS]
    assert table["vector"][1].as_py() == np.eye(8)[0].tolist()


@pytest.mark.usefixtures("interrupted")
def test_inputs_that_fail_are_lines_with_an_error_and_no_vector(run, tmp_path):
    write_some_bad(tmp_path)

    result = run("embed", "in.jsonl", "-o", "out.jsonl", "--model", "m")

    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert result.exit_code == 3
    assert_errors([line.get("error") for line in lines])
    assert [line["vector"] for line in lines if "vector" in line] == [np.eye(8)[0].tolist()] * 2


@pytest.mark.usefixtures("interrupted")
def test_inputs_that_fail_are_rows_of_nan(run, tmp_path):
    write_some_bad(tmp_path)

    assert run("embed", "in.jsonl", "-o", "out.npy", "--model", "m").exit_code == 3

    vectors = np.load(tmp_path / "out.npy")
    assert np.isnan(vectors).all(axis=1).tolist() == [error is not None for error in ERRORS]


def test_failures_before_the_interrupt_count_after_it(interrupted, run, tmp_path):
    write(tmp_path, [{"text": 3}, "a dog", "a bird"])
    interrupted.at = "a bird"
    assert run(*COMMAND).exit_code == 130
    interrupted.at = None

    assert run(*COMMAND).exit_code == 3


@pytest.mark.parametrize("target", ["out.parquet", "out.jsonl"])
@pytest.mark.usefixtures("interrupted")
def test_import_leaves_out_what_has_no_vector(run, tmp_path, target):
    write_some_bad(tmp_path)
    run("embed", "in.jsonl", "-o", target, "--model", "m")
    file = (open_parquet if target.endswith("parquet") else partial(open_json_lines, vectors=None))(tmp_path / target)

    batches = list(file.batches)

    assert file.rows == 6
    assert [one_id for batch in batches for one_id in batch.ids] == ["3", "11"]
    np.testing.assert_array_equal(np.concatenate([batch.vectors for batch in batches]), np.eye(8)[[0, 0]])


@pytest.mark.parametrize(
    ("line", "reason"),
    [("{", "Expecting"), ('{"txt": "a"}', "'text'"), ('{"text": 3}', "text is no text"), ("[]", "list")],
)
@pytest.mark.usefixtures("interrupted")
def test_a_line_of_another_form_is_named(run, tmp_path, line, reason):
    (tmp_path / "in.jsonl").write_text(f'"a"\n{line}\n')

    result = run(*COMMAND)

    assert result.exit_code == 3
    assert "error: in.jsonl, line 2: not of the form" in result.stderr
    assert reason in result.stderr


@pytest.mark.usefixtures("interrupted")
def test_a_file_has_all_inputs(run, tmp_path):
    write(tmp_path)

    result = run("embed", "in.jsonl", "another text", "-o", "x.parquet", "--model", "m")

    assert (result.exit_code, result.stderr) == (2, "error: JSON Lines have all inputs; give nothing beside them\n")


@pytest.mark.usefixtures("interrupted")
def test_an_unknown_encoder_leaves_nothing(run, tmp_path):
    write(tmp_path)

    result = run("embed", "in.jsonl", "-o", "out.parquet", "--model", "unknown")

    assert (result.exit_code, result.stderr) == (1, "error: there is no encoder 'unknown'\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fish.png", "in.jsonl"]


@pytest.mark.parametrize("kind", sorted(embed_file.WRITERS))
def test_a_full_disk_names_the_file_and_keeps_what_is_done(interrupted, run, tmp_path, monkeypatch, kind):
    write(tmp_path)
    command = ("embed", "in.jsonl", "-o", "out", "--format", kind, "--model", "m")
    write_kind = embed_file.WRITERS[kind]
    monkeypatch.setitem(embed_file.WRITERS, kind, lambda parts, _: write_kind(parts, Path("/dev/full")))

    full = run(*command)

    assert full.exit_code == 1
    assert re.search(
        "^error: out: .*No space left on device; the same command goes on from here$", full.stderr, re.MULTILINE
    )
    assert not (tmp_path / "out").exists()
    monkeypatch.setitem(embed_file.WRITERS, kind, write_kind)
    interrupted.asked = []
    assert run(*command).exit_code == 0
    assert (tmp_path / "out").exists()
    assert interrupted.asked == []
