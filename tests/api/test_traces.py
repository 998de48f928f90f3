"""Spans over the wire, as a collector takes them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from api.conftest import serving
from api.trace_collector import trace_collector
from api.wire import embed
from held_port import held_port
from simila.settings import Settings

MINILM = "all-minilm-l6-v2"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Any]]]:
    """The URL of a collector, and the spans that it was sent."""
    with trace_collector() as running:
        yield running


def test_a_request_is_a_span_with_one_a_phase_in_the_callers_trace(
    collector: tuple[str, list[Any]], data_folder: Callable[[], Path]
) -> None:
    endpoint, spans = collector
    settings = Settings(data_dir=data_folder(), encoders=(MINILM,), otlp_endpoint=endpoint)
    with (
        held_port() as port,
        serving(settings.model_copy(update={"grpc_port": port})) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        client.headers["traceparent"] = f"00-{TRACE}-{PARENT}-01"
        answer = client.post("/v1/embeddings", json={"model": MINILM, "input": "secret words"})
        client.headers["traceparent"] = f"00-{TRACE}-{PARENT}-00"
        embed(client, MINILM, ["left out by its sender"])
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = GRPCInferenceServiceStub(channel)
            ready = service_pb2.ModelReadyRequest(name=MINILM)
            stub.ModelReady(ready, metadata=[("traceparent", f"00-{TRACE}-{PARENT}-01")])

    named = {span.name: span for span in spans if span.trace_id.hex() == TRACE}
    assert named.pop("gRPC ModelReady").parent_span_id.hex() == PARENT
    request = named.pop("POST /v1/embeddings")
    assert request.parent_span_id.hex() == PARENT
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{request.span_id.hex()}-01"
    assert set(named) == {"preprocess", "queue", "inference"}
    for phase in named.values():
        assert phase.parent_span_id == request.span_id
        assert request.start_time_unix_nano <= phase.start_time_unix_nano <= phase.end_time_unix_nano
        assert phase.end_time_unix_nano <= request.end_time_unix_nano
    assert b"secret words" not in b"".join(span.SerializeToString() for span in spans)
    assert len([span for span in spans if span.name == "POST /v1/embeddings"]) == 1
