"""Use case: encoders come, change and go while the server answers."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from simila.domain.errors import Conflict, NotFound, UnknownEncoder
from simila.domain.manifest import Manifest
from simila.engine.model_pool import EncoderStatus, ModelPool
from simila.storage.alias_file import AliasFile

T = TypeVar("T")


class ModelLifecycle:
    """Loads, unloads and renames; what has begun goes on when the client who asked for it leaves.

    `find_manifest` reads an encoder's manifest anew, and raises `UnknownEncoder` where there is none.
    """

    def __init__(self, pool: ModelPool, find_manifest: Callable[[str], Manifest], alias_file: AliasFile) -> None:
        self._pool = pool
        self._find_manifest = find_manifest
        self._alias_file = alias_file
        self._alias_changes = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        pool.set_aliases(alias_file.stored)

    async def load(self, name: str) -> EncoderStatus:
        """Load what is exported of an encoder now, in the place of the version that serves, if one does.

        Raises:
            UnknownEncoder, InvalidManifest: it has no sound manifest.
            Conflict: the name is an alias.
            LoadFailed: see `ModelPool.load_version`.

        """
        if name in self._pool.aliases:
            raise Conflict(f"{name} is an alias of encoder {self._pool.aliases[name]}: load that", param="model")
        manifest = await asyncio.to_thread(self._find_manifest, name)
        return await self._finished(self._pool.load_version(manifest))

    async def unload(self, name: str) -> EncoderStatus:
        """Take an encoder out of service; done when its last request is answered and its memory given back.

        Raises:
            UnknownEncoder, Conflict: see `ModelPool.unload`.

        """
        return await self._finished(self._pool.unload(name))

    async def set_alias(self, alias: str, name: str) -> Mapping[str, str]:
        """Let `alias` mean an encoder that has just embedded something; return all aliases.

        Raises:
            UnknownEncoder, NotReady, SimilaError: the encoder is not served, or fails at a canary.
            Conflict: an encoder has this name itself.

        """
        if alias in (status.manifest.name for status in self._pool.statuses()) or await self._is_encoder(alias):
            raise Conflict(f"{alias} is the name of an encoder, and cannot be an alias", param="alias")
        encoder = self._pool.get(name)
        await encoder.check_alive()
        return await self._finished(self._write({alias: encoder.manifest.name}))

    async def delete_alias(self, alias: str) -> Mapping[str, str]:
        """Let `alias` mean nothing; return the others.

        Raises:
            NotFound: there is no such alias.

        """
        if alias not in self._pool.aliases:
            raise NotFound(f"unknown alias '{alias}'", param="alias")
        return await self._finished(self._write({}, without=alias))

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _write(self, new: Mapping[str, str], *, without: str | None = None) -> Mapping[str, str]:
        async with self._alias_changes:
            aliases = {name: target for name, target in {**self._pool.aliases, **new}.items() if name != without}
            await asyncio.to_thread(self._alias_file.write, aliases)
            self._pool.set_aliases(aliases)
        return aliases

    async def _is_encoder(self, name: str) -> bool:
        try:
            await asyncio.to_thread(self._find_manifest, name)
        except UnknownEncoder:
            return False
        return True

    async def _finished(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)
