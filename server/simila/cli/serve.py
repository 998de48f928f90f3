"""`simila serve`: the server in this process."""

import gc
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

import typer

from simila.cli.addresses import bound_socket
from simila.cli.configuration import DataDirOption, read_settings
from simila.cli.errors import WrongUsage
from simila.cli.start_checks import Problems, settings_without_problems
from simila.services.drain import Drain
from simila.settings import Settings
from simila.storage.data_folder import DataFolder
from simila.telemetry.logs import configure_logging

# A batcher's thread that comes back from a run waits for the interpreter this long at most, while its core is idle.
SWITCH_INTERVAL_SECONDS = 0.0005
# Some requests at once are more objects than Python's 700, and hold no cycles: to look through them for garbage took a
# tenth of the loop's time.
GARBAGE_THRESHOLD = 10_000
MOST_DESCRIPTORS = 65_536


def serve_command(create_app: Callable[[Settings, Drain], Any], problems: Problems) -> Callable[..., None]:
    """The command, given how to make the ASGI application, and what would keep that from being made.

    `cli` stands beside `app` and does not know it.
    """

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
        read = partial(read_settings, host=host, port=port, data_dir=data_dir, insecure=insecure)
        settings = settings_without_problems(read, problems)
        configure_logging(settings.log_level, settings.log_format)
        # Bound before the encoders are loaded, so that a taken port is told at once, and port 0 becomes a real one.
        with DataFolder(settings.data_dir), bound_socket(settings.host, settings.port) as listener:
            settings = settings.model_copy(update={"port": listener.getsockname()[1]})
            drain = Drain()
            with _garbage_left():
                app = create_app(settings, drain)
            _run(app, listener, drain, settings)

    return serve


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


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Meanwhile hundreds of modules are imported, and all of that stays: to look through it took a tenth of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _raised_descriptors() -> int:
    """How many descriptors this process may have. Its soft limit is there for programs that use `select`."""
    soft, hard = (
        MOST_DESCRIPTORS if limit == resource.RLIM_INFINITY else limit
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    if soft < min(hard, MOST_DESCRIPTORS):
        soft = min(hard, MOST_DESCRIPTORS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def _run(app: Any, listener: socket.socket, drain: Drain, settings: Settings) -> None:
    # Here, not above: the other commands should not wait for it.
    import uvicorn  # noqa: PLC0415

    from simila.api.connection_room import ConnectionRoom  # noqa: PLC0415
    from simila.api.http_protocol import OneWriteProtocol  # noqa: PLC0415
    from simila.api.http_server import DrainingServer  # noqa: PLC0415

    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)

    config = uvicorn.Config(
        app,
        http=partial(OneWriteProtocol, room=ConnectionRoom(_raised_descriptors() * 3 // 4)),  # type: ignore[arg-type]
        ws="none",
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
