"""The JSON of the Open Inference Protocol's `infer`, and where the octets of its binary extension are in a body."""

import itertools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simila.api.binary_tensors import BytesTensor
from simila.api.open_inference import OUTPUT, VERSION
from simila.api.schemas.base import NonEmptyList, RequestBody, Text
from simila.domain.errors import InvalidInput
from simila.domain.vectors import Float32

Parameters = Annotated[dict[str, Any], Field(default_factory=dict)]


class InferInput(RequestBody):
    """`data` has the elements, nested or not, unless `parameters.binary_data_size` says how many octets have them."""

    name: Text
    shape: list[int]
    datatype: Literal["BYTES"]
    parameters: Parameters
    data: list[Any] | None = None


class InferOutput(RequestBody):
    """With `parameters.binary_data` the values come as octets after the JSON."""

    name: Text
    parameters: Parameters


class InferRequest(RequestBody):
    """With `parameters.binary_data_output`, outputs come as octets unless they say otherwise. Others have no effect."""

    id: str = ""
    parameters: Parameters
    inputs: NonEmptyList[InferInput]
    outputs: Annotated[list[InferOutput], Field(default_factory=list)]

    @property
    def wants_octets(self) -> bool:
        default = self.parameters.get("binary_data_output", False)
        return bool(
            any(output.parameters.get("binary_data", default) for output in self.outputs)
            or (default and not self.outputs)
        )

    def tensors(self, octets: bytes) -> list[BytesTensor]:
        """The inputs; `octets` is what stands after the JSON.

        Raises:
            InvalidInput: an input has neither data nor octets, or not as many as it says.

        """
        tensors, start = [], 0
        for entry in self.inputs:
            size = entry.parameters.get("binary_data_size")
            if isinstance(size, int) and 0 <= size <= len(octets) - start:
                content: bytes | list[Any] = octets[start : start + size]
                start += size
            elif size is None and entry.data is not None:
                content = _flat(entry.data)
            else:
                message = f"{entry.name}: has no data, nor as many octets as it says; shared memory is not read"
                raise InvalidInput(message, param=entry.name)
            tensors.append(BytesTensor(entry.name, entry.shape, content))
        if start != len(octets):
            raise InvalidInput(f"{len(octets) - start} octets after the JSON belong to no input", param="inputs")
        return tensors


def infer_schema() -> dict[str, Any]:
    """`InferRequest` as JSON Schema without references, which would have nothing to point at in the document."""
    schema = InferRequest.model_json_schema()
    definitions = schema.pop("$defs")

    def inlined(value: Any) -> Any:
        if isinstance(value, list):
            return [inlined(entry) for entry in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return inlined(definitions[value["$ref"].rpartition("/")[2]])
        return {key: inlined(entry) for key, entry in value.items()}

    whole: dict[str, Any] = inlined(schema)
    return whole


class KserveError(BaseModel):
    error: str


class TensorMetadata(BaseModel):
    name: str
    datatype: str
    shape: list[int]


class ServerMetadata(BaseModel):
    name: str
    version: str
    extensions: list[str]


class ModelMetadata(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class OutputTensor(TensorMetadata):
    """`data` is row-major, and absent where octets follow the JSON."""

    data: list[float] | None = None
    parameters: dict[str, int] | None = None


class InferResponse(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class IndexRequest(RequestBody):
    """`ready` leaves out what is not."""

    ready: bool = False


class IndexEntry(BaseModel):
    name: str
    version: str
    state: Literal["READY", "LOADING", "UNAVAILABLE"]
    reason: str


def read_infer(body: bytes, json_bytes: int | None) -> tuple[InferRequest, list[BytesTensor]]:
    """Read a body whose first `json_bytes` are JSON; all of it where that is None.

    Raises:
        RequestValidationError: the JSON is not the protocol's.
        InvalidInput: see `InferRequest.tensors`.

    """
    try:
        request = InferRequest.model_validate_json(body[:json_bytes])
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]) from error
    return request, request.tensors(b"" if json_bytes is None else body[json_bytes:])


def infer_answer(model: str, request: InferRequest, vectors: Float32) -> tuple[bytes, int | None]:
    """The body of the answer and, where octets follow its JSON, how long that is."""
    octets = np.ascontiguousarray(vectors, dtype="<f4").tobytes() if request.wants_octets else None
    values: Mapping[str, Any] = {"data": vectors.ravel()}
    if octets is not None:
        values = {"parameters": {"binary_data_size": len(octets)}}
    output = {"name": OUTPUT, "datatype": "FP32", "shape": vectors.shape, **values}
    answer = {"model_name": model, "model_version": VERSION, "outputs": [output]}
    head = orjson.dumps({"id": request.id, **answer} if request.id else answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return (head, None) if octets is None else (head + octets, len(head))


def _flat(data: list[Any]) -> list[Any]:
    while data and all(isinstance(entry, list) for entry in data):
        data = list(itertools.chain.from_iterable(data))
    return data
