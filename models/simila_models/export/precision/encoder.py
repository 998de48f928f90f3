"""All towers of an encoder that are served in another precision."""

from collections.abc import Sequence

from simila.domain.errors import ModelError
from simila.domain.manifest import Manifest
from simila.domain.model_repository import ModelRepository
from simila.domain.precision import Precision
from simila_models.export.precision import Prepare
from simila_models.export.precision.inputs import LabelledInput, shipped_inputs
from simila_models.export.precision.tower import PrecisionReport, write_precision
from simila_models.progress import Progress
from simila_models.scratch import publish, scratch_folder


def write_precisions(
    manifest: Manifest,
    repository: ModelRepository,
    prepare: Prepare,
    progress: Progress,
    inputs: Sequence[LabelledInput],
    *,
    force: bool,
) -> list[PrecisionReport]:
    """Make every tower that `manifest` has in another precision than fp32, as far as it is not current.

    `inputs` are what scales are calibrated on and the task is checked with; without any, what ships with Simila. With
    `force` what is below a floor is written all the same, and served down to what it reaches now.

    Raises:
        NotExported: the reference is not exported.
        ParityFailed: a tower is below a floor; it is not written, and what was there is left.
        ModelError: a graph has nothing to change, or the repository cannot be written.

    """
    reports = []
    try:
        with scratch_folder(repository.root) as scratch:
            for modality in manifest.modalities:
                precision = manifest.precision(modality)
                if precision is not Precision.FP32 and not repository.has_tower(manifest, modality):
                    made = scratch / modality
                    chosen = inputs or shipped_inputs(modality)
                    reports.append(
                        write_precision(manifest, modality, repository, chosen, prepare, made, progress, force=force)
                    )
                    publish(made, repository.tower(manifest.name, modality, precision).folder)
    except OSError as error:
        raise ModelError(f"{manifest.name} cannot be exported to {repository.root}: {error}") from error
    return reports
