"""`simila models bundle` and `unbundle`: encoders as one archive, for machines without a network."""

from pathlib import Path
from typing import Annotated

import typer

from simila.cli import tables
from simila.cli.configuration import DataDirOption, read_settings
from simila.cli.models import NamesArgument
from simila.domain.model_repository import ModelRepository
from simila_models.bundles import unpack_bundle, write_bundle
from simila_models.catalogue import find_manifest


def bundle(
    names: NamesArgument = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The archive to write.")] = Path(
        "simila-models.tar"
    ),
    data_dir: DataDirOption = None,
) -> None:
    """Write exported encoders into one archive, from which they are served without a network."""
    settings = read_settings(data_dir=data_dir)
    manifests = [find_manifest(name, [settings.manifests_dir]) for name in names or settings.encoders]
    write_bundle(manifests, ModelRepository(settings.models_dir), output.resolve())
    tables.show(f"{output} holds {', '.join(manifest.name for manifest in manifests)}; unpack: simila models unbundle")


def unbundle(
    archive: Annotated[Path, typer.Argument(metavar="FILE", help="What `simila models bundle` has written.")],
    data_dir: DataDirOption = None,
) -> None:
    """Put the encoders of an archive into the data folder, each checked by hash."""
    settings = read_settings(data_dir=data_dir)
    names = unpack_bundle(archive, settings.data_dir)
    tables.show(f"in {settings.data_dir}: {', '.join(names)}; serve with SIMILA_ENCODERS={','.join(names)}")
