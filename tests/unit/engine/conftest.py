"""Real encoders, loaded once, and the means to spoil a copy of their repository."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from simila.domain.manifest import Modality
from simila.domain.model_repository import ModelRepository, TowerFiles
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import ModelPool
from simila_models.catalogue import bundled_manifests

OPTIONS = EngineOptions(
    threads=1,
    preprocess_threads=2,
    max_batch_items=32,
    max_batch_tokens=2048,
    max_image_pixels=50_000_000,
    max_queue_seconds=600,  # a busy machine takes longer, and is no reason to refuse
)


@pytest.fixture(scope="session")
def pool(exported_repository: ModelRepository):
    pool = ModelPool(list(bundled_manifests().values()), exported_repository, OPTIONS)
    asyncio.run(pool.load())
    yield pool
    pool.close()


@pytest.fixture
def load(request: pytest.FixtureRequest) -> Callable[..., ModelPool]:
    """Load bundled encoders from a repository; the pool is closed after the test."""

    def loaded(repository: ModelRepository, *names: str, **options: int) -> ModelPool:
        manifests = [bundled_manifests()[name] for name in names]
        pool = ModelPool(manifests, repository, replace(OPTIONS, **options))
        request.addfinalizer(pool.close)
        asyncio.run(pool.load())
        return pool

    return loaded


@pytest.fixture
def copied_tower(tmp_path: Path, exported_repository: ModelRepository) -> Callable[[str, Modality], TowerFiles]:
    """Copy a tower to the repository `tmp_path / "models"`.

    Its files are links: remove them, never write to them.
    """

    def copy(encoder: str, modality: Modality) -> TowerFiles:
        original = exported_repository.tower(encoder, modality)
        copied = ModelRepository(tmp_path / "models").tower(encoder, modality)
        for path in original.folder.rglob("*"):
            if path.is_file():
                link = copied.folder / path.relative_to(original.folder)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path.resolve())
        return copied

    return copy
