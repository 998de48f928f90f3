"""Tensors on their way to Triton: through memory that a server on this host maps too, else within the request."""

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from mmap import mmap
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

logger = logging.getLogger("simila.backends")

Tensors = Mapping[str, NDArray[Any]]

SHARED_MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108  where POSIX shared memory lies on Linux
SMALLEST_BYTES = 2**16
CONTROL_SECONDS = 5.0  # for an answer to anything but a batch
# The name of a region is its owner's with a number; in a container, the next process has the same id as the last.
HOST = f"simila.{socket.gethostname()}."
PROCESS = f"{HOST}{os.getpid()}.{uuid4().hex}."
_numbers = count()
# Triton lets go of a request's memory a moment after it has answered.
IN_USE, UNMAP_TRIES, UNMAP_PAUSE_SECONDS = "currently in use", 20, 0.02
# From release 24.09 on it does not unmap what a batch is reading (triton-inference-server/server#7567).
FIRST_SAFE_VERSION = (2, 50)
# Where a region cannot be made: no room, no such folder, or a server that does not see this host's memory.
NO_REGION = (OSError, InferenceServerException)


class SharedTensors:
    """Regions that are filled, read by Triton and used again; without them, tensors are sent.

    A region's file is gone as soon as Triton has mapped it, so that no crash leaves anything in `/dev/shm`. Vectors do
    not come back this way: a late answer to a request that was given up would write over the next one's.
    """

    def __init__(self, client: InferenceServerClient, *, share: bool) -> None:
        self._client = client
        self._free: list[_Region] = []
        if share:
            try:
                _check_version(client)
                _forget_regions_of_the_dead(client)
                self._free.append(_Region(client, SMALLEST_BYTES))
            except NO_REGION as error:
                logger.info("tensors are sent to Triton, not shared with it: %s", error)
        self._can_share = bool(self._free)

    @contextmanager
    def inputs(self, tensors: Tensors) -> Iterator[list[InferInput]]:
        """The tensors as inputs of a request, which are no longer needed when the block ends."""
        region = self._region(sum(tensor.nbytes for tensor in tensors.values())) if self._can_share else None
        if region is None:
            yield [_input(name, tensor).set_data_from_numpy(tensor) for name, tensor in tensors.items()]
            return
        try:
            yield region.filled(tensors)
        except BaseException:
            region.may_be_read = True
            raise
        finally:
            self._free.append(region)

    def close(self) -> None:
        for region in self._free:
            region.close()

    def _region(self, size_bytes: int) -> "_Region | None":
        with suppress(IndexError):
            region = self._free.pop()
            if region.size_bytes >= size_bytes:
                return region
            region.close()
        with suppress(*NO_REGION):
            return _Region(self._client, max(SMALLEST_BYTES, 2 ** (size_bytes - 1).bit_length()))
        return None


class _Region:
    """A piece of memory. What is used again while a request that was given up still reads it disturbs nobody, but what
    is unmapped then can crash Triton: `may_be_read` leaves it to the next process.
    """

    def __init__(self, client: InferenceServerClient, size_bytes: int) -> None:
        self._client = client
        self._name = f"{PROCESS}{next(_numbers)}"
        self.size_bytes = size_bytes
        self.may_be_read = False
        with NamedTemporaryFile(dir=SHARED_MEMORY_FOLDER, prefix="simila-") as file:
            os.posix_fallocate(file.fileno(), 0, size_bytes)  # else a full folder is a fatal signal on writing
            self._memory = mmap(file.fileno(), size_bytes)
            key = f"/{Path(file.name).name}"
            client.register_system_shared_memory(self._name, key, size_bytes, client_timeout=CONTROL_SECONDS)

    def filled(self, tensors: Tensors) -> list[InferInput]:
        inputs, offset = [], 0
        for name, tensor in tensors.items():
            np.ndarray(tensor.shape, tensor.dtype, self._memory, offset)[:] = tensor
            inputs.append(_input(name, tensor).set_shared_memory(self._name, tensor.nbytes, offset))
            offset += tensor.nbytes
        return inputs

    def close(self) -> None:
        self._memory.close()
        for _ in range(0 if self.may_be_read else UNMAP_TRIES):
            try:
                self._client.unregister_system_shared_memory(self._name, client_timeout=CONTROL_SECONDS)
                return
            except InferenceServerException as error:
                if IN_USE not in str(error):
                    return  # a server that is gone has forgotten it
            time.sleep(UNMAP_PAUSE_SECONDS)


def _check_version(client: InferenceServerClient) -> None:
    version = client.get_server_metadata(client_timeout=CONTROL_SECONDS).version
    if tuple(map(int, version.split(".")[:2])) < FIRST_SAFE_VERSION:
        raise InferenceServerException(f"its version {version} may crash when memory that it reads is unmapped")


def _forget_regions_of_the_dead(client: InferenceServerClient) -> None:
    """Have Triton let go of what a killed process of this host had it map."""
    for name in client.get_system_shared_memory_status(client_timeout=CONTROL_SECONDS).regions:
        process_id = name.removeprefix(HOST).partition(".")[0]
        is_dead = process_id == str(os.getpid()) or not Path("/proc", process_id).exists()
        if name.startswith(HOST) and not name.startswith(PROCESS) and is_dead:
            client.unregister_system_shared_memory(name, client_timeout=CONTROL_SECONDS)


def _input(name: str, tensor: NDArray[Any]) -> InferInput:
    return InferInput(name, tensor.shape, np_to_triton_dtype(tensor.dtype))
