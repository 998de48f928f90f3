"""`GET /v1/models`: OpenAI's list, with what each encoder is and how its parity check went."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel

from simila.api.schemas.base import RequestBody
from simila.domain.golden import Certificate
from simila.engine.model_pool import EncoderStatus


class CertificateEntry(BaseModel):
    """The parity check of one tower when it was loaded: cosines to the reference library's vectors."""

    floor: float
    lowest_cosine: float
    inputs: int

    @classmethod
    def of(cls, certificate: Certificate) -> Self:
        return cls(floor=certificate.floor, lowest_cosine=certificate.lowest_cosine, inputs=len(certificate.cosines))


class ZeroShotEntry(BaseModel):
    scale: float
    bias: float
    activation: str
    templates: list[str]


class ModelEntry(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "simila"
    description: str
    licence: str
    state: str
    error: str | None
    modalities: list[str]
    dimension: int
    context_length_tokens: int | None
    image_size_pixels: int | None
    fingerprint: str
    zero_shot: ZeroShotEntry | None
    certificates: dict[str, CertificateEntry]
    precisions: dict[str, str]
    """What each tower computes with: fp32, fp16, int8-dynamic or int8-static."""
    devices: dict[str, str]
    """What each tower runs on."""
    version: str | None
    """Of the files that serve: the same files are the same version on any server."""
    aliases: list[str]

    @classmethod
    def of(cls, status: EncoderStatus, aliases: Mapping[str, str]) -> Self:
        manifest = status.manifest
        certificates = status.certificates or {}
        return cls(
            id=manifest.name,
            description=manifest.description,
            licence=manifest.licence,
            state=status.state,
            error=status.error,
            modalities=[str(modality) for modality in manifest.modalities],
            dimension=manifest.dimension,
            context_length_tokens=manifest.text.context_length_tokens if manifest.text else None,
            image_size_pixels=manifest.image.size_pixels if manifest.image else None,
            fingerprint=manifest.fingerprint,
            zero_shot=ZeroShotEntry(**manifest.zero_shot.model_dump()) if manifest.zero_shot else None,
            certificates={str(modality): CertificateEntry.of(entry) for modality, entry in certificates.items()},
            precisions={str(modality): manifest.precision(modality) for modality in manifest.modalities},
            devices={str(modality): device for modality, device in (status.devices or {}).items()},
            version=status.version,
            aliases=[alias for alias, name in aliases.items() if name == manifest.name],
        )


class LifecycleRequest(RequestBody):
    """An empty object. That it must be JSON keeps other sites' pages from sending it: browsers ask first."""


class AliasRequest(RequestBody):
    model: str


class AliasEntry(BaseModel):
    alias: str
    model: str

    @classmethod
    def all(cls, aliases: Mapping[str, str]) -> list[Self]:
        return [cls(alias=alias, model=name) for alias, name in aliases.items()]
