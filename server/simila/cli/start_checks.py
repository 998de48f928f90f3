"""What keeps a server from starting, told all at once: nobody should mend one thing to meet the next."""

import ssl
from collections.abc import Callable, Iterator, Sequence

from simila.cli.addresses import bound_socket, refuse_open_bind
from simila.cli.configuration import WrongSettings
from simila.cli.errors import WrongUsage
from simila.domain.errors import InvalidConfiguration, SimilaError
from simila.settings import Settings
from simila.storage.api_keys import ApiKeys

Problems = Callable[[Settings], Sequence[SimilaError]]
"""Finds what the settings ask the application for and is not there."""


def settings_without_problems(read: Callable[[], Settings], problems: Problems) -> Settings:
    """Read settings, or raise what is wrong with them, with addresses and certificate, together with `problems`.

    Where nothing is, `problems` are left to whoever makes the application.

    Raises:
        WrongUsage, CannotListen: one thing is wrong.
        InvalidConfiguration: several.

    """
    errors: list[Exception] = []
    try:
        settings = read()
    except WrongSettings as error:
        errors.append(error)
        settings = error.rest
    errors += _found(settings)
    if errors:
        errors += problems(settings)
    if len(errors) > 1:
        raise InvalidConfiguration("; ".join(map(str, errors)))
    if errors:
        raise errors[0]
    return settings


def check_bind(settings: Settings) -> None:
    """Refuse an address that others reach where nothing checks who calls.

    Raises:
        WrongUsage: this is one.

    """
    has_keys = settings.keys_path.exists() and ApiKeys(settings.keys_path).are_wanted()
    refuse_open_bind(settings, has_keys=has_keys)


def check_port(settings: Settings) -> None:
    """Raises `CannotListen`."""
    bound_socket(settings.host, settings.port).close()


def check_grpc_port(settings: Settings) -> None:
    """Raises `CannotListen`."""
    if settings.grpc_port:
        bound_socket(settings.host, settings.grpc_port, chosen_by="SIMILA_GRPC_PORT").close()


def check_tls(settings: Settings) -> None:
    """Read certificate and key, if there are any.

    Raises:
        WrongUsage: they cannot be read, do not belong together, or ask for a password.

    """
    if settings.tls_certificate is None:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Without a password it would ask the terminal for one.
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, password="")
    except OSError as error:  # ssl.SSLError too
        files = f"{settings.tls_certificate} and {settings.tls_key}"
        settings_of_them = "(SIMILA_TLS_CERTIFICATE, SIMILA_TLS_KEY)"
        message = f"the TLS certificate and its key, {files}, cannot be used: {error.strerror} {settings_of_them}"
        raise WrongUsage(message) from error


def _found(settings: Settings) -> Iterator[Exception]:
    for check in (check_bind, check_port, check_grpc_port, check_tls):
        try:
            check(settings)
        except (WrongUsage, OSError, SimilaError) as error:
            yield error
