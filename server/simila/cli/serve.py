"""`simila serve`: the server in this process."""

import errno
import gc
import socket
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from simila.cli.configuration import DataDirOption, read_settings
from simila.cli.errors import WrongUsage
from simila.services.drain import Drain
from simila.settings import Settings
from simila.storage.api_keys import ApiKeys
from simila.storage.data_folder import DataFolder
from simila.telemetry.logs import configure_logging

# A batcher's thread that comes back from a run waits for the interpreter this long at most, while its core is idle.
SWITCH_INTERVAL_SECONDS = 0.0005
# Some requests at once are more objects than Python's 700, and hold no cycles: to look through them for garbage took a
# tenth of the loop's time.
GARBAGE_THRESHOLD = 10_000


class CannotListen(OSError):
    """The address is taken, not allowed or not of this machine."""


def serve_command(create_app: Callable[[Settings, Drain], Any]) -> Callable[..., None]:
    """The command, given how to make the ASGI application: `cli` stands beside `app` and does not know it."""

    def serve(
        host: Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")] = None,
        port: Annotated[
            int | None, typer.Option(help="Port to listen on; 0 takes a free one.  [default: 8000]")
        ] = None,
        data_dir: DataDirOption = None,
        workers: Annotated[int, typer.Option(help="Processes that serve; one owns the data folder, so 1.")] = 1,
        insecure: Annotated[
            bool | None, typer.Option("--insecure", help="Listen beyond loopback although nothing checks who calls.")
        ] = None,
    ) -> None:
        """Serve the exported encoders and the collections over HTTP."""
        refuse_workers(workers)
        settings = read_settings(host=host, port=port, data_dir=data_dir, insecure=insecure)
        refuse_open_bind(settings, has_keys=settings.keys_path.exists() and ApiKeys(settings.keys_path).are_wanted())
        configure_logging(settings.log_level, settings.log_format)
        # Bound before the encoders are loaded, so that a taken port is told at once, and port 0 becomes a real one.
        with DataFolder(settings.data_dir), bound_socket(settings.host, settings.port) as listener:
            settings = settings.model_copy(update={"port": listener.getsockname()[1]})
            drain = Drain()
            _run(create_app(settings, drain), listener, drain, settings)

    return serve


def refuse_open_bind(settings: Settings, *, has_keys: bool) -> None:
    """Let only loopback through, unless callers need keys or the settings say that the network may call.

    Raises:
        WrongUsage: others could reach the server, and nothing checks who they are.

    """
    if not has_keys and not settings.insecure and not settings.is_loopback:
        message = (
            f"{settings.host} can be reached from other machines and nothing checks who calls; make a key with"
            " simila keys create, use --host 127.0.0.1, or allow it with --insecure (SIMILA_INSECURE=true)"
        )
        raise WrongUsage(message)


def refuse_workers(workers: int) -> None:
    """Let nobody believe that more processes would help.

    Raises:
        WrongUsage: more than one, or none.

    """
    if workers != 1:
        message = (
            f"--workers {workers}: one process serves, because one writes the data folder; it uses all cores as it is."
            " To encode more, run replicas, or put Triton behind them (docs/operations.md)"
        )
        raise WrongUsage(message)


def bound_socket(host: str, port: int) -> socket.socket:
    """A TCP socket that is bound and does not listen yet.

    Raises:
        CannotListen: the address is taken, not allowed or not of this machine.

    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # "localhost" may name ::1 first, where a client of 127.0.0.1 would not find the server.
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        return _bound(socket.socket(family, kind, protocol), address)
    except OSError as error:
        remedy = "; stop what listens there, or give --port" if error.errno == errno.EADDRINUSE else ""
        reason = error.strerror or str(error)
        raise CannotListen(f"cannot listen on {host}, port {port}: {reason.lower()}{remedy}") from error


def _bound(listener: socket.socket, address: Any) -> socket.socket:
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _run(app: Any, listener: socket.socket, drain: Drain, settings: Settings) -> None:
    # Here, not above: the other commands should not wait for it.
    import uvicorn  # noqa: PLC0415

    from simila.api.http_protocol import OneWriteProtocol  # noqa: PLC0415
    from simila.api.http_server import DrainingServer  # noqa: PLC0415

    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)

    config = uvicorn.Config(
        app,
        http=OneWriteProtocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    # What is loaded by now stays. To look all of it through for garbage stops every thread for a tenth of a second.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    DrainingServer(config, drain, grace_seconds=settings.shutdown_seconds).run(sockets=[listener])
