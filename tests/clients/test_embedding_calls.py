"""Many inputs: how they are cut, sent side by side, sent again and put together, blocking and awaiting."""

import asyncio
import threading
from itertools import islice
from types import SimpleNamespace

import httpx
import numpy as np
import ormsgpack
import pytest

from embedding_bodies import embedding_body
from simila_client import AsyncSimila, BadRequest, ImageUrl, InputError, InvalidArgument, Overloaded, Simila, TooLarge
from simila_client import contents as contents_module
from simila_client import retries as retries_module

MOST_INPUTS = 4


class FakeEncoder:
    """Vectors that say which text they are of: "3" is (3, 4) scaled to unit length. It takes 4 inputs at a time."""

    def __init__(self):
        self.requests = []
        self.refusals = []

    def __call__(self, request):
        body = embedding_body(request)
        self.requests.append(body)
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return error(status, "try later", headers=headers)
        texts = [one.get("text", "") for one in body["input"]]
        if len(texts) > MOST_INPUTS:
            return error(413, f"more than {MOST_INPUTS} inputs")
        failing = [index for index, text in enumerate(texts) if text == "bad"]
        if failing and (body.get("on_error") != "partial" or len(failing) == len(texts)):
            return error(400, f"input[{failing[0]}]: is bad", param=f"input[{failing[0]}]")
        data = [row(index, text) for index, text in enumerate(texts)]
        answer = {"data": data, "model": "m", "usage": {"prompt_tokens": len(texts), "total_tokens": len(texts)}}
        assert request.headers["accept"] == "application/msgpack"
        return httpx.Response(200, content=ormsgpack.packb(answer), headers={"content-type": "application/msgpack"})


def row(index, text):
    if text == "bad":
        return {"index": index, "embedding": None, "error": {"message": f"input[{index}]: is bad", "code": "invalid"}}
    return {"index": index, "embedding": unit(float(text or 0)).astype("<f4").tobytes()}


def unit(value):
    vector = np.array([value, 4], dtype=np.float32)
    return vector / np.linalg.norm(vector)


def error(status, message, *, param=None, headers=None):
    body = {"error": {"message": message, "type": "t", "param": param, "code": "c"}}
    return httpx.Response(status, json=body, headers=headers)


def blocking(server, inputs, **options):
    with Simila("http://server", transport=httpx.MockTransport(server)) as client:
        return client.embed(inputs, model="m", **options)


def awaiting(server, inputs, **options):
    async def ask():
        async with AsyncSimila("http://server", transport=httpx.MockTransport(server)) as client:
            return await client.embed(inputs, model="m", **options)

    return asyncio.run(ask())


@pytest.fixture(params=[blocking, awaiting], ids=["blocking", "awaiting"])
def embed(request):
    return request.param


@pytest.fixture
def waits(monkeypatch):
    """How long retries would wait, were there time."""
    seen = []

    async def wait(seconds):
        seen.append(seconds)

    # In the client's eyes alone: servers of other tests may run in threads beside.
    monkeypatch.setattr("simila_client.transport.time", SimpleNamespace(sleep=seen.append))
    monkeypatch.setattr(
        "simila_client.async_transport.asyncio", SimpleNamespace(sleep=wait, to_thread=asyncio.to_thread)
    )
    monkeypatch.setattr(retries_module, "random", SimpleNamespace(uniform=lambda least, most: (least + most) / 2))
    return seen


def test_many_inputs_come_back_in_their_order(embed):
    server, steps = FakeEncoder(), []
    found = embed(server, [str(n) for n in range(10)], batch_items=3, on_progress=lambda *step: steps.append(step))
    np.testing.assert_array_equal(found.vectors, [unit(n) for n in range(10)])
    assert sorted(len(body["input"]) for body in server.requests) == [1, 3, 3, 3]
    assert steps == [(3, 10), (6, 10), (9, 10), (10, 10)]
    assert (found.prompt_tokens, found.truncated) == (10, (False,) * 10)


def test_requests_are_halved_until_the_server_takes_them(embed):
    server = FakeEncoder()
    found = embed(server, [str(n) for n in range(10)])
    np.testing.assert_array_equal(found.vectors, [unit(n) for n in range(10)])
    assert [len(body["input"]) for body in server.requests] == [10, 5, 2, 3, 5, 2, 3]


def test_an_input_that_is_too_large_alone_is_an_error(embed):
    with pytest.raises(TooLarge):
        embed(lambda _: error(413, "too large"), ["1", "2"])


def test_an_error_names_the_callers_position(embed):
    with pytest.raises(BadRequest, match=r"^input\[7\]: is bad$") as caught:
        embed(FakeEncoder(), ["0"] * 7 + ["bad"], batch_items=3)
    assert caught.value.param == "input[7]"


@pytest.mark.parametrize("batch_items", [1, 2, 4])
def test_inputs_that_fail_leave_their_errors_and_rows_of_nan(embed, tmp_path, batch_items):
    inputs = ["1", "bad", tmp_path / "missing.png", "3"]
    found = embed(FakeEncoder(), inputs, on_error="partial", batch_items=batch_items)
    np.testing.assert_array_equal(found.vectors, [unit(1), [np.nan] * 2, [np.nan] * 2, unit(3)])
    assert sorted(found.errors) == [1, 2]
    assert "is bad" in found.errors[1].message
    missing = f"image {tmp_path / 'missing.png'}: No such file or directory"
    assert found.errors[2] == InputError(missing, "invalid_argument")


@pytest.mark.parametrize(("text", "why"), [("", "must not be empty"), ("a\ud800", "not UTF-8 (surrogates not allowed")])
def test_a_text_that_no_request_may_hold_fails_alone(embed, text, why):
    found = embed(FakeEncoder(), ["1", text, "3"], on_error="partial")
    np.testing.assert_array_equal(found.vectors, [unit(1), [np.nan] * 2, unit(3)])
    assert [(at, error.message[: len(why)]) for at, error in found.errors.items()] == [(1, why)]


def test_all_inputs_failing_is_an_error_of_the_request(embed):
    with pytest.raises(InvalidArgument, match=r"^all inputs failed; the first: input\[0\]: is bad$"):
        embed(FakeEncoder(), ["bad"] * 3, on_error="partial", batch_items=2)


def test_a_busy_server_is_asked_again_when_it_says(embed, waits):
    server = FakeEncoder()
    server.refusals = [(429, {"retry-after": "2"}), (503, {"retry-after": "1"}), (429, {})]
    np.testing.assert_array_equal(embed(server, ["3"]).vectors, [unit(3)])
    assert waits == [2 + 0.125, 1 + 0.25, 0.5]


def test_a_server_that_stays_busy_is_given_up(embed, waits):
    server = FakeEncoder()
    server.refusals = [(429, {})] * 9
    with pytest.raises(Overloaded):
        embed(server, ["3"])
    assert waits == [0.125, 0.25, 0.5, 1.0]


def test_who_is_asked_to_wait_too_long_has_the_error(embed, waits):
    server = FakeEncoder()
    server.refusals = [(429, {"retry-after": "31"})]
    with pytest.raises(Overloaded):
        embed(server, ["3"])
    assert waits == []


def test_a_broken_connection_is_made_again_where_that_does_no_harm(embed, waits):
    server, broken = FakeEncoder(), [True]

    def breaking(request):
        if broken:
            broken.pop()
            raise httpx.ReadError("reset")
        return server(request)

    np.testing.assert_array_equal(embed(breaking, ["3"]).vectors, [unit(3)])
    assert len(waits) == 1


def test_a_stream_draws_no_more_than_it_may_have_under_way():
    drawn = []

    def endless():
        while True:
            drawn.append(len(drawn))
            yield str(drawn[-1])

    with Simila("http://server", transport=httpx.MockTransport(FakeEncoder())) as client:
        stream = client.embed_stream(endless(), model="m", batch_items=2, concurrency=3)
        parts = list(islice(stream, 5))
        stream.close()
    np.testing.assert_array_equal(np.concatenate([part.vectors for part in parts]), [unit(n) for n in range(10)])
    # Five batches taken, two more under way, and the one input that showed that the last of them was full.
    assert len(drawn) == 2 * (5 + 2) + 1


def test_an_awaited_stream_draws_no_more_either():
    drawn = []

    def endless():
        while True:
            drawn.append(len(drawn))
            yield str(drawn[-1])

    async def five():
        async with AsyncSimila("http://server", transport=httpx.MockTransport(FakeEncoder())) as client:
            stream = client.embed_stream(endless(), model="m", batch_items=2, concurrency=3)
            parts = [await anext(stream) for _ in range(5)]
            await stream.aclose()
            return parts

    parts = asyncio.run(five())
    np.testing.assert_array_equal(np.concatenate([part.vectors for part in parts]), [unit(n) for n in range(10)])
    assert len(drawn) == 2 * (5 + 2) + 1


def test_requests_are_under_way_side_by_side():
    together = threading.Barrier(3, timeout=30)
    server = FakeEncoder()

    def meeting(request):
        together.wait()
        return server(request)

    assert len(blocking(meeting, ["1", "2", "3"], batch_items=1, concurrency=3).vectors) == 3


def test_a_picture_is_fetched_from_its_address_by_the_client(monkeypatch):
    server = FakeEncoder()
    pages = httpx.MockTransport(lambda request: httpx.Response(200, content=b"picture of " + request.url.path.encode()))
    client = httpx.Client(transport=pages)
    monkeypatch.setattr(
        contents_module.httpx, "stream", lambda *given, **options: client.stream(*given, **drop(options))
    )
    blocking(server, [ImageUrl("http://host/cat.jpg")])
    client.close()
    assert server.requests[0]["input"] == [{"image": "cGljdHVyZSBvZiAvY2F0LmpwZw=="}]


def drop(options):
    return {name: value for name, value in options.items() if name != "timeout"}


def test_the_key_goes_with_every_request():
    seen = []

    def answer(request):
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={"data": []})

    with Simila("http://server", api_key="sk-1", transport=httpx.MockTransport(answer)) as client:
        client.models()

    async def ask():
        async with AsyncSimila("http://server", api_key="sk-1", transport=httpx.MockTransport(answer)) as client:
            await client.models()

    asyncio.run(ask())
    assert seen == ["Bearer sk-1"] * 2


@pytest.mark.parametrize("key", ["a\nb", "schlüssel"])
def test_a_key_that_no_header_carries_is_refused_at_once(key):
    with pytest.raises(InvalidArgument, match="API key"):
        Simila("http://server", api_key=key)
