"""One tower on a Triton Inference Server, over gRPC."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any
from weakref import finalize

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException

from simila.backends import nobody_waits
from simila.backends.shared_tensors import CONTROL_SECONDS, SharedTensors
from simila.backends.triton import TritonOptions
from simila.domain.errors import DeadlineExceeded, InferenceServerDown, ModelError, Overloaded
from simila.domain.vectors import Float32
from simila.telemetry.traces import outgoing_headers

# Triton says UNAVAILABLE of all these, and only the words tell them apart.
QUEUE_IS_FULL = "maximum queue size"
UNREACHABLE = ("StatusCode.UNAVAILABLE", "StatusCode.NOT_FOUND", "StatusCode.CANCELLED")
TOO_LATE = "StatusCode.DEADLINE_EXCEEDED"
# How often a run looks whether somebody still waits for it.
LOOK_SECONDS = 0.05
# A server that has come back is found at the next restart of the backend, not when gRPC next tries by itself.
CHANNEL = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
]


class TritonBackend:
    """One model of a Triton server.

    Raises:
        InferenceServerDown: the server cannot be reached, or the model is not ready.

    """

    def __init__(self, address: str, model: str, output_name: str, options: TritonOptions) -> None:
        self._name = f"Triton at {address}"
        self._model = model
        self._outputs = [InferRequestedOutput(output_name)]
        self._output_name = output_name
        self._timeout_seconds = options.timeout_seconds
        self._client = InferenceServerClient(address, ssl=options.tls, channel_args=CHANNEL)
        try:
            self._most_rows = self._rows_in_a_request()
        except InferenceServerException as error:
            raise self._translated(error) from error
        self._tensors = SharedTensors(self._client, share=options.shared_memory)
        self._finalizer = finalize(self, _disconnect, self._client, self._tensors)

    def run(self, tensors: Mapping[str, NDArray[Any]]) -> Float32:
        """Run one batch, in as many requests as the model's `max_batch_size` demands.

        Raises:
            InferenceServerDown: the server is gone, or does not answer within its time.
            Overloaded: its queue is full.
            DeadlineExceeded: all who wanted the batch have left; what Triton has not begun, it drops.
            ModelError: the model failed on this batch.

        """
        rows = len(next(iter(tensors.values())))
        parts = [
            self._infer({name: tensor[start : start + self._most_rows] for name, tensor in tensors.items()})
            for start in range(0, rows, self._most_rows)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def close(self) -> None:
        """Have Triton unmap what it shares, and end the connection. It comes by itself when the backend is dropped."""
        self._finalizer()

    def _rows_in_a_request(self) -> int:
        if not self._client.is_model_ready(self._model, client_timeout=CONTROL_SECONDS):
            raise InferenceServerDown(f"{self._name}: the model {self._model} is not ready")
        config = self._client.get_model_config(self._model, client_timeout=CONTROL_SECONDS).config
        return config.max_batch_size or np.iinfo(np.int64).max  # 0 is Triton's word for a model without batches

    def _infer(self, tensors: Mapping[str, NDArray[Any]]) -> Float32:
        try:
            with self._tensors.inputs(tensors) as inputs:
                vectors: Float32 = self._ask(inputs).as_numpy(self._output_name)
        except InferenceServerException as error:
            raise self._translated(error) from error
        return vectors

    def _ask(self, inputs: list[InferInput]) -> InferResult:
        answer: Future[InferResult] = Future()
        call = self._client.async_infer(
            self._model,
            inputs,
            _settling(answer),
            outputs=self._outputs,
            client_timeout=self._timeout_seconds,
            headers=dict(outgoing_headers()),
        )
        while True:
            try:
                return answer.result(timeout=LOOK_SECONDS)
            except TimeoutError:
                if nobody_waits.get()():
                    call.cancel()
                    raise DeadlineExceeded("nobody waits for this batch any longer") from None

    def _translated(self, error: InferenceServerException) -> Exception:
        message = f"{self._name}, model {self._model}: {error.message()}"
        if error.status() == TOO_LATE:
            limit = f"a batch may take {self._timeout_seconds:g} s (SIMILA_TRITON__TIMEOUT_SECONDS)"
            return InferenceServerDown(f"{message}; {limit}")
        if error.status() in UNREACHABLE:
            return Overloaded(message) if QUEUE_IS_FULL in error.message() else InferenceServerDown(message)
        return ModelError(message)


def _settling(answer: Future[InferResult]) -> Callable[[InferResult | None, Exception | None], None]:
    def settle(result: InferResult | None, error: Exception | None) -> None:
        if error:
            answer.set_exception(error)
        else:
            answer.set_result(result)

    return settle


def _disconnect(client: InferenceServerClient, tensors: SharedTensors) -> None:
    tensors.close()
    client.close()
