"""The Open Inference Protocol (KServe V2), as both of its transports answer it: encoders are its models.

An encoder reads tensors `text` and `image` of BYTES, `[n]` or `[n, 1]`, as far as it has the towers, and gives
`embedding`, FP32 `[n, d]`, unit length: the rows of all inputs in the order of the request.
"""

from collections.abc import Collection, Sequence
from typing import Any

from simila import __version__
from simila.api.binary_tensors import BYTES, BytesTensor
from simila.api.dependencies import Services
from simila.api.schemas.inputs import InputReader
from simila.domain.errors import InvalidInput, NotFound, SimilaError
from simila.domain.inputs import Input, TextInput
from simila.domain.manifest import Manifest
from simila.domain.vectors import Float32
from simila.engine.model_pool import EncoderStatus, LoadState

NAME = "simila"
PLATFORM = "onnxruntime_onnx"
VERSION = "1"
OUTPUT = "embedding"
EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository")
STATES = {LoadState.READY: "READY", LoadState.RELOADING: "READY", LoadState.LOADING: "LOADING"}

SERVER_METADATA: dict[str, Any] = {"name": NAME, "version": __version__, "extensions": EXTENSIONS}


class OpenInference:
    """What the transports translate. Raises `NotFound` for a model or a version that is not served."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def metadata(self, model: str, version: str) -> dict[str, Any]:
        """`ModelMetadataResponse`; -1 stands for any number of rows."""
        manifest = self._status(model, version).manifest
        inputs = [{"name": str(name), "datatype": BYTES, "shape": [-1, 1]} for name in manifest.modalities]
        output = {"name": OUTPUT, "datatype": "FP32", "shape": [-1, manifest.dimension]}
        return {"name": model, "versions": [VERSION], "platform": PLATFORM, "inputs": inputs, "outputs": [output]}

    def configuration(self, model: str, version: str) -> dict[str, Any]:
        """`ModelConfig`, as far as clients that measure (perf_analyzer) read it."""
        manifest = self._status(model, version).manifest
        inputs = [
            {"name": str(name), "data_type": "TYPE_STRING", "dims": [1], "optional": len(manifest.modalities) > 1}
            for name in manifest.modalities
        ]
        return {
            "name": model,
            "platform": PLATFORM,
            "max_batch_size": self._services.reader.max_inputs,
            "input": inputs,
            "output": [{"name": OUTPUT, "data_type": "TYPE_FP32", "dims": [manifest.dimension]}],
            "dynamic_batching": {},
        }

    def is_ready(self, model: str, version: str) -> bool:
        return STATES.get(self._status(model, version).state) == "READY"

    async def is_server_ready(self) -> bool:
        return (await self._services.readiness.check()).is_ready

    def index(self, *, ready_only: bool) -> list[dict[str, Any]]:
        """`RepositoryIndexResponse.models`: all encoders, with what keeps those from answering that do not."""
        entries = [
            {
                "name": status.manifest.name,
                "version": VERSION,
                "state": STATES.get(status.state, "UNAVAILABLE"),
                "reason": status.error or ("" if status.state in STATES else status.state),
            }
            for status in self._services.pool.statuses()
        ]
        return [entry for entry in entries if entry["state"] == "READY" or not ready_only]

    async def load(self, model: str) -> None:
        await self._services.models.load(model)

    async def unload(self, model: str) -> None:
        await self._services.models.unload(model)

    async def infer(
        self, model: str, version: str, tensors: Sequence[BytesTensor], outputs: Collection[str]
    ) -> Float32:
        """Embed what all tensors hold, `float32 [n, d], unit length`.

        Raises:
            InvalidInput: a tensor or an output that the encoder does not have, or one that does not fit its shape.
            SimilaError: see `EmbeddingService.embed`.

        """
        manifest = self._status(model, version).manifest
        for name in outputs:
            if name != OUTPUT:
                raise InvalidInput(f"outputs: {model} gives '{OUTPUT}', not '{name}'", param="outputs")
        inputs: dict[str, Input | SimilaError] = {}
        for tensor in tensors:
            _check(tensor, manifest)
        self._services.reader.check_count(sum(tensor.count for tensor in tensors), "inputs")
        for tensor in tensors:
            for position, element in enumerate(tensor.elements()):
                name = f"{tensor.name}[{position}]"
                inputs[name] = _input(self._services.reader, tensor.name, element, name)
        embedded = await self._services.embedding.embed(model, list(inputs.values()), names=list(inputs))
        return embedded.vectors

    def _status(self, model: str, version: str) -> EncoderStatus:
        if version not in ("", VERSION):
            raise NotFound(f"{model} has version {VERSION}, and no {version}", param="version")
        return self._services.pool.status(model)


def _check(tensor: BytesTensor, manifest: Manifest) -> None:
    known = [str(modality) for modality in manifest.modalities]
    if tensor.name not in known:
        message = f"inputs: {manifest.name} reads {' and '.join(known)}, not '{tensor.name}'"
        raise InvalidInput(message, param="inputs")
    if list(tensor.shape[1:]) not in ([], [1]) or tensor.count < 1:
        message = f"{tensor.name}: the shape is [n] or [n, 1], and n is not 0; this is {list(tensor.shape)}"
        raise InvalidInput(message, param=tensor.name)


def _input(reader: InputReader, kind: str, element: bytes | str, name: str) -> Input | SimilaError:
    """An image is base64 in JSON, and the file's own octets elsewhere."""
    try:
        if kind == "image":
            return reader.image(element, name) if isinstance(element, str) else reader.image_file(element, name)
        return _text(reader, element, name)
    except SimilaError as error:
        return error


def _text(reader: InputReader, element: bytes | str, name: str) -> TextInput:
    try:
        text = element if isinstance(element, str) else element.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name}: the text is not UTF-8: {error}", param=name) from error
    return reader.text(text, name)
