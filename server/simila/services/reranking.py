"""Use case: which of these documents is most like the query?"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simila.domain.inputs import Input, Role
from simila.domain.vectors import Float32
from simila.services.embedding import EmbeddingService


@dataclass(frozen=True)
class Compared:
    """The cosine of the query and each document, `float32 [n]`, in the documents' order."""

    cosines: Float32
    tokens: int

    def best(self, most: int | None = None) -> list[int]:
        """The positions of the `most` documents of highest cosine, the highest first; of equals the first given."""
        positions: list[int] = np.argsort(-self.cosines, kind="stable")[:most].tolist()
        return positions


class RerankService:
    """Compares by a bi-encoder: query and documents are embedded apart, as for a search."""

    def __init__(self, embedding: EmbeddingService) -> None:
        self._embedding = embedding

    async def compare(
        self,
        encoder_name: str,
        query: Input,
        documents: Sequence[Input],
        names: Sequence[str],
        *,
        roles: tuple[Role | None, Role | None] = ("query", "passage"),
        truncate: bool = True,
    ) -> Compared:
        """Embed the query and the documents, each in its role; `names` are the query's and the documents'.

        Raises:
            SimilaError: see `EmbeddingService.embed`.

        """
        asked, given = await asyncio.gather(
            self._embedding.embed(encoder_name, [query], names=names[:1], role=roles[0], truncate=truncate),
            self._embedding.embed(encoder_name, documents, names=names[1:], role=roles[1], truncate=truncate),
        )
        return Compared(given.vectors @ asked.vectors[0], sum(asked.tokens) + sum(given.tokens))
