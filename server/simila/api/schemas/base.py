"""What all requests and answers share."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Entry = TypeVar("Entry")

# A constrained string is checked to be Unicode; a plain one lets lone surrogates through, which no answer can repeat.
Text = Annotated[str, StringConstraints(min_length=1)]
# Only the first error is told, so the rest of a million is not looked for.
NonEmptyList = Annotated[list[Entry], Field(min_length=1, fail_fast=True)]


class RequestBody(BaseModel):
    """A body from outside: a field that we do not know is refused, so that a misspelt one is not lost in silence."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ListBody(BaseModel, Generic[Entry]):
    """OpenAI's envelope for lists."""

    object: Literal["list"] = "list"
    data: list[Entry]
