"""How a tower is run on this machine: as measured, else by default, and settings have the last word."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, ValidationError

from simila.domain.manifest import Modality
from simila.domain.model_repository import TowerFiles

logger = logging.getLogger("simila.engine")

# On two cores of a server small batches of like length, one thread a core, came first: a batch stays in the cache.
DEFAULT_BATCH_TOKENS = 256
DEFAULT_BATCH_IMAGES = 8
# An accelerator wants enough work in a batch to keep all of it busy; one batch is prepared while another runs.
ACCELERATOR_BATCH_TOKENS = 16_384
ACCELERATOR_BATCH_IMAGES = 64
ACCELERATOR_WORKERS = 2
# To begin a batch costs a core as much as some tokens: it reads all weights, and whatever the model's size, a weight is
# read in the time of as many multiplications. Of 12, 22 and 40 the first was best: what is left joins a later batch.
START_TOKENS = 12
# So that the items do not limit a batch of texts before its tokens do.
SHORTEST_TEXT_TOKENS = 8


@dataclass(frozen=True)
class Tuning:
    """A layout of threads, the limits of a batch and the fastest runtime, where it was measured.

    To begin a batch costs as much as `start_tokens`; None where nobody knows. `preprocess_threads` is how many keep the
    tower fed; all towers share one pool, which is as large as the most wants.
    """

    cores: int
    worker_threads: int
    threads_per_run: int
    max_batch_items: int
    max_batch_tokens: int  # padded; images have none and take 1 each
    rows_per_second: float | None = None
    preprocess_threads: int | None = None
    runtime: str | None = None
    start_tokens: int | None = START_TOKENS


class _Record(BaseModel):
    """`tuning.json`: what was measured, and of which graph."""

    model_config = ConfigDict(frozen=True)

    onnx_sha256: str
    tuning: Tuning


def batch_limits(modality: Modality, budget: int) -> tuple[int, int]:
    """Most items and most padded tokens of a batch, for a budget of padded tokens or of images."""
    return (max(1, budget // SHORTEST_TEXT_TOKENS), budget) if modality is Modality.TEXT else (budget, budget)


def default_tuning(modality: Modality, cores: int) -> Tuning:
    """One thread a core, each with small batches of its own."""
    items, tokens = batch_limits(modality, DEFAULT_BATCH_TOKENS if modality is Modality.TEXT else DEFAULT_BATCH_IMAGES)
    return Tuning(cores, cores, 1, items, tokens)


def accelerator_tuning(modality: Modality, devices: int) -> Tuning:
    """Large batches, and for each device one that runs and one that is prepared."""
    budget = ACCELERATOR_BATCH_TOKENS if modality is Modality.TEXT else ACCELERATOR_BATCH_IMAGES
    items, tokens = batch_limits(modality, budget)
    return Tuning(0, ACCELERATOR_WORKERS * devices, 1, items, tokens, start_tokens=None)


def tuning_for(files: TowerFiles, modality: Modality, cores: int) -> Tuning:
    """What was measured of this graph on as many cores, or else the default; the log says why a tuning is not used."""
    tuning, reason = _measured(files, cores)
    if reason:
        logger.info("%s %s: defaults are used; run: simila models tune", files.folder.name, reason)
    return tuning or default_tuning(modality, cores)


def preprocess_threads_for(towers: Sequence[TowerFiles], cores: int) -> int:
    """As many as the tower needs that needs most; one a core if any of them was not measured."""
    tunings = [_measured(files, cores)[0] for files in towers]
    return max(((tuning and tuning.preprocess_threads) or cores for tuning in tunings), default=cores)


def _measured(files: TowerFiles, cores: int) -> tuple[Tuning | None, str | None]:
    """What was measured of this graph on as many cores, or why what was measured is not of use here."""
    try:
        record = _Record.model_validate_json(files.tuning.read_bytes())
        if record.tuning.cores != cores:
            return None, f"was tuned on {record.tuning.cores} cores, not on {cores}"
        if record.onnx_sha256 != files.read_record().onnx_sha256:
            return None, "was tuned with another graph"
    except FileNotFoundError:
        return None, None
    except (OSError, ValidationError) as error:
        return None, f"has a tuning that cannot be read ({error})"
    return record.tuning, None


def keep_tuning(files: TowerFiles, tuning: Tuning) -> None:
    """Write what `tuning_for` reads.

    Raises:
        OSError: the tower is not exported, or its folder cannot be written.

    """
    record = _Record(onnx_sha256=files.read_record().onnx_sha256, tuning=tuning)
    files.tuning.write_text(record.model_dump_json(indent=2), encoding="utf-8")


def overridden(tuning: Tuning, *, workers: int, threads: int, max_batch_items: int, max_batch_tokens: int) -> Tuning:
    """Put settings in the place of what was measured; 0 leaves it."""
    return replace(
        tuning,
        worker_threads=workers or tuning.worker_threads,
        threads_per_run=threads or tuning.threads_per_run,
        max_batch_items=max_batch_items or tuning.max_batch_items,
        max_batch_tokens=max_batch_tokens or tuning.max_batch_tokens,
    )
