"""`/v1/collections/{name}/migrate`: what a migration looks like on the wire."""

from typing import Literal, Self

from pydantic import BaseModel

from simila.api.schemas.base import RequestBody, Text
from simila.services.migration import MigrationProgress


class MigrateRequest(RequestBody):
    encoder: Text


class MigrationEntry(BaseModel):
    """How far a migration is. It is `done` when the collection has the new encoder; else it has the old one."""

    object: Literal["migration"] = "migration"
    encoder: str
    state: Literal["running", "done", "failed"]
    items_done: int
    items_total: int
    error: str | None

    @classmethod
    def of(cls, progress: MigrationProgress) -> Self:
        return cls(**vars(progress))
