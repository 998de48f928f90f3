"""One real server, over HTTP and gRPC, for the official clients of all protocols."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from api.conftest import data_folder, photo, serving
from held_port import held_port
from simila.settings import LimitSettings, Settings

__all__ = ["data_folder", "photo"]

TEXT_ENCODER, JOINT_ENCODER = "all-minilm-l6-v2", "simila-lite"


@dataclass(frozen=True)
class Addresses:
    """Where the server is: a URL, and HOST:PORT of gRPC."""

    url: str
    grpc: str


@pytest.fixture(scope="session")
def addresses(data_folder: Callable[[], Path]) -> Iterator[Addresses]:
    encoders = (TEXT_ENCODER, JOINT_ENCODER)
    limits = LimitSettings(max_inputs=64)
    with held_port() as port:
        settings = Settings(data_dir=data_folder(), grpc_port=port, encoders=encoders, limits=limits)
        with serving(settings) as url:
            yield Addresses(url, f"127.0.0.1:{port}")


@pytest.fixture(scope="session")
def direct(addresses: Addresses) -> Iterator[httpx.Client]:
    """Asks the same server without any client in between."""
    with httpx.Client(base_url=addresses.url, timeout=60) as client:
        yield client
