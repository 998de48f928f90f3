"""Files on their way: what is sent, and what is left when a connection breaks."""

import httpx
import pytest

from simila_client import ConnectionFailed, NotFound, Simila, TimedOut
from simila_client import transport as transport_module


def client_of(answer):
    return Simila("http://server:9000", transport=httpx.MockTransport(answer))


def broken_after(*parts):
    class Stream(httpx.SyncByteStream):
        def __iter__(self):
            yield from parts
            raise httpx.ReadError("reset")

    return httpx.Response(200, headers={"content-length": "100"}, stream=Stream())


def test_a_download_appears_when_it_is_complete(tmp_path, monkeypatch):
    monkeypatch.setattr(transport_module, "_PIECE_BYTES", 4)
    seen, steps = [], []

    def answer(request):
        seen.append((request.method, request.url.path, request.headers["x-request-timeout"]))
        return httpx.Response(200, content=b"0123456789")

    with client_of(answer) as client:
        client.back_up("shop", tmp_path / "file", on_bytes=lambda done, total: steps.append((done, total)))
    assert seen == [("GET", "/v1/collections/shop/backup", "3600")]
    assert steps == [(4, 10), (8, 10), (10, 10)]
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"0123456789")]


def test_a_download_that_breaks_leaves_what_was_there(tmp_path):
    (tmp_path / "file").write_text("mine")
    with client_of(lambda _: broken_after(b"half")) as client, pytest.raises(ConnectionFailed, match="broke: reset"):
        client.export("shop", tmp_path / "file")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "mine")]


def test_a_download_that_is_refused_is_the_server_s_error(tmp_path):
    error = {"message": "there is no collection 'shop'", "type": "e", "param": "name", "code": "collection_not_found"}
    with client_of(lambda _: httpx.Response(404, json={"error": error})) as client, pytest.raises(NotFound):
        client.back_up("shop", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_an_upload_is_sent_in_pieces_with_its_length(tmp_path, monkeypatch):
    monkeypatch.setattr(transport_module, "_PIECE_BYTES", 4)
    (tmp_path / "file").write_bytes(b"0123456789")
    seen, steps = [], []

    def answer(request):
        seen.append((request.method, str(request.url), request.headers["content-length"], request.read()))
        raise httpx.WriteTimeout("slow")

    with client_of(answer) as client, pytest.raises(TimedOut, match="not answered within 3600 s"):
        client.restore("shop", tmp_path / "file", replace=True, on_bytes=lambda done, _: steps.append(done))
    url = "http://server:9000/v1/collections/shop/backup?replace=true"
    assert seen == [("PUT", url, "10", b"0123456789")]
    assert steps == [4, 8, 10]


def test_an_export_carries_its_filter(tmp_path):
    seen = []

    def answer(request):
        seen.append(dict(request.url.params))
        return httpx.Response(404, json={"error": {"message": "m", "type": "t", "param": None, "code": "c"}})

    with client_of(answer) as client, pytest.raises(NotFound):
        client.export("shop", tmp_path / "file", filter={"größe": {"$gt": 1}})
    assert seen == [{"format": "parquet", "filter": '{"größe": {"$gt": 1}}'}]


def test_loading_and_unloading_are_waited_for_as_long_as_they_take():
    seen = []

    def answer(request):
        seen.append((request.url.path, request.headers["x-request-timeout"], request.extensions["timeout"]["read"]))
        raise httpx.ReadTimeout("")

    with client_of(answer) as client:
        for change in (client.load_model, client.unload_model):
            with pytest.raises(TimedOut, match=r"POST /v1/models/m/\w+ was not answered within 3600 s"):
                change("m")
    assert seen == [("/v1/models/m/load", "3600", 3600), ("/v1/models/m/unload", "3600", 3600)]
