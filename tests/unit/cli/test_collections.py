import json

import pytest

from simila.cli import connection
from simila_client import Simila
from unit.cli.fake_server import UNREADABLE


@pytest.fixture
def photos(tmp_path):
    for name in ("Food/a.jpg", "Food/b.png", "Other/c.webp"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "photos"


def test_create_list_show_and_delete(server, run):
    assert run("collections", "list").stdout.startswith("no collections yet")

    created = run("collections", "create", "pets", "--encoder", "m")
    server.collections["pets"]["items"] = {"1": {"label": "cat"}, "2": {"label": "cat"}, "3": {"label": None}}

    assert created.stdout == "pets: m, 8 dimensions, 0 items\n"
    header, row = (line.split() for line in run("collections", "list").stdout.splitlines())
    assert dict(zip(header, row, strict=True)) == {
        "name": "pets",
        "encoder": "m",
        "dimension": "8",
        "items": "3",
        "labels": "1",
        "state": "ready",
    }
    assert ["labels", "cat", "2"] in [line.split() for line in run("collections", "show", "pets").stdout.splitlines()]
    assert json.loads(run("collections", "show", "pets", "--json").stdout)["labels"] == {"cat": 2}
    assert [one["name"] for one in json.loads(run("collections", "list", "--json").stdout)] == ["pets"]
    assert run("collections", "delete", "pets", "--yes").stdout == "deleted pets (3 items)\n"
    assert server.collections == {}


def test_delete_asks_first(server, run):
    server.collections["pets"] = {"encoder": "m", "items": {}}

    assert run("collections", "delete", "pets", stdin="n\n").exit_code == 1
    assert "pets" in server.collections
    assert run("collections", "delete", "pets", stdin="y\n").exit_code == 0
    assert server.collections == {}


@pytest.fixture
def pets(server):
    items = {name: {"label": label} for name, label in (("a", "cat"), ("b", "dog"), ("c", "cat"))}
    server.collections["pets"] = {"encoder": "m", "items": items}
    return items


@pytest.mark.usefixtures("pets")
def test_items_are_counted(server, run):
    assert run("collections", "count", "pets").stdout == "3\n"
    assert run("collections", "count", "pets", "--filter", '{"$label": "cat"}').stdout == "2\n"
    assert [body for _, _, body in server.requests] == [{}, {"filter": {"$label": "cat"}}]


def test_items_are_deleted_by_filter_or_all_and_not_unasked(pets, run):
    asked = run("collections", "delete-items", "pets", "--filter", '{"$label": "cat"}', stdin="n\n")
    assert (asked.exit_code, list(pets)) == (1, ["a", "b", "c"])
    assert "Delete 2 items of pets?" in asked.stdout
    assert run("collections", "delete-items", "pets", "--filter", '{"$label": "cat"}', "--yes").stdout == (
        "deleted 2 items\n"
    )
    assert list(pets) == ["b"]
    assert run("collections", "delete-items", "pets", "--all", "--yes").stdout == "deleted 1 items\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give exactly one of --filter and --all"),
        (["--all", "--filter", "{}"], "give exactly one of --filter and --all"),
        (["--filter", "{"], "--filter is not JSON: Expecting property name"),
        (["--filter", "[1]"], "--filter is no JSON object"),
    ],
)
def test_what_is_to_be_deleted_is_said_plainly(pets, run, arguments, message):
    result = run("collections", "delete-items", "pets", "--yes", *arguments)

    assert (result.exit_code, len(pets)) == (2, 3)
    assert result.stderr.startswith(f"error: {message}")


@pytest.mark.usefixtures("pets")
def test_a_payload_key_is_indexed_and_no_longer(server, run):
    assert run("collections", "index", "pets", "a.b/c").stdout == "pets: a.b/c is indexed\n"
    assert run("collections", "index", "pets", "a.b/c", "--drop").stdout == "pets: a.b/c is no longer indexed\n"
    path = "/v1/collections/pets/indexes/a.b/c"
    assert [(method, route) for method, route, _ in server.requests] == [("PUT", path), ("DELETE", path)]


@pytest.mark.parametrize("command", ["show", "delete", "count"])
def test_an_unknown_collection_is_one_line(run, command):
    result = run("collections", command, "nowhere")

    assert (result.exit_code, result.stderr) == (1, "error: there is no collection 'nowhere'\n")


def test_import_creates_the_collection_and_goes_on_where_it_was_cut(server, run, photos):
    first = run("collections", "import", "shop", photos, "--encoder", "m", "--labels-from-folders", "--batch-size", "2")
    second = run("collections", "import", "shop", photos, "--labels-from-folders")

    assert (first.exit_code, first.stdout) == (0, "shop: 3 stored, 0 unchanged, 0 refused\n")
    assert (second.exit_code, second.stdout) == (0, "shop: 0 stored, 3 unchanged, 0 refused\n")
    assert server.labels("shop") == {"Food": 2, "Other": 1}
    sizes = [len(body["items"]) for method, path, body in server.requests if method == "POST"]
    assert sizes == [2, 1]


def test_import_lists_what_was_refused_and_says_so_by_its_exit_code(run, photos):
    (photos / "Food/bad.jpg").write_bytes(UNREADABLE)

    result = run("collections", "import", "shop", photos, "--encoder", "m")

    assert (result.exit_code, result.stdout) == (3, "shop: 3 stored, 0 unchanged, 1 refused\n")
    assert result.stderr.endswith("error: Food/bad.jpg: cannot be decoded\n")


def test_import_into_an_unknown_collection_says_how_to_create_it(run, photos):
    result = run("collections", "import", "shop", photos)

    expected = "error: there is no collection 'shop'; --encoder NAME creates it\n"
    assert (result.exit_code, result.stderr) == (2, expected)


def test_import_of_no_folder_or_no_images_creates_nothing(server, run, tmp_path):
    (tmp_path / "empty").mkdir()

    missing = run("collections", "import", "shop", "missing", "--encoder", "m")
    empty = run("collections", "import", "shop", "empty", "--encoder", "m")

    assert (missing.exit_code, missing.stderr) == (2, "error: missing is not there\n")
    assert empty.exit_code == 2
    assert empty.stderr.startswith("error: empty holds no images (.bmp .gif .jpeg")
    assert server.collections == {}


@pytest.mark.parametrize("name", ["", "..", "a/b"])
@pytest.mark.parametrize("command", ["show", "delete"])
def test_a_name_that_cannot_stand_in_a_url_is_one_line(server, run, command, name):
    result = run("collections", command, name)

    expected = f"error: {name!r} is no name of a collection: it cannot be a segment of a URL's path\n"
    assert (result.exit_code, result.stderr) == (2, expected)
    assert server.requests == []


def test_labels_are_shown_escaped_and_never_as_markup(server, run):
    server.collections["pets"] = {"encoder": "m", "items": {"1": {"label": "[red]\x1b[31mcat"}}}

    lines = [line.split() for line in run("collections", "show", "pets").stdout.splitlines()]

    assert ["labels", r"[red]\u001b[31mcat", "1"] in lines


def test_import_names_a_file_that_is_not_utf8_readably(run, photos):
    (photos / "bad\udcff.jpg").write_bytes(b"x")

    result = run("collections", "import", "shop", photos, "--encoder", "m")

    assert (result.exit_code, result.stdout) == (3, "shop: 3 stored, 0 unchanged, 1 refused\n")
    assert result.stderr.endswith("error: bad\\udcff.jpg: the file name is not UTF-8: surrogates not allowed\n")


def test_a_proxy_that_cannot_be_used_is_one_line(monkeypatch, run):
    monkeypatch.setattr(connection, "Simila", Simila)
    monkeypatch.setenv("ALL_PROXY", "gopher://proxy:1")

    result = run("collections", "list", "--url", "http://server.example:8000")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names cannot be used")


@pytest.mark.usefixtures("piped")
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("list",), {"name": "pets", "items": 3}),
        (("show", "pets"), {"name": "pets", "labels": {"Food": 2, "Other": 1}}),
        (("create", "pets", "--encoder", "m"), {"name": "pets", "items": 3}),
        (("count", "pets"), {"count": 3}),
        (("index", "pets", "a.b"), {"name": "pets", "key": "a.b", "indexed": True}),
        (("delete-items", "pets", "--all", "--yes"), {"deleted": 3}),
        (("delete", "pets", "--yes"), {"deleted": "pets", "items": 3}),
        (("import", "pets", "photos"), {"name": "pets", "stored": 0, "unchanged": 3, "refused": 0}),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_pipe_gets_a_json_line(run, photos, command, expected):
    run("collections", "import", "pets", photos, "--encoder", "m", "--labels-from-folders")
    options = ("--labels-from-folders",) if command[0] == "import" else ()

    result = run("collections", *[photos if one == "photos" else one for one in command], *options)

    [line] = result.stdout.splitlines()
    assert result.exit_code == 0
    assert json.loads(line) | expected == json.loads(line)
