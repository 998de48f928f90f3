"""The blocking client over httpx's own mock transport: what is sent, and what failing connections become."""

import asyncio
import json
import socket
import threading

import httpx
import pytest

import simila_client
from simila_client import AsyncSimila, ConnectionFailed, InvalidArgument, Item, Simila, SimilaClientError, TimedOut


def client_of(answer, **options):
    return Simila("http://server:9000/base", transport=httpx.MockTransport(answer), **options)


def test_a_request_goes_below_the_base_url_as_json():
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(200, json={"results": []})

    with client_of(answer) as client:
        assert client.search("cats", "a red dress", limit=2) == ()

    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", "http://server:9000/base/v1/collections/cats/search")
    assert json.loads(request.content) == {"text": "a red dress", "limit": 2}


def test_an_id_of_dots_reaches_the_server_as_it_is():
    seen = []

    def answer(request):
        seen.append(request.url.raw_path)
        return httpx.Response(204)

    with client_of(answer) as client:
        client.delete_item("cats", "..")
        client.delete_item("cats", "a/../b")

    assert seen == [b"/base/v1/collections/cats/items/%2E%2E", b"/base/v1/collections/cats/items/a/%2E%2E/b"]


def test_all_items_follows_the_pages_to_the_last():
    def answer(request):
        start = int(request.url.params.get("after", 0))
        assert request.url.params["limit"] == "2"
        rows = [{"id": f"i{n}", "label": None, "payload": None, "sequence": n} for n in (1, 2, 3) if n > start][:2]
        return httpx.Response(200, json={"data": rows, "next": 2 if start == 0 else None})

    with client_of(answer) as client:
        assert [item.id for item in client.all_items("cats", page_items=2)] == ["i1", "i2", "i3"]


def test_a_search_follows_its_pages_to_the_last():
    def answer(request):
        body = json.loads(request.content)
        assert (body["text"], body["limit"], body["filter"]) == ("a", 2, {"n": 1})
        first = "after" not in body
        rows = [{"id": n, "score": 0.5, "label": None, "payload": None} for n in ("12" if first else "3")]
        return httpx.Response(200, json={"results": rows, "next": "cursor" if first else None})

    with client_of(answer) as client:
        pages = client.search_pages("cats", "a", page_hits=2, filter={"n": 1})
        assert [[hit.id for hit in page] for page in pages] == [["1", "2"], ["3"]]


def test_no_server_says_where_and_what_to_do():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"

        with Simila(url) as client, pytest.raises(ConnectionFailed) as caught:
            client.models()

    assert str(caught.value) == f"no server answers at {url}; start one with: simila serve"


def test_a_server_without_tls_is_told_from_none():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"

        def answer_plainly():
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        plain = threading.Thread(target=answer_plainly)
        plain.start()
        with Simila(f"https://{address}") as client, pytest.raises(ConnectionFailed) as caught:
            client.models()
        plain.join()

    assert str(caught.value).startswith(f"TLS with https://{address} failed: [SSL")
    assert str(caught.value).endswith("; one without TLS is reached by http://")


def test_a_name_that_no_host_has_is_told_from_a_server_that_is_down(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def ask_async():
        async with AsyncSimila("http://shop.example") as client:
            await client.models()

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    expected = "^no server answers at http://shop.example: Name or service not known$"

    with Simila("http://shop.example") as client, pytest.raises(ConnectionFailed, match=expected):
        client.models()
    with pytest.raises(ConnectionFailed, match=expected):
        asyncio.run(ask_async())


def test_a_server_that_takes_too_long():
    def answer(request):
        raise httpx.ReadTimeout("slow", request=request)

    with client_of(answer, timeout_seconds=2.5) as client, pytest.raises(TimedOut, match=r"GET /v1/models .* 2\.5 s"):
        client.models()


def test_a_connection_that_breaks():
    def answer(request):
        raise httpx.RemoteProtocolError("server left", request=request)

    with (
        client_of(answer) as client,
        pytest.raises(ConnectionFailed, match=r"connection to http://server:9000/base.* broke: server left"),
    ):
        client.models()


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://server", "http://", "", "http://a:b:c", "http://a/\udcff", "http://\udcff"]
)
def test_an_address_that_is_none_is_refused_at_once(url):
    with pytest.raises(ValueError, match="no address of a server"):
        Simila(url)


def test_all_names_every_public_word():
    names = ("client", "async_client", "errors", "evaluations", "map_results", "results", "rules")
    modules = [getattr(simila_client, name) for name in names]
    public = {
        name
        for module in modules
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and isinstance(value, type)
    }

    # Aliases carry no module of their own.
    assert sorted(public | {"ClassSource", "Content", "Filter", "Input", "Query", "Source"}) == sorted(
        simila_client.__all__
    )
    assert all(hasattr(simila_client, name) for name in simila_client.__all__)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "a.localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_no_proxy_sees_what_goes_to_this_machine(monkeypatch, host):
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "socks5://proxy.example:1")

    with Simila(f"http://{host}:9") as client, pytest.raises(ConnectionFailed, match="no server answers at"):
        client.models()


def test_another_machine_is_reached_through_the_proxy(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        proxy.settimeout(60)
        with Simila("http://server.example:9", timeout_seconds=0.1) as client, pytest.raises(TimedOut):
            client.models()
        connection, _ = proxy.accept()
        with connection:
            assert connection.recv(1000).startswith(b"GET http://server.example:9/v1/models HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("proxy", "reason"), [("socks5://proxy:1", "socksio"), ("gopher://proxy:1", "scheme"), ("http://proxy:abc", "port")]
)
def test_a_proxy_that_cannot_be_used_is_named(monkeypatch, proxy, reason):
    monkeypatch.setenv("ALL_PROXY", proxy)

    with pytest.raises(InvalidArgument, match=f"^the proxy that .* ALL_PROXY names cannot be used: .*{reason}"):
        Simila("http://server.example:8000")


@pytest.mark.parametrize(
    "payload",
    [{"a": object()}, {"a": "\udcff"}, {"a": float("nan")}, {b"a": 1}],
    ids=["object", "surrogate", "nan", "key"],
)
def test_what_is_no_json_is_refused_before_it_is_sent(payload):
    with (
        client_of(unreachable) as client,
        pytest.raises(InvalidArgument, match=r"POST .*/items cannot be sent, .* JSON"),
    ):
        client.upsert("cats", [Item("1", "a", payload=payload)])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "\udcff", "x" * 100_000, "a\udcff/b"])
def test_a_name_that_cannot_stand_in_a_path_is_refused_before_it_is_sent(name):
    with client_of(unreachable) as client, pytest.raises(InvalidArgument):
        client.collection(name)


@pytest.mark.parametrize("item_id", ["", "\udcff", "x" * 100_000])
def test_an_id_that_cannot_stand_in_a_path_is_refused_before_it_is_sent(item_id):
    with client_of(unreachable) as client, pytest.raises(InvalidArgument):
        client.delete_item("cats", item_id)


def test_what_cannot_be_sent_is_an_error_of_the_client_and_a_value_error():
    assert InvalidArgument.__bases__ == (SimilaClientError, ValueError)


def unreachable(request):
    raise AssertionError(f"sent: {request.method} {request.url}")


def test_what_is_no_item_or_example_is_named_by_its_position():
    with client_of(unreachable) as client:
        with pytest.raises(TypeError, match=r"^items\[1\] is a dict, and must be made by Item\(…\)$"):
            client.upsert("cats", [Item("1", "a"), {"id": "2", "text": "b"}])
        with pytest.raises(TypeError, match=r"^examples\[0\] is a tuple, and must be made by Example\(…\)$"):
            client.train([("a cat", "cat")], model="m")
