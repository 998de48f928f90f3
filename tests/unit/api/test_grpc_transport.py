import asyncio

import pytest

from simila.api import grpc_transport
from simila.api.grpc_transport import GrpcTransport
from simila.domain.errors import PackageMissing


def transport(address):
    return GrpcTransport(address, max_message_bytes=1, timeout_seconds=1.0)


def test_its_packages_are_asked_for_only_where_it_is_served(monkeypatch):
    monkeypatch.setattr(grpc_transport, "find_spec", lambda _: None)
    with pytest.raises(PackageMissing, match=r"SIMILA_GRPC_PORT .* pip install 'simila\[grpc\]'"):
        transport("127.0.0.1:8001")


def test_without_an_address_nothing_is_served(monkeypatch):
    monkeypatch.setattr(grpc_transport, "find_spec", lambda _: None)

    async def serve():
        async with transport(None).serving(services=None, door=None, drain=None, log=None):
            return "served HTTP alone"

    assert asyncio.run(serve()) == "served HTTP alone"
