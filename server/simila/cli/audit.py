"""`simila audit`: what was changed, and whether the record of it is whole."""

from pathlib import Path
from typing import Annotated

import typer

from simila.cli import tables
from simila.cli.configuration import DataDirOption, read_settings
from simila.domain.errors import DataFolderError
from simila.storage.audit_log import AuditLog

app = typer.Typer(no_args_is_help=True, help="Check the record of who changed what.")


@app.command()
def verify(
    file: Annotated[Path | None, typer.Argument(help="An audit log.  [default: the data folder's]")] = None,
    expect: Annotated[
        str | None, typer.Option(metavar="HASH", help="The hash of an entry, as noted before, that must be there.")
    ] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Check that no entry was changed, removed or put in between. Note the last hash elsewhere for the next time."""
    path = file or read_settings(data_dir=data_dir).audit_path
    chain = AuditLog(path).verify(expect)
    if chain.broken_line is not None:
        raise DataFolderError(f"{path}: line {chain.broken_line} does not follow from the {chain.entries} before it")
    if not chain.holds_expected:
        raise DataFolderError(f"{path}: no entry has the hash {expect}; entries are missing at the end, or all are new")
    tables.show(f"{chain.entries} entries hold; the last has the hash {chain.last_hash}")
