"""What is told of a call of gRPC once it has ended: by a protocol that does as it is told."""

import asyncio
from contextlib import suppress

import grpc
import numpy as np
import pytest
from prometheus_client import REGISTRY
from tritonclient.grpc import service_pb2
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from held_port import held_port
from simila.api.grpc_inference import serving_grpc
from simila.api.grpc_watch import WatchInterceptor
from simila.domain.errors import NotReady, UnknownEncoder
from simila.telemetry.logs import current_request_id

PATIENCE_SECONDS = 60
REQUEST = service_pb2.ModelInferRequest(model_name="words")


class Protocol:
    """Answers with a vector, raises `error`, or waits for ever; `ids` are the requests it was asked in."""

    def __init__(self, error=None, *, waits=False):
        self._error = error
        self._waits = waits
        self.began = asyncio.Event()
        self.ids = []

    async def infer(self, *_):
        self.ids.append(current_request_id.get())
        self.began.set()
        if self._waits:
            await asyncio.Event().wait()
        if self._error:
            raise self._error
        return np.zeros((1, 2), np.float32)


class Log:
    """Keeps what it is told, and says when."""

    def __init__(self):
        self.told = []
        self.was_told = asyncio.Event()

    def answered(self, method, route, status, seconds, **more):
        assert 0 <= seconds < PATIENCE_SECONDS
        self.told.append((method, route, status, more))
        self.was_told.set()


def told_of(protocol, *, call=None, stream=False, metadata=()):
    """What the log is told of one call."""

    async def scenario(port):
        log = Log()
        address = f"127.0.0.1:{port}"
        serving = serving_grpc(
            protocol, address, [WatchInterceptor(log)], max_message_bytes=1000, timeout_seconds=PATIENCE_SECONDS
        )
        async with serving, grpc.aio.insecure_channel(address) as channel:
            stub = GRPCInferenceServiceStub(channel)
            if stream:
                async for _ in stub.ModelStreamInfer(iter([REQUEST, REQUEST]), metadata=metadata):
                    pass
            else:
                asked = stub.ModelInfer(REQUEST, metadata=metadata)
                if call:
                    await call(asked)
                with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
                    await asked
            await asyncio.wait_for(log.was_told.wait(), PATIENCE_SECONDS)
        return log.told

    with held_port() as port:
        return asyncio.run(scenario(port))


def counted(call, status):
    labels = {"call": call, "status": status}
    return REGISTRY.get_sample_value("simila_grpc_seconds_count", labels) or 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "OK"),
        (UnknownEncoder("unknown"), "NOT_FOUND"),
        (NotReady("loading"), "UNAVAILABLE"),
        (ZeroDivisionError("a defect"), "UNKNOWN"),
    ],
)
def test_a_call_is_a_line_and_is_counted(error, status):
    before = counted("ModelInfer", status)
    [(method, name, found, more)] = told_of(Protocol(error))

    assert (method, name, found) == ("gRPC", "ModelInfer", status)
    assert len(more["request_id"]) == 32
    assert counted("ModelInfer", status) == before + 1


def test_a_stream_is_one_line():
    [(_, name, status, _)] = told_of(Protocol(), stream=True)
    assert (name, status) == ("ModelStreamInfer", "OK")


def test_a_call_that_is_given_up_is_told_as_cancelled():
    protocol = Protocol(waits=True)

    async def give_up(call):
        await asyncio.wait_for(protocol.began.wait(), PATIENCE_SECONDS)
        call.cancel()

    [(_, _, status, _)] = told_of(protocol, call=give_up)
    assert status == "CANCELLED"


def test_a_call_has_the_id_that_its_client_gave_it():
    protocol = Protocol()
    [(_, _, _, more)] = told_of(protocol, metadata=[("x-request-id", "from-the-client")])
    assert more == {"request_id": "from-the-client"}
    assert protocol.ids == ["from-the-client"]
