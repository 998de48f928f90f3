"""`simila keys`: who may call the server."""

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from simila.cli import tables
from simila.cli.configuration import DataDirOption, read_settings
from simila.cli.errors import WrongUsage
from simila.domain.access import Allowance, ApiKey, Scope
from simila.storage.api_keys import ApiKeys
from simila.storage.audit_log import AuditLog, audit_entry

app = typer.Typer(
    no_args_is_help=True, help="Make, list and revoke API keys; once there is one, every caller needs one."
)

SECONDS_OF = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class ScopeName(StrEnum):
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is, for the list.")],
    scope: Annotated[ScopeName, typer.Option(help="What it allows; each includes those before it.")] = ScopeName.READ,
    collections: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Only these collections.  [default: all]")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="30d", help="When it ends: minutes, hours, days or weeks from now, or a date.")
    ] = None,
    items_per_minute: Annotated[int | None, typer.Option(min=1, help="Most inputs and items a minute.")] = None,
    bytes_per_minute: Annotated[int | None, typer.Option(min=1, help="Most bytes of request bodies a minute.")] = None,
    as_json: tables.JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Make a key and print it, once: the server keeps only its hash. A running server knows it at once."""
    key, text = _keys(data_dir).create(
        name,
        Scope[scope.name],
        collections=None if collections is None else _names(collections),
        allowance=Allowance(items_per_minute, bytes_per_minute),
        expires_at=None if expires is None else expiry(expires, time.time()),
    )
    _note("keys create", key, data_dir)
    if as_json:
        tables.show_json({**_shown(key), "key": text})
    else:
        tables.show(text)


@app.command("list")
def list_keys(as_json: tables.JsonOption = False, data_dir: DataDirOption = None) -> None:
    """Show all keys, those that have ended too."""
    keys = _keys(data_dir).all()
    if as_json:
        tables.show_json([_shown(key) for key in keys])
    else:
        _show_table(keys)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `simila keys list` shows it.")],
    data_dir: DataDirOption = None,
) -> None:
    """End a key. A running server refuses it within half a second."""
    key = _keys(data_dir).revoke(key_id)
    _note("keys revoke", key, data_dir)
    tables.show(f"the key {key.id} of {key.name} is revoked")


def expiry(text: str, now: float) -> float:
    """`30d` from now, or a date such as 2027-01-31, as seconds since the epoch.

    Raises:
        WrongUsage: it is neither, or not in the future.

    """
    if span := re.fullmatch(r"(\d+)([mhdw])", text):
        time_of_end = now + int(span[1]) * SECONDS_OF[span[2]]
    else:
        try:
            date = datetime.fromisoformat(text)
        except ValueError as error:
            raise WrongUsage(f"--expires {text} is neither a span such as 30d nor a date such as 2027-01-31") from error
        time_of_end = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    if time_of_end <= now:
        raise WrongUsage(f"--expires {text} is in the past")
    return time_of_end


def _keys(data_dir: Any) -> ApiKeys:
    return ApiKeys(read_settings(data_dir=data_dir).keys_path)


def _note(action: str, key: ApiKey, data_dir: Any) -> None:
    settings = read_settings(data_dir=data_dir)
    if settings.audit:
        entry = audit_entry(None, f"simila {action}", key.id, name=key.name, scope=str(key.scope))
        AuditLog(settings.audit_path).append([entry])


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise WrongUsage("--collections has an empty name")
    return names


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scope": str(key.scope),
        "collections": None if key.collections is None else sorted(key.collections),
        "items_per_minute": key.allowance.items_per_minute,
        "bytes_per_minute": key.allowance.bytes_per_minute,
        "created": _date(key.created_at),
        "expires": _date(key.expires_at),
        "revoked": _date(key.revoked_at),
        "last_used": _date(key.last_used_at),
    }


def _show_table(keys: Sequence[ApiKey]) -> None:
    names = ("id", "name", "scope", "collections", "created", "expires", "last used", "")
    table = tables.table(*(tables.column(name) for name in names))
    now = time.time()
    for key in keys:
        state = "" if key.is_valid_at(now) else "revoked" if key.revoked_at else "expired"
        dates = [_date(key.created_at), _date(key.expires_at) or "never", _date(key.last_used_at) or "never"]
        collections = "all" if key.collections is None else ", ".join(sorted(key.collections))
        style = tables.MUTED if state else None
        table.add_row(key.id, key.name, str(key.scope), collections, *dates, state, style=style)
    tables.show(table)


def _date(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
