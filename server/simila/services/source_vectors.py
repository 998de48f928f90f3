"""Texts, images and given vectors to the vectors of one collection."""

from collections.abc import Callable, Sequence

import numpy as np

from simila.domain.errors import CannotServe, FingerprintMismatch, SimilaError, UnknownEncoder
from simila.domain.inputs import Role, Source, VectorInput
from simila.domain.vectors import Float32, given_vector
from simila.engine.encoder import Encoder
from simila.engine.model_pool import ModelPool
from simila.services.embedding import in_role, name_failures
from simila.storage.collection_file import CollectionSpec


class SourceVectors:
    """Embeds what has to be embedded and checks what is given."""

    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool

    async def of(
        self, spec: CollectionSpec, sources: Sequence[Source], names: Sequence[str], role: Role = "passage"
    ) -> tuple[Float32, int]:
        """Vectors `float32 [n, d], unit length` in the order of the sources, and the tokens that they took.

        Raises:
            InvalidInput, LimitExceeded, …: sources are at fault; the message gives the name of each.
            FingerprintMismatch: the encoder has changed since the collection was made.
            CannotServe: the encoder is not served here any more.

        """
        return await vectors_of(lambda: self.encoder(spec), spec.dimension, sources, names, role)

    def encoder(self, spec: CollectionSpec) -> Encoder:
        try:
            encoder = self._pool.get(spec.encoder)
        except UnknownEncoder as error:
            message = f"collection {spec.name} needs encoder {spec.encoder}, which is not served (SIMILA_ENCODERS)"
            raise CannotServe(message) from error
        if encoder.manifest.fingerprint != spec.fingerprint:
            raise FingerprintMismatch(
                f"collection {spec.name} holds vectors of another revision of {spec.encoder} (fingerprint"
                f" {spec.fingerprint[:12]}, served {encoder.manifest.fingerprint[:12]}); only vectors can be sent to it"
            )
        return encoder


async def vectors_of(
    encoder: Callable[[], Encoder],
    dimension: int,
    sources: Sequence[Source],
    names: Sequence[str],
    role: Role = "passage",
) -> tuple[Float32, int]:
    """Vectors `float32 [n, d], unit length` in the order of the sources, and the tokens that they took.

    `encoder` is asked for only where something has to be embedded; texts get its prefix for their role.

    Raises:
        InvalidInput, LimitExceeded, …: sources are at fault; the message gives the name of each.

    """
    vectors = np.zeros((len(sources), dimension), dtype=np.float32)
    failures: dict[int, SimilaError] = {}
    tokens = 0
    for position, source in enumerate(sources):
        if isinstance(source, VectorInput):
            try:
                vectors[position] = given_vector(source.values, dimension)
            except SimilaError as error:
                failures[position] = error
    inputs = {position: source for position, source in enumerate(sources) if not isinstance(source, VectorInput)}
    if inputs:
        running = encoder()
        embedded = await running.embed(in_role(list(inputs.values()), running.manifest, role))
        positions = list(inputs)
        vectors[positions] = embedded.vectors
        failures |= {positions[index]: error for index, error in embedded.failures.items()}
        tokens = sum(embedded.tokens)
    if failures:
        raise name_failures(failures, names)
    return vectors, tokens
