"""A server that is told to stop: nothing more is taken on, and what was is finished."""

import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from api.gated_server import gated_server, until
from held_port import held_port
from unit.services.word_encoders import DIMENSION

EMBED = "/v1/embeddings"
BODY = {"model": "words", "input": "red"}


@pytest.fixture
def draining(tmp_path):
    """A server that was told to stop while a request stood at the gate, and that request."""
    with gated_server(tmp_path) as server, ThreadPoolExecutor(1) as pool:
        server.tower.gate.clear()
        first = pool.submit(httpx.post, server.url + EMBED, json=BODY, timeout=60)
        until(lambda: server.tower.waiting == 1)
        server.uvicorn.handle_exit(signal.SIGTERM, None)
        yield server, first
        server.tower.gate.set()


def test_readiness_is_red_while_the_process_lives(draining):
    server, _ = draining
    ready = httpx.get(f"{server.url}/readyz")
    assert (ready.status_code, ready.json()["encoders"]) == (503, {"words": "shutting down"})
    assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_what_comes_is_refused_and_its_connection_closed(draining):
    server, _ = draining
    answer = httpx.post(server.url + EMBED, json=BODY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")
    assert (answer.headers["connection"], answer.headers["retry-after"]) == ("close", "1")


def test_what_was_taken_on_is_answered_before_the_port_closes(draining):
    server, first = draining
    assert server.drain.in_flight == 1
    server.tower.gate.set()
    answer = first.result()
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    until(lambda: is_refused(server.port))


def infer_request():
    text = service_pb2.ModelInferRequest.InferInputTensor(name="text", datatype="BYTES", shape=[1])
    text.contents.bytes_contents.append(b"red")
    return service_pb2.ModelInferRequest(model_name="words", inputs=[text])


@pytest.mark.parametrize("is_stream", [False, True], ids=["call", "stream"])
def test_calls_of_grpc_are_finished_too_and_no_more_are_taken_on(tmp_path, is_stream):
    with (
        held_port() as grpc_port,
        gated_server(tmp_path, grpc_address=f"127.0.0.1:{grpc_port}") as server,
        grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
    ):
        server.tower.gate.clear()
        stub = GRPCInferenceServiceStub(channel)
        if is_stream:
            sent = iter([infer_request(), infer_request()])
            stream = stub.ModelStreamInfer(sent, timeout=60)
        else:
            call = stub.ModelInfer.future(infer_request(), timeout=60)
        until(lambda: server.tower.waiting == 1)
        server.uvicorn.handle_exit(signal.SIGTERM, None)

        assert stub.ServerLive(service_pb2.ServerLiveRequest()).live
        assert not stub.ServerReady(service_pb2.ServerReadyRequest()).ready
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(infer_request(), timeout=60)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "shutting down" in refused.value.details()

        server.tower.gate.set()
        answer = next(stream).infer_response if is_stream else call.result()
        assert len(answer.raw_output_contents[0]) == 4 * DIMENSION
        if is_stream:
            with pytest.raises(grpc.RpcError, match="shutting down"):
                next(stream)
        until(lambda: is_refused(server.port))
        assert server.drain.in_flight == 0


def is_refused(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0
