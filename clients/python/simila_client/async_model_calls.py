# Written by tests/docs/async_client.py from model_calls.py; change that, then: make docs
"""The part of the awaiting client that asks encoders, and says which are served."""

from collections.abc import Mapping, Sequence

from simila_client import wire
from simila_client.async_transport import AsyncTransport
from simila_client.bodies import listed
from simila_client.results import Model, Ranked, Source

# A large encoder is read, compiled and checked; one that leaves waits for its longest request.
CHANGE_TIMEOUT_SECONDS = 3600


class AsyncModelCalls:
    """Methods of `AsyncSimila`."""

    _transport: AsyncTransport

    async def models(self) -> tuple[Model, ...]:
        """The encoders that the server knows, with their parity certificates."""
        return await self._transport.send(wire.models())

    async def model(self, name: str) -> Model:
        """One encoder, by its name or an alias."""
        return await self._transport.send(wire.model(name))

    async def rerank(
        self,
        query: Source,
        documents: Sequence[Source],
        *,
        model: str,
        top_n: int | None = None,
        truncate: bool | None = None,
    ) -> tuple[Ranked, ...]:
        """Documents by the cosine of their vector and the query's, the most alike first, at most `top_n`."""
        question, *answers = await self._transport.read_all([query, *listed("documents", documents)])
        return await self._transport.send(wire.rerank(model, question, answers, top_n=top_n, truncate=truncate))

    async def load_model(self, name: str) -> Model:
        """Load an encoder, or the version of it that is exported now: it takes over when its certificate holds.

        Requests under way end where they began. When the new version fails, the old one goes on. The server finishes
        what it has begun, whether or not anybody waits: where this times out, ask `models`.
        """
        return await self._transport.send(wire.load_model(name), timeout_seconds=CHANGE_TIMEOUT_SECONDS)

    async def unload_model(self, name: str) -> Model:
        """Take an encoder out of service; this returns when its last request is answered and its memory given back."""
        return await self._transport.send(wire.unload_model(name), timeout_seconds=CHANGE_TIMEOUT_SECONDS)

    async def aliases(self) -> Mapping[str, str]:
        """Other names, and the encoder that each means."""
        return await self._transport.send(wire.aliases())

    async def set_alias(self, alias: str, model: str) -> Mapping[str, str]:
        """Let `alias` mean an encoder that is ready, from the next request on; return all aliases."""
        return await self._transport.send(wire.set_alias(alias, model))

    async def delete_alias(self, alias: str) -> Mapping[str, str]:
        """Remove a name; return the others."""
        return await self._transport.send(wire.delete_alias(alias))
