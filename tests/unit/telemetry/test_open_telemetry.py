"""Trace context on its way out. The sender's decision not to sample keeps spans from being sent anywhere."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.grpc.service_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)

from image_host import PNG, image_host
from simila.backends.triton import TritonOptions
from simila.backends.triton_backend import TritonBackend
from simila.engine.micro_batcher import MicroBatcher
from simila.engine.waiting_rows import BatchLimits
from simila.preprocessing.fetching import FetchOptions, ImageFetcher
from simila.telemetry.open_telemetry import OpenTelemetry
from simila.telemetry.traces import outgoing_headers

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENT = {"traceparent": f"00-{TRACE}-{PARENT}-00"}


@pytest.fixture
def tracing():
    tracing = OpenTelemetry("http://127.0.0.1:9/v1/traces", "0")
    yield tracing
    tracing.close()


def test_what_goes_out_continues_the_trace_from_the_requests_span(tracing):
    assert outgoing_headers() == {}
    with tracing.request("POST", SENT) as span:
        expected = f"00-{TRACE}-{span.get_span_context().span_id:016x}-00"
        assert outgoing_headers() == {"traceparent": expected}
    assert outgoing_headers() == {}


def test_a_fetched_image_is_asked_for_within_the_trace(tracing):
    async def fetch():
        fetcher = ImageFetcher(FetchOptions(allowed_networks=("127.0.0.1/32",), ports=(host.port,)))
        with tracing.request("POST", SENT):
            traced = outgoing_headers()["traceparent"]
            assert await fetcher.fetched(f"http://127.0.0.1:{host.port}/image/") == PNG
        await fetcher.fetched(f"http://127.0.0.1:{host.port}/image/")
        await fetcher.close()
        return traced

    with image_host() as host:
        assert host.traced == [asyncio.run(fetch())]


def test_a_batch_runs_within_the_trace_of_the_request_whose_turn_it_was(tracing):
    seen, go_on = [], threading.Event()

    def run(rows):
        assert go_on.wait(60)
        seen.append((rows, dict(outgoing_headers())))
        return np.zeros((len(rows), 2), np.float32)

    async def submit(name, traced):
        if not traced:
            return await batcher.submit([name])
        with tracing.request(name, SENT):
            expected[name] = dict(outgoing_headers())
            return await batcher.submit([name])

    async def scenario():
        waiting = [asyncio.create_task(submit(name, traced)) for name, traced in (("a", True), ("b", False))]
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(*waiting)

    expected = {"b": {}}
    batcher = MicroBatcher("test", run, length=lambda _: 1, dimension=2, limits=BatchLimits(1, 1))
    asyncio.run(scenario())
    batcher.close()
    assert seen == [(["a"], expected["a"]), (["b"], {})]


class Triton(GRPCInferenceServiceServicer):
    """As much of Triton as a backend asks of it; `metadata` is what came with the last batch."""

    def ModelReady(self, *_):  # noqa: N802
        return service_pb2.ModelReadyResponse(ready=True)

    def ModelConfig(self, *_):  # noqa: N802
        return service_pb2.ModelConfigResponse(config=model_config_pb2.ModelConfig(max_batch_size=8))

    def ModelInfer(self, _, context):  # noqa: N802
        self.metadata = dict(context.invocation_metadata())
        output = service_pb2.ModelInferResponse.InferOutputTensor(name="out", datatype="FP32", shape=[1, 1])
        return service_pb2.ModelInferResponse(outputs=[output], raw_output_contents=[b"\0\0\x80\x3f"])


def test_a_batch_on_triton_carries_the_trace(tracing):
    triton = Triton()
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        add_GRPCInferenceServiceServicer_to_server(triton, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        backend = TritonBackend(f"127.0.0.1:{port}", "model", "out", TritonOptions(shared_memory=False))
        with tracing.request("POST", SENT):
            traced = outgoing_headers()["traceparent"]
            assert backend.run({"in": np.zeros((1, 1), np.float32)}) == [[1.0]]
        backend.close()
        server.stop(None).wait()
    assert triton.metadata["traceparent"] == traced
