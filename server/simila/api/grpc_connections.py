"""How many connections gRPC's port holds, and how long one that asks for nothing."""

import resource
from dataclasses import dataclass, field

# HTTP has three quarters of the descriptors; what is left beside these is for files.
SHARE_OF_DESCRIPTORS = 8
MOST_CONNECTIONS = 8192


def connections_allowed() -> int:
    """An eighth of the descriptors that this process may have."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(max(1, descriptors // SHARE_OF_DESCRIPTORS), MOST_CONNECTIONS)


@dataclass(frozen=True)
class GrpcConnections:
    """The most connections, and the seconds after which one is closed that does not greet or does not call.

    Clients of gRPC connect anew by themselves where they call again.
    """

    most: int = field(default_factory=connections_allowed)
    greeting_seconds: float = 20.0
    idle_seconds: float = 60.0

    def options(self) -> list[tuple[str, int]]:
        """The options of gRPC's core, whose times are milliseconds."""
        return [
            ("grpc.max_allowed_incoming_connections", self.most),
            ("grpc.server_handshake_timeout_ms", _milliseconds(self.greeting_seconds)),
            ("grpc.max_connection_idle_ms", _milliseconds(self.idle_seconds)),
        ]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
