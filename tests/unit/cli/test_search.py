import json

import pytest

from simila.cli import connection
from simila_client import Simila
from unit.cli.fake_server import error


@pytest.fixture
def photos(server):
    first = {"id": "Food/[b]x.jpg", "label": "Food", "payload": {"file": "Food/[b]x.jpg", "sha256": "0123456789" * 6}}
    second = {"id": "b.jpg", "label": None, "payload": None}
    server.collections["photos"] = {"encoder": "m", "items": {item["id"]: item for item in (first, second)}}
    return server


def test_hits_are_a_table(photos, run):
    result = run("search", "photos", "--text", "a red dress", "--limit", "2")

    header, first, second = (line.split() for line in result.stdout.splitlines())
    assert header == ["rank", "score", "id", "label", "payload"]
    assert first == ["1", "0.9000", "Food/[b]x.jpg", "Food", '{"file":"Food/[b]x.jpg","sha256":"01234…']
    assert second == ["2", "0.7750", "b.jpg"]
    assert photos.requests == [("POST", "/v1/collections/photos/search", {"text": "a red dress", "limit": 2})]


@pytest.mark.usefixtures("photos")
def test_a_pipe_gets_one_line_a_row_however_long(server, run):
    server.collections["photos"]["items"]["b.jpg"]["id"] = "x" * 150

    assert len(run("search", "photos", "--text", "a").stdout.splitlines()) == 3


@pytest.mark.usefixtures("photos")
def test_json_holds_the_whole_payload(run):
    result = run("search", "photos", "--text", "a", "--limit", "1", "--json")

    (hit,) = json.loads(result.stdout)["results"]
    assert (hit["id"], hit["score"], hit["label"]) == ("Food/[b]x.jpg", 0.9, "Food")
    assert hit["payload"]["sha256"] == "0123456789" * 6


def test_search_by_image_and_by_stored_item(photos, run, tmp_path):
    (tmp_path / "cat.jpg").write_bytes(b"cat")

    run("search", "photos", "--image", "cat.jpg", "--threshold", "0.8")
    run("search", "photos", "--id", "b.jpg")

    bodies = [body for _, _, body in photos.requests]
    assert bodies == [{"image": "Y2F0", "limit": 10, "score_threshold": 0.8}, {"id": "b.jpg", "limit": 10}]


def test_a_search_may_be_filtered_and_exact(photos, run):
    run("search", "photos", "--text", "a", "--filter", '{"price": {"$lt": 10}}', "--exact")

    ((_, _, body),) = photos.requests
    assert body == {"text": "a", "limit": 10, "filter": {"price": {"$lt": 10}}, "exact": True}


def test_groups_are_a_table_with_their_values(photos, run):
    table = run("search", "photos", "--text", "a", "--group-by", "$label", "--group-size", "3").stdout
    as_json = run("search", "photos", "--text", "a", "--group-by", "$label", "--json").stdout

    header, row = (line.split() for line in table.splitlines())
    assert header == ["group", "rank", "score", "id", "label", "payload"]
    assert row[:5] == ['"Food"', "1", "0.9000", "Food/[b]x.jpg", "Food"]
    assert photos.requests[0][2] == {"text": "a", "limit": 10, "group_by": "$label", "group_size": 3}
    (group,) = json.loads(as_json)["groups"]
    assert (group["value"], [hit["id"] for hit in group["hits"]]) == ("Food", ["Food/[b]x.jpg"])


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_filter_that_is_none_is_refused(photos, run, text):
    result = run("search", "photos", "--text", "a", "--filter", text)

    assert result.exit_code == 2
    assert result.stderr.startswith("error: --filter is no")
    assert photos.requests == []


@pytest.mark.usefixtures("photos")
def test_nothing_found_says_so(run):
    result = run("search", "photos", "--text", "a", "--threshold", "0.99")

    assert (result.exit_code, result.stdout) == (0, "nothing found\n")


@pytest.mark.parametrize("arguments", [[], ["--text", "a", "--id", "b"], ["--text", "a", "--image", "cat.jpg"]])
def test_exactly_one_query_is_needed(run, arguments):
    result = run("search", "photos", *arguments)

    assert (result.exit_code, result.stderr) == (2, "error: give exactly one of --text, --image and --id\n")


def test_without_a_server_one_line_says_what_to_do(run, monkeypatch):
    monkeypatch.setattr(connection, "Simila", Simila)

    result = run("search", "photos", "--text", "a", "--url", "http://127.0.0.1:9")

    expected = "error: no server answers at http://127.0.0.1:9; start one with: simila serve\n"
    assert (result.exit_code, result.stderr) == (1, expected)


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_payload_may_be_any_json(server, run, options):
    server.collections["photos"]["items"]["b.jpg"]["payload"] = {"n": 2**64, "é": "\ud800"}

    result = run("search", "photos", "--text", "a", *options)

    assert result.exit_code == 0
    assert str(2**64) in result.stdout
    assert r'"\ud800"' in result.stdout
    assert "é" in result.stdout


@pytest.mark.usefixtures("photos")
def test_what_a_terminal_would_obey_is_shown_escaped(server, run):
    title = "\x1b]0;x\x07"
    server.collections["photos"]["items"]["b.jpg"] |= {
        "id": f"[b]{title}",
        "label": "a\r\nb\x9b",
        "payload": {"k": title},
    }

    table = run("search", "photos", "--text", "a").stdout
    hits = run("search", "photos", "--text", "a", "--json").stdout

    row = table.splitlines()[-1].split()
    assert row[2:] == [r"[b]\u001b]0;x\u0007", r"a\u000d\u000ab\u009b", r'{"k":"\u001b]0;x\u0007"}']
    assert not set("\x07\x1b\r\x9b") & set(table + hits)
    assert json.loads(hits)["results"][1]["label"] == "a\r\nb\x9b"


@pytest.mark.parametrize("threshold", ["nan", "inf"])
def test_a_threshold_that_is_no_number_is_refused(photos, run, threshold):
    result = run("search", "photos", "--text", "a", "--threshold", threshold)

    expected = f"error: --threshold is a cosine, a number from -1 to 1; {threshold} is none\n"
    assert (result.exit_code, result.stderr) == (2, expected)
    assert photos.requests == []


@pytest.mark.usefixtures("photos", "piped")
def test_a_pipe_gets_a_json_line_a_result(run):
    result = run("search", "photos", "--id", "x", "--limit", "2")

    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert (first["query"], first["id"], first["payload"]["file"]) == ("x", "Food/[b]x.jpg", "Food/[b]x.jpg")
    assert second == {"query": "x", "id": "b.jpg", "score": 0.775, "label": None, "payload": None}


@pytest.mark.usefixtures("photos", "piped")
def test_a_pipe_gets_a_json_line_a_group(run):
    result = run("search", "photos", "--text", "a", "--limit", "2", "--group-by", "$label")

    [line] = (json.loads(line) for line in result.stdout.splitlines())
    assert (line["query"], line["value"], [hit["id"] for hit in line["hits"]]) == ("a", "Food", ["Food/[b]x.jpg"])


@pytest.mark.usefixtures("photos")
def test_each_line_of_stdin_is_a_query(run, monkeypatch):
    command = ("search", "photos", "--text", "-", "--limit", "1")
    table = run(*command, stdin="red\nblue\n").stdout.splitlines()
    documents = json.loads(run(*command, "--json", stdin="red\nblue\n").stdout)
    monkeypatch.delenv("TTY_COMPATIBLE")
    piped = run(*command, stdin=b"red\n\xff\nblue\n")

    assert [line.split()[0] for line in table if line] == ["red", "rank", "1", "blue", "rank", "1"]
    assert [document["query"] for document in documents] == ["red", "blue"]
    assert [json.loads(line)["query"] for line in piped.stdout.splitlines()] == ["red", "blue"]
    assert (piped.exit_code, piped.stderr[:31]) == (3, "error: stdin, line 2: not UTF-8")


@pytest.mark.usefixtures("photos", "piped")
def test_queries_of_json_are_texts_and_images_under_their_ids(server, run, tmp_path):
    (tmp_path / "cat.jpg").write_bytes(b"cat")
    stdin = '{"text": "{}", "id": "q7"}\n{"txt": "a"}\n{"image": "cat.jpg"}\n'

    result = run("search", "photos", "--text", "-", "--stdin", "jsonl", "--limit", "1", stdin=stdin)

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["query"], line["query_id"], line["id"]) for line in lines] == [
        ("{}", "q7", "Food/[b]x.jpg"),
        ("cat.jpg", "3", "Food/[b]x.jpg"),
    ]
    assert [body for _, _, body in server.requests] == [{"text": "{}", "limit": 1}, {"image": "Y2F0", "limit": 1}]
    assert (result.exit_code, result.stderr[:41]) == (3, 'error: stdin, line 2: not of the form {"t')


@pytest.mark.usefixtures("piped")
@pytest.mark.parametrize(
    ("param", "exit_code", "answered"), [("text", 3, ["a", "b"]), ("query", 3, ["a", "b"]), ("filter", 1, ["a"])]
)
def test_a_query_of_many_that_is_refused_keeps_no_other_out(photos, run, param, exit_code, answered):
    search = photos.search
    refusal = error(400, "invalid_input", f"{param}: too long", param=param)
    photos.search = lambda name, body: refusal if body["text"] == "long" else search(name, body)

    result = run("search", "photos", "--text", "-", "--limit", "1", stdin="a\nlong\nb\n")

    assert [json.loads(line)["query"] for line in result.stdout.splitlines()] == answered
    assert result.exit_code == exit_code
    assert f"{param}: too long" in result.stderr


def test_what_stdin_holds_is_of_no_use_where_it_is_not_read(photos, run):
    result = run("search", "photos", "--text", "a", "--stdin", "jsonl")

    assert (result.exit_code, result.stderr) == (2, "error: --stdin jsonl says what - reads: give --text -\n")
    assert photos.requests == []
