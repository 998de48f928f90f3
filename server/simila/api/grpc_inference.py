"""The Open Inference Protocol over gRPC: `inference.GRPCInferenceService`, in the messages that tritonclient ships."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import grpc
import numpy as np
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.grpc.service_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)

from simila.api.binary_tensors import BYTES, BytesTensor
from simila.api.errors import status_of
from simila.api.grpc_connections import GrpcConnections
from simila.api.grpc_handlers import refuse
from simila.api.open_inference import OUTPUT, SERVER_METADATA, VERSION, OpenInference
from simila.domain.errors import InvalidInput, SimilaError
from simila.telemetry.metrics import ERRORS

logger = logging.getLogger("simila.api")

CODES: Mapping[HTTPStatus, grpc.StatusCode] = {
    HTTPStatus.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: grpc.StatusCode.OUT_OF_RANGE,
    HTTPStatus.UNPROCESSABLE_ENTITY: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}
# For answers on their way; what is under way was waited for, or cancelled, by then.
CLOSING_SECONDS = 1.0

Answer = TypeVar("Answer")


@asynccontextmanager
async def serving_grpc(
    protocol: OpenInference,
    address: str,
    interceptors: Sequence[Any],
    *,
    max_message_bytes: int,
    timeout_seconds: float,
    certificate: Path | None = None,
    certificate_key: Path | None = None,
    connections: GrpcConnections | None = None,
) -> AsyncIterator[None]:
    """Serve at `address` (HOST:PORT) until the block ends; a call may take `timeout_seconds`, or its own deadline.

    Of `interceptors` each stands before the next.

    Raises:
        RuntimeError: the address is taken, not allowed or not of this machine.

    """
    options = [("grpc.max_receive_message_length", max_message_bytes), ("grpc.max_send_message_length", -1)]
    options += [("grpc.so_reuseport", 0), *(connections or GrpcConnections()).options()]
    server = grpc.aio.server(interceptors=interceptors, options=options)
    add_GRPCInferenceServiceServicer_to_server(_Service(protocol, timeout_seconds), server)
    if certificate and certificate_key:
        server.add_secure_port(address, _credentials(certificate, certificate_key))
    else:
        server.add_insecure_port(address)
    await server.start()
    try:
        yield
    finally:
        await server.stop(CLOSING_SECONDS)


def _credentials(certificate: Path, key: Path) -> Any:
    return grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])


class _Service(GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated, and untyped
    """One method a call; names are the protocol's."""

    def __init__(self, protocol: OpenInference, timeout_seconds: float) -> None:
        self._protocol = protocol
        self._timeout_seconds = timeout_seconds

    async def ServerLive(self, _: Any, __: Any) -> Any:  # noqa: N802
        return service_pb2.ServerLiveResponse(live=True)

    async def ServerReady(self, _: Any, __: Any) -> Any:  # noqa: N802
        return service_pb2.ServerReadyResponse(ready=await self._protocol.is_server_ready())

    async def ServerMetadata(self, _: Any, __: Any) -> Any:  # noqa: N802
        return ParseDict(SERVER_METADATA, service_pb2.ServerMetadataResponse())

    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        async def answer() -> Any:
            return service_pb2.ModelReadyResponse(ready=self._protocol.is_ready(request.name, request.version))

        return await self._answered(answer(), context)

    async def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        async def answer() -> Any:
            metadata = self._protocol.metadata(request.name, request.version)
            return ParseDict(metadata, service_pb2.ModelMetadataResponse())

        return await self._answered(answer(), context)

    async def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        async def answer() -> Any:
            configuration = self._protocol.configuration(request.name, request.version)
            return service_pb2.ModelConfigResponse(config=ParseDict(configuration, model_config_pb2.ModelConfig()))

        return await self._answered(answer(), context)

    async def RepositoryIndex(self, request: Any, _: Any) -> Any:  # noqa: N802
        models = self._protocol.index(ready_only=request.ready)
        return ParseDict({"models": models}, service_pb2.RepositoryIndexResponse())

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self._answered(self._protocol.load(request.model_name), context)
        return service_pb2.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self._answered(self._protocol.unload(request.model_name), context)
        return service_pb2.RepositoryModelUnloadResponse()

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._answered(self._infer(request), context)

    async def ModelStreamInfer(self, requests: AsyncIterator[Any], _: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for request in requests:
            try:
                answer = await self._infer(request)
                yield service_pb2.ModelStreamInferResponse(infer_response=answer)
            except SimilaError as error:
                ERRORS.labels(error.code).inc()
                empty = service_pb2.ModelInferResponse(id=request.id)
                yield service_pb2.ModelStreamInferResponse(error_message=error.message, infer_response=empty)

    async def _infer(self, request: Any) -> Any:
        wanted = [output.name for output in request.outputs]
        vectors = await self._protocol.infer(request.model_name, request.model_version, _tensors(request), wanted)
        output = service_pb2.ModelInferResponse.InferOutputTensor(name=OUTPUT, datatype="FP32", shape=vectors.shape)
        return service_pb2.ModelInferResponse(
            model_name=request.model_name,
            model_version=VERSION,
            id=request.id,
            outputs=[output],
            raw_output_contents=[np.ascontiguousarray(vectors, dtype="<f4").tobytes()],
        )

    async def _answered(self, work: Coroutine[Any, Any, Answer], context: Any) -> Answer:
        """What a call works out, or the end of the call with the code of its error."""
        try:
            async with asyncio.timeout(None if context.time_remaining() else self._timeout_seconds):
                return await work
        except SimilaError as error:
            await _abort(context, error)
        except TimeoutError:
            message = f"not done within {self._timeout_seconds:g} s; give the call a deadline of its own"
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, message)
        raise AssertionError("abort raises")


async def _abort(context: Any, error: SimilaError) -> NoReturn:
    status = status_of(error)
    if status not in CODES:
        logger.error("%s: %s", error.code, error.message, exc_info=error)
    await refuse(context, CODES.get(status, grpc.StatusCode.INTERNAL), error)


def _tensors(request: Any) -> list[BytesTensor]:
    """The inputs of a `ModelInferRequest`, all of them raw or none."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        message = f"inputs: {len(request.inputs)} tensors have {len(raw)} raw contents; shared memory is not read"
        raise InvalidInput(message, param="inputs")
    tensors = []
    for position, entry in enumerate(request.inputs):
        if entry.datatype != BYTES:
            raise InvalidInput(f"{entry.name}: is of {entry.datatype}, not {BYTES}", param=entry.name)
        content = raw[position] if raw else list(entry.contents.bytes_contents)
        tensors.append(BytesTensor(entry.name, list(entry.shape), content))
    return tensors
