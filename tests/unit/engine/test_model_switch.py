"""Tasks that have been given an encoder finish with it, whatever becomes of it meanwhile."""

import asyncio

import numpy as np
import pytest

from simila.domain.errors import Conflict, EncoderUnloaded
from simila.domain.inputs import Embedded, TextInput
from simila.domain.model_repository import ModelRepository
from simila.engine.encoder_starter import EngineOptions
from simila.engine.model_pool import LoadState, ModelPool
from simila.services.model_lifecycle import ModelLifecycle
from simila.storage.alias_file import AliasFile
from tiny_encoders import TinyEncoder
from unit.services.word_encoders import Tower, direction, joint_encoder, pool_of


class WaitingTower(Tower):
    """Answers when `gate` is open, and never once it is closed."""

    def __init__(self):
        super().__init__()
        self.gate = asyncio.Event()
        self.is_closed = False

    async def embed(self, inputs, *, truncate) -> Embedded:
        await self.gate.wait()
        assert not self.is_closed
        return await super().embed(inputs, truncate=truncate)

    def close(self):
        self.is_closed = True


def scenario(tmp_path, run):
    async def with_pool():
        tower = WaitingTower()
        pool = pool_of(tmp_path, joint_encoder(tower))
        try:
            async with asyncio.timeout(60):
                await run(pool, tower)
        finally:
            pool.close()

    asyncio.run(with_pool())


async def embed(encoder):
    return (await encoder.embed([TextInput("cat")])).vectors[0]


async def until(condition):
    while not condition():  # noqa: ASYNC110  nothing tells of it
        await asyncio.sleep(0)


def test_an_encoder_is_closed_when_its_last_request_is_done(tmp_path):
    async def run(pool, tower):
        asking = asyncio.create_task(embed_by_name(pool))
        await until(lambda: pool._encoders["words"]._holders)
        unloading = asyncio.create_task(pool.unload("words"))
        await until(lambda: pool.status("words").state is LoadState.UNLOADING)
        with pytest.raises(EncoderUnloaded):
            pool.get("words")
        assert not tower.is_closed
        tower.gate.set()
        np.testing.assert_array_equal(await asking, direction("cat"))
        assert (await unloading).state is LoadState.UNLOADED
        assert tower.is_closed

    async def embed_by_name(pool):
        return await embed(pool.get("words"))

    scenario(tmp_path, run)


def test_a_task_may_begin_to_embed_after_the_encoder_was_unloaded(tmp_path):
    async def run(pool, tower):
        may_embed = asyncio.Event()

        async def ask():
            encoder = pool.get("words")
            await may_embed.wait()
            return await embed(encoder)

        asking = asyncio.create_task(ask())
        await until(lambda: pool._encoders["words"]._holders)
        unloading = asyncio.create_task(pool.unload("words"))
        await until(lambda: pool.status("words").state is LoadState.UNLOADING)
        tower.gate.set()
        may_embed.set()
        np.testing.assert_array_equal(await asking, direction("cat"))
        await unloading

    scenario(tmp_path, run)


def test_a_task_that_is_told_of_keeps_the_encoder_too(tmp_path):
    async def run(pool, tower):
        migration_may_end = asyncio.Event()
        migration = asyncio.create_task(migration_may_end.wait())
        pool._encoders["words"].hold(migration)
        unloading = asyncio.create_task(pool.unload("words"))
        await until(lambda: pool.status("words").state is LoadState.UNLOADING)
        assert not tower.is_closed
        migration_may_end.set()
        await unloading
        assert tower.is_closed

    scenario(tmp_path, run)


def test_what_was_begun_goes_on_when_the_client_leaves(tmp_path):
    async def run(pool, tower):
        lifecycle = ModelLifecycle(pool, pool.status, AliasFile(tmp_path / "aliases.json"))
        asking = asyncio.create_task(embed_by_name(pool))
        await until(lambda: pool._encoders["words"]._holders)
        client = asyncio.create_task(lifecycle.unload("words"))
        await until(lambda: pool.status("words").state is LoadState.UNLOADING)
        client.cancel()
        tower.gate.set()
        await asking
        await until(lambda: pool.status("words").state is LoadState.UNLOADED)
        assert tower.is_closed
        await lifecycle.close()

    async def embed_by_name(pool):
        return await embed(pool.get("words"))

    scenario(tmp_path, run)


def test_closing_the_pool_closes_what_is_drained_too(tmp_path):
    async def run(pool, tower):
        asking = asyncio.create_task(embed_by_name(pool))
        await until(lambda: pool._encoders["words"]._holders)
        unloading = asyncio.create_task(pool.unload("words"))
        await until(lambda: pool.status("words").state is LoadState.UNLOADING)
        pool.close()
        assert tower.is_closed
        with pytest.raises(asyncio.CancelledError):
            await unloading
        asking.cancel()

    async def embed_by_name(pool):
        return await embed(pool.get("words"))

    scenario(tmp_path, run)


def test_vectors_of_the_version_before_are_not_given_as_the_new_ones(tmp_path):
    manifest = TinyEncoder("tiny", 1).export(tmp_path)

    async def run():
        pool = ModelPool([manifest], ModelRepository(tmp_path / "models"), EngineOptions(cache_bytes=2**20))
        await pool.load()
        await asyncio.create_task(embed_by_name(pool))
        assert pool.cache_statistics.entries == 1
        await pool.load_version(manifest)
        assert pool.cache_statistics.entries == 0
        pool.close()

    async def embed_by_name(pool):
        return await embed(pool.get("tiny"))

    asyncio.run(run())


def test_what_an_alias_means_is_not_unloaded(tmp_path):
    async def run(pool, tower):
        pool.set_aliases({"prod": "words"})
        with pytest.raises(Conflict, match="encoder words is what the alias prod means; point that elsewhere first"):
            await pool.unload("words")
        tower.gate.set()
        assert pool.get("prod") is pool.get("words")

    scenario(tmp_path, run)
