"""`--precision` of `simila models add` and `export`: which towers are made in fewer bits, and on what."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from simila.domain.errors import InvalidInput
from simila.domain.manifest import Manifest, Modality
from simila.domain.precision import Precision

PrecisionOption = Annotated[Precision | None, typer.Option("--precision", help="Make it beside fp32, and judge it.")]
TowerOption = Annotated[Modality | None, typer.Option("--tower", help="With --precision: of this tower alone.")]
CalibrationOption = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        exists=True,
        help="Inputs like those to be served, to calibrate on: a file with a text a line, LABEL<tab>TEXT or TEXT,"
        " or a folder of images, LABEL/image.jpg.",
    ),
]
ForcePrecisionOption = Annotated[
    bool, typer.Option("--force-precision", help="Keep a precision whose vectors are below its floor.")
]


def in_precision(manifests: Sequence[Manifest], precision: Precision | None, tower: Modality | None) -> list[Manifest]:
    """The same encoders, each served in `precision`, or one `tower` of each.

    Raises:
        InvalidInput: a tower is named that an encoder has not.

    """
    if precision is None:
        return list(manifests)
    for manifest in manifests:
        if tower and tower not in manifest.modalities:
            raise InvalidInput(f"--tower {tower}: {manifest.name} has no {tower} tower")
    return [
        manifest.served_in({f"{manifest.name}.{tower}" if tower else manifest.name: precision})
        for manifest in manifests
    ]
