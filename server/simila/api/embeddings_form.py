"""`POST /v1/embeddings` with image files as they are, without base64: several in a form, or one as the body."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile

from simila.api.schemas.embeddings import EmbeddingOptions
from simila.api.schemas.inputs import InputReader
from simila.domain.errors import InvalidInput, SimilaError
from simila.domain.inputs import Input

FORM = "multipart/form-data"
IMAGE = "image/"
INPUT_FIELDS = ("input", "image")
FILE_SCHEMA: dict[str, Any] = {"type": "string", "format": "binary"}
FORM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["model"],
    "additionalProperties": False,
    "properties": {
        **EmbeddingOptions.model_json_schema()["properties"],
        "image": {"type": "array", "items": FILE_SCHEMA, "description": "Image files."},
        "input": {"type": "array", "items": {"type": "string"}, "description": "Texts."},
    },
}


@dataclass(frozen=True)
class EmbeddingsForm:
    """What a form asks for. `names` are what errors call the inputs: each field counts its own."""

    options: EmbeddingOptions
    inputs: Sequence[Input | SimilaError]
    names: Sequence[str]


async def read_form(request: Request, reader: InputReader) -> EmbeddingsForm:
    """Read a form whose inputs come in the order of its parts; one that cannot be read is its error.

    Raises:
        RequestValidationError: an option is missing, unknown or malformed.
        InvalidInput: there is no input, or an option is given twice.
        LimitExceeded: there are too many inputs.

    """
    body = await request.body()
    _check_parts(request, body, reader)
    async with request.form(max_files=len(body), max_fields=len(body), max_part_size=len(body)) as form:
        parts = form.multi_items()
        options = _options([part for part in parts if part[0] not in INPUT_FIELDS])
        reader.check_count(sum(field in INPUT_FIELDS for field, _ in parts))
        counts: Counter[str] = Counter()
        inputs: dict[str, Input | SimilaError] = {}
        for field, value in parts:
            if field in INPUT_FIELDS:
                name = f"{field}[{counts[field]}]"
                counts[field] += 1
                inputs[name] = await _input(reader, field, value, name)
    if not inputs:
        raise InvalidInput("input: the form has no field 'input' and no file 'image'", param="input")
    return EmbeddingsForm(options, list(inputs.values()), list(inputs))


async def read_image_body(request: Request, reader: InputReader) -> EmbeddingsForm:
    """Read a body that is an image file; options are in the query.

    Raises:
        RequestValidationError, InvalidInput: as `read_form`.
        LimitExceeded: the image is too large.

    """
    options = _options(request.query_params.multi_items())
    return EmbeddingsForm(options, [reader.image_file(await request.body(), "image")], ["image"])


def _check_parts(request: Request, body: bytes, reader: InputReader) -> None:
    """Count before parsing, which takes a thousand times as long."""
    _, parameters = parse_options_header(request.headers["content-type"])
    boundary = parameters.get(b"boundary")
    if boundary:
        reader.check_count(body.count(b"--" + boundary) - 1 - len(EmbeddingOptions.model_fields))


def _options(parts: Sequence[tuple[str, str | UploadFile]]) -> EmbeddingOptions:
    options: dict[str, str | UploadFile] = {}
    for field, value in parts:
        if field in options:
            raise InvalidInput(f"{field}: is given twice", param=field)
        options[field] = value
    try:
        return EmbeddingOptions.model_validate(options, strict=False)
    except ValidationError as error:
        found = [{**detail, "loc": ("body", *detail["loc"])} for detail in error.errors()]
        raise RequestValidationError(found) from error


async def _input(reader: InputReader, field: str, value: str | UploadFile, name: str) -> Input | SimilaError:
    try:
        if isinstance(value, UploadFile):
            if field == "input":
                raise InvalidInput(f"{name}: must be a text; send files as 'image'", param=name)
            return reader.image_file(await value.read(), name)
        if field == "image":
            return reader.image(value, name)
        if not value:
            raise InvalidInput(f"{name}: must not be empty", param=name)
        return reader.string(value, name)
    except SimilaError as error:
        return error
