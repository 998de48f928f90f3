"""Spans by OpenTelemetry, sent as OTLP over HTTP. Its packages are the extra `otel`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import time_ns

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from simila.telemetry.traces import add_tracer, remove_tracer

NANOSECONDS = 10**9


class OpenTelemetry:
    """Sends a span for each request, and below it one for each phase in an encoder, until `close`.

    A request that brings a `traceparent` (W3C Trace Context) continues that trace, and is left out where its sender
    left it out.
    """

    def __init__(self, endpoint: str, version: str) -> None:
        resource = Resource.create({"service.name": "simila", "service.version": version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
        self._tracer = self._provider.get_tracer("simila")
        self._propagator = TraceContextTextMapPropagator()
        add_tracer(self)

    @contextmanager
    def request(self, method: str, headers: Mapping[str, str]) -> Iterator[Span]:
        """The span of a request, current while the block runs.

        Of an exception it says the type alone, because messages quote inputs.
        """
        context = self._propagator.extract(headers)
        span = self._tracer.start_span(method, context, SpanKind.SERVER)
        with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield span
            except BaseException as error:
                span.set_status(StatusCode.ERROR, type(error).__name__)
                raise

    def close(self) -> None:
        """Send what has not been sent."""
        remove_tracer(self)
        self._provider.shutdown()

    def phases(self, encoder: str, tower: str, seconds: Mapping[str, float]) -> None:
        began_at = time_ns() - round(NANOSECONDS * sum(seconds.values()))
        attributes = {"simila.encoder": encoder, "simila.tower": tower}
        for phase, lasted in seconds.items():
            ended_at = began_at + round(NANOSECONDS * lasted)
            self._tracer.start_span(phase, attributes=attributes, start_time=began_at).end(ended_at)
            began_at = ended_at

    def outgoing(self) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        self._propagator.inject(headers)
        return headers
