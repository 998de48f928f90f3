"""What becomes of calls that fail, wait too long or are given up: by a protocol that does as it is told."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from tritonclient.grpc import service_pb2
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from held_port import held_port
from simila.api.doorkeeper import Doorkeeper
from simila.api.grpc_inference import serving_grpc
from simila.api.grpc_keys import KeyInterceptor
from simila.domain.access import Allowance, Scope
from simila.domain.errors import Conflict, Forbidden, NotReady, Overloaded, StorageFailed, Unauthorized, UnknownEncoder
from simila.services.drain import Drain
from simila.storage.api_keys import ApiKeys

REQUEST = service_pb2.ModelInferRequest(model_name="words")
PATIENCE_SECONDS = 60


class Protocol:
    """Raises `error`, or else waits until the call is cancelled."""

    def __init__(self, error=None):
        self._error = error
        self.began = asyncio.Event()
        self.was_cancelled = asyncio.Event()

    async def infer(self, *_):
        if self._error:
            raise self._error
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.was_cancelled.set()


class Door:
    """Lets those in who say the word."""

    def admitted(self, sent, need):
        if need.scope is None or sent == "word":
            return
        raise Forbidden("no") if sent == "weak" else Unauthorized("who is there?")


class OpenDoor:
    def admitted(self, sent, need):
        pass


NO_KEYS = OpenDoor()


@asynccontextmanager
async def stub_of(protocol, *, timeout_seconds=PATIENCE_SECONDS, max_message_bytes=1000, door=NO_KEYS):
    options = {"max_message_bytes": max_message_bytes, "timeout_seconds": timeout_seconds}
    interceptors = [KeyInterceptor(door, Drain())]
    with held_port() as port:
        address = f"127.0.0.1:{port}"
        serving = serving_grpc(protocol, address, interceptors, **options)
        async with serving, grpc.aio.insecure_channel(address) as channel:
            yield GRPCInferenceServiceStub(channel)


async def failed(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call, PATIENCE_SECONDS)
    return caught.value


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownEncoder("unknown"), grpc.StatusCode.NOT_FOUND),
        (Conflict("other"), grpc.StatusCode.FAILED_PRECONDITION),
        (NotReady("loading"), grpc.StatusCode.UNAVAILABLE),
        (StorageFailed("full"), grpc.StatusCode.INTERNAL),
    ],
)
def test_an_error_has_a_code_and_its_message(error, code):
    async def ask():
        async with stub_of(Protocol(error)) as stub:
            return await failed(stub.ModelInfer(REQUEST))

    found = asyncio.run(ask())
    assert (found.code(), found.details()) == (code, error.message)


def test_overload_says_when_to_come_back():
    async def ask():
        async with stub_of(Protocol(Overloaded("too much waits", retry_after_seconds=2.4))) as stub:
            return await failed(stub.ModelInfer(REQUEST))

    found = asyncio.run(ask())
    assert found.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert dict(found.trailing_metadata())["retry-after"] == "3"


def test_a_call_without_a_deadline_has_the_servers():
    async def ask():
        async with stub_of(protocol := Protocol(), timeout_seconds=0.05) as stub:
            found = await failed(stub.ModelInfer(REQUEST))
            await asyncio.wait_for(protocol.was_cancelled.wait(), PATIENCE_SECONDS)
            return found

    found = asyncio.run(ask())
    assert found.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "not done within 0.05 s" in found.details()


def test_what_a_client_gives_up_is_dropped():
    async def ask():
        async with stub_of(protocol := Protocol()) as stub:
            call = stub.ModelInfer(REQUEST)
            await asyncio.wait_for(protocol.began.wait(), PATIENCE_SECONDS)
            call.cancel()
            await asyncio.wait_for(protocol.was_cancelled.wait(), PATIENCE_SECONDS)

    asyncio.run(ask())


def test_a_deadline_of_the_call_goes_before_the_servers():
    async def ask():
        async with stub_of(protocol := Protocol(), timeout_seconds=0.01) as stub:
            found = await failed(stub.ModelInfer(REQUEST, timeout=1))
            await asyncio.wait_for(protocol.was_cancelled.wait(), PATIENCE_SECONDS)
            return found

    found = asyncio.run(ask())
    assert found.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "not done within" not in found.details()


def test_a_message_over_the_limit_is_refused():
    async def ask():
        async with stub_of(Protocol(), max_message_bytes=100) as stub:
            return await failed(stub.ModelInfer(service_pb2.ModelInferRequest(model_name="m" * 101)))

    assert asyncio.run(ask()).code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ((), grpc.StatusCode.UNAUTHENTICATED),
        ((("authorization", "Bearer other"),), grpc.StatusCode.UNAUTHENTICATED),
        ((("api-key", "weak"),), grpc.StatusCode.PERMISSION_DENIED),
    ],
)
def test_without_a_key_that_allows_it_a_call_ends(metadata, code):
    async def scenario():
        async with stub_of(Protocol(), door=Door()) as stub:
            assert (await failed(stub.ModelInfer(service_pb2.ModelInferRequest(), metadata=metadata))).code() == code
            stream = stub.ModelStreamInfer(iter([service_pb2.ModelInferRequest()]), metadata=metadata)
            assert (await failed(stream.read())).code() == code
            assert (await stub.ServerLive(service_pb2.ServerLiveRequest())).live

    asyncio.run(scenario())


@pytest.mark.parametrize("metadata", [("authorization", "Bearer word"), ("api-key", "word")])
def test_a_key_in_the_metadata_lets_a_call_in(metadata):
    async def scenario():
        async with stub_of(Protocol(UnknownEncoder("unknown")), door=Door()) as stub:
            error = await failed(stub.ModelInfer(service_pb2.ModelInferRequest(), metadata=(metadata,)))
            assert error.code() == grpc.StatusCode.NOT_FOUND

    asyncio.run(scenario())


def test_a_stream_is_charged_and_ends_when_its_key_does(tmp_path):
    keys = ApiKeys(tmp_path / "keys.sqlite3")
    _, text = keys.create("frugal", Scope.READ, allowance=Allowance(bytes_per_minute=10))
    message = service_pb2.ModelInferRequest(model_name="a model of a long name")

    async def scenario():
        async with stub_of(Protocol(UnknownEncoder("unknown")), door=Doorkeeper(keys)) as stub:
            stream = stub.ModelStreamInfer(iter([message, message]), metadata=(("api-key", text),))
            assert (await stream.read()).error_message == "unknown"
            spent = await failed(stream.read())
            assert spent.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert int(dict(spent.trailing_metadata())["retry-after"]) > 60, "a message is more than a minute's bytes"

    asyncio.run(scenario())
    keys.close()
