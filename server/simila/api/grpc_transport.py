"""Whether gRPC is served beside HTTP. Its packages are an extra, and are imported only where it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from simila.api.audit import AuditTrail
from simila.api.dependencies import Services
from simila.api.doorkeeper import Doorkeeper
from simila.api.open_inference import OpenInference
from simila.api.tracing import Tracing
from simila.domain.errors import PackageMissing
from simila.services.drain import Drain
from simila.telemetry.logs import RequestLog


@dataclass(frozen=True)
class GrpcTransport:
    """gRPC at `address` (HOST:PORT), or none where that is None; with a certificate, over TLS.

    Raises:
        PackageMissing: its packages are not installed.

    """

    address: str | None
    max_message_bytes: int
    timeout_seconds: float
    certificate: Path | None = None
    certificate_key: Path | None = None

    def __post_init__(self) -> None:
        if self.address and not (find_spec("grpc") and find_spec("tritonclient")):
            raise PackageMissing("SIMILA_GRPC_PORT needs packages that are not here; run: pip install 'simila[grpc]'")

    @asynccontextmanager
    async def serving(
        self,
        services: Services,
        *,
        door: Doorkeeper,
        drain: Drain,
        log: RequestLog,
        trail: AuditTrail | None = None,
        tracing: Tracing | None = None,
    ) -> AsyncIterator[None]:
        if self.address is None:
            yield
            return
        from simila.api.grpc_inference import serving_grpc  # noqa: PLC0415  an extra
        from simila.api.grpc_keys import KeyInterceptor  # noqa: PLC0415
        from simila.api.grpc_watch import WatchInterceptor  # noqa: PLC0415

        async with serving_grpc(
            OpenInference(services),
            self.address,
            [WatchInterceptor(log, tracing), KeyInterceptor(door, drain, trail)],
            certificate=self.certificate,
            certificate_key=self.certificate_key,
            max_message_bytes=self.max_message_bytes,
            timeout_seconds=self.timeout_seconds,
        ):
            yield
