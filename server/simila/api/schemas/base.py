"""What all requests and answers share."""

from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

Entry = TypeVar("Entry")


class RequestBody(BaseModel):
    """A body from outside: a field that we do not know is refused, so that a misspelt one is not lost in silence."""

    model_config = ConfigDict(extra="forbid")


class ListBody(BaseModel, Generic[Entry]):
    """OpenAI's envelope for lists."""

    object: Literal["list"] = "list"
    data: list[Entry]
