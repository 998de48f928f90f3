import hashlib
from pathlib import Path

import httpx
import pytest

from simila.cli.folder_import import FolderImport, ImageFile, find_images
from simila_client import CannotServe, Overloaded, Simila
from unit.cli.fake_server import UNREADABLE, FakeServer, error


def write(folder, *names, content=None):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() if content is None else content)


def importer(server, batch_items=4, **options):
    client = Simila(max_retries=0, transport=httpx.MockTransport(server))
    return FolderImport(client, "photos", **({"batch_items": batch_items, "on_image": lambda: None} | options))


@pytest.fixture
def server():
    fake = FakeServer()
    fake.collections["photos"] = {"encoder": "m", "items": {}}
    return fake


def upserts(server):
    return [[item["id"] for item in body["items"]] for method, _, body in server.requests if method == "POST"]


def test_images_are_found_sorted_and_labelled_by_their_first_folder(tmp_path):
    write(tmp_path, "b/deep/x.PNG", "a/y.jpeg", "top.tiff", "a/notes.txt", ".git/z.png", "a/.z.png", "a/.h/z.png")
    (tmp_path / "folder.jpg").mkdir()

    assert find_images(tmp_path, labels_from_folders=True) == [
        ImageFile(tmp_path / "a/y.jpeg", "a/y.jpeg", "a"),
        ImageFile(tmp_path / "b/deep/x.PNG", "b/deep/x.PNG", "b"),
        ImageFile(tmp_path / "top.tiff", "top.tiff", None),
    ]
    assert {image.label for image in find_images(tmp_path, labels_from_folders=False)} == {None}


def test_a_hidden_folder_given_by_name_is_walked(tmp_path):
    write(tmp_path, ".photos/a.jpg")

    assert [image.id for image in find_images(tmp_path / ".photos", labels_from_folders=False)] == ["a.jpg"]


def test_items_carry_file_hash_and_label(server, tmp_path):
    write(tmp_path, "cat/a.jpg")

    report = importer(server).run(find_images(tmp_path, labels_from_folders=True))

    stored = server.collections["photos"]["items"]["cat/a.jpg"]
    assert (report.stored, report.unchanged, report.refused) == (1, 0, [])
    assert stored["label"] == "cat"
    assert stored["payload"] == {"file": "cat/a.jpg", "sha256": hashlib.sha256(b"cat/a.jpg").hexdigest()}


def test_a_second_run_sends_only_what_changed(server, tmp_path):
    write(tmp_path, *(f"cat/{n}.jpg" for n in range(5)), "loose.jpg")
    importer(server).run(find_images(tmp_path, labels_from_folders=True))
    write(tmp_path, "cat/2.jpg", content=b"other bytes")
    (tmp_path / "dog").mkdir()
    (tmp_path / "loose.jpg").rename(tmp_path / "dog/loose.jpg")
    server.requests.clear()
    seen = []

    report = importer(server, on_image=lambda: seen.append(1)).run(find_images(tmp_path, labels_from_folders=True))

    assert upserts(server) == [["cat/2.jpg", "dog/loose.jpg"]]
    assert (report.stored, report.unchanged, len(seen)) == (2, 4, 6)


def test_the_same_bytes_under_another_label_are_sent_again(server, tmp_path):
    write(tmp_path, "cat/a.jpg")
    importer(server).run(find_images(tmp_path, labels_from_folders=False))

    report = importer(server).run(find_images(tmp_path, labels_from_folders=True))

    assert (report.stored, report.unchanged) == (1, 0)
    assert server.labels("photos") == {"cat": 1}


def test_one_bad_image_keeps_no_other_out(server, tmp_path):
    write(tmp_path, *(f"{n}.jpg" for n in range(6)))
    write(tmp_path, "1.jpg", content=UNREADABLE)
    seen = []

    report = importer(server, on_image=lambda: seen.append(1)).run(find_images(tmp_path, labels_from_folders=False))

    assert [(refused.id, refused.reason) for refused in report.refused] == [("1.jpg", "cannot be decoded")]
    assert sorted(server.collections["photos"]["items"]) == ["0.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"]
    assert (report.stored, len(seen)) == (5, 6)
    alone = [["0.jpg"], ["1.jpg"], ["2.jpg"], ["3.jpg"]]
    assert upserts(server) == [["0.jpg", "1.jpg", "2.jpg", "3.jpg"], *alone, ["4.jpg", "5.jpg"]]


def test_a_batch_over_the_servers_limit_goes_one_by_one(server, tmp_path):
    server.max_items = 1
    write(tmp_path, "a.jpg", "b.jpg")

    report = importer(server).run(find_images(tmp_path, labels_from_folders=False))

    assert (report.stored, report.refused) == (2, [])


def test_a_busy_server_is_waited_for_as_long_as_it_asks(server, tmp_path):
    write(tmp_path, "a.jpg")
    server.refusals = [(503, {}), (429, {"retry-after": "7"}), (503, {})]
    waits = []

    report = importer(server, sleep=waits.append).run(find_images(tmp_path, labels_from_folders=False))

    assert waits == [0.5, 7.0, 2.0]
    assert report.stored == 1


def test_a_server_that_stays_busy_ends_the_import(server, tmp_path):
    write(tmp_path, "a.jpg")
    server.refusals = [(429, {})] * 6
    waits = []

    with pytest.raises(Overloaded, match="too much to do"):
        importer(server, sleep=waits.append).run(find_images(tmp_path, labels_from_folders=False))

    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0]


def test_an_encoder_without_images_is_told_once(server, tmp_path):
    write(tmp_path, "a.jpg", "b.jpg")
    server.upsert = lambda _name, _items: error(422, "unsupported_modality", "m reads no images")

    with pytest.raises(CannotServe, match="m reads no images"):
        importer(server).run(find_images(tmp_path, labels_from_folders=False))

    assert upserts(server) == [["a.jpg", "b.jpg"], ["a.jpg"]]


def test_a_file_that_is_gone_or_badly_named_is_listed(server, tmp_path):
    gone = ImageFile(tmp_path / "gone.jpg", "gone.jpg", None)
    badly_named = ImageFile(Path("x"), "\udcff.jpg", None)

    report = importer(server).run([gone, badly_named])

    assert [refused.reason for refused in report.refused] == [
        "No such file or directory",
        "the file name is not UTF-8: surrogates not allowed",
    ]


@pytest.mark.parametrize("message", ["items[0].image: must not be empty", "items[0]: must not be empty"])
def test_a_refusal_names_the_file_and_not_its_place_in_the_request(server, tmp_path, message):
    write(tmp_path, "a.jpg")
    server.upsert = lambda _name, _items: error(400, "invalid_input", message)

    report = importer(server).run(find_images(tmp_path, labels_from_folders=False))

    assert [(refused.id, refused.reason) for refused in report.refused] == [("a.jpg", "must not be empty")]
