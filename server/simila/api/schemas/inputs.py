"""How texts, tokens, images and vectors come in, and how each becomes an input of the domain."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypeGuard

import numpy as np
import pybase64
from pydantic import BeforeValidator, Discriminator, Tag

from simila.api.access import count_items
from simila.api.schemas.base import NonEmptyList, RequestBody, Text
from simila.domain.errors import InvalidImage, InvalidVector, LimitExceeded, SimilaError
from simila.domain.inputs import ImageInput, Input, Source, TextInput, TokensInput, VectorInput

TokenIds = NonEmptyList[int]
Vector = Annotated[
    Annotated[NonEmptyList[float], Tag("as numbers")] | Annotated[Text, Tag("as base64")],
    Discriminator(lambda value: "as base64" if isinstance(value, str) else "as numbers"),
]
"""Numbers, or the base64 of little-endian float32: a quarter of the bytes, and nothing to parse."""


class TextItem(RequestBody):
    text: Text


class ImageItem(RequestBody):
    """`image` is base64, bare or as a data URI; or a URL, where the server fetches."""

    image: Text


class VectorItem(RequestBody):
    """`vector` is of the encoder's dimension; its length does not matter, its direction does."""

    vector: Vector


def _kind(value: Any) -> str:
    """Choose the branch of the union that the caller most likely meant, so that the error is about that one."""
    if isinstance(value, list):
        return "as tokens"
    if isinstance(value, dict | RequestBody):
        keys = value if isinstance(value, dict) else type(value).model_fields
        return next((f"as {key}" for key in ("image", "vector", "text") if key in keys), "as text")
    return "as string"


def _as_list(value: Any) -> Any:
    """A single input is a list of one: a string, an object, or a list of token ids."""
    if isinstance(value, str | dict):
        return [value]
    if isinstance(value, list) and value and all(type(token) is int for token in value):
        return [value]
    return value


EmbeddingInput = Annotated[
    Annotated[Text, Tag("as string")]
    | Annotated[TokenIds, Tag("as tokens")]
    | Annotated[TextItem, Tag("as text")]
    | Annotated[ImageItem, Tag("as image")],
    Discriminator(_kind, custom_error_type="input", custom_error_message="expected a text, token ids or an image"),
]
SourceInput = Annotated[
    Annotated[Text, Tag("as string")]
    | Annotated[TextItem, Tag("as text")]
    | Annotated[ImageItem, Tag("as image")]
    | Annotated[VectorItem, Tag("as vector")],
    Discriminator(_kind, custom_error_type="input", custom_error_message="expected a text, an image or a vector"),
]
AnyInput = Annotated[
    Annotated[Text, Tag("as string")]
    | Annotated[TokenIds, Tag("as tokens")]
    | Annotated[TextItem, Tag("as text")]
    | Annotated[ImageItem, Tag("as image")]
    | Annotated[VectorItem, Tag("as vector")],
    Discriminator(
        _kind, custom_error_type="input", custom_error_message="expected a text, token ids, an image or a vector"
    ),
]
EmbeddingInputs = Annotated[
    NonEmptyList[EmbeddingInput],
    BeforeValidator(_as_list, json_schema_input_type=EmbeddingInput | TokenIds | list[EmbeddingInput]),
]
SourceInputs = Annotated[
    NonEmptyList[SourceInput],
    BeforeValidator(_as_list, json_schema_input_type=SourceInput | list[SourceInput]),
]
AnyInputs = Annotated[
    NonEmptyList[AnyInput],
    BeforeValidator(_as_list, json_schema_input_type=AnyInput | TokenIds | list[AnyInput]),
]

URL_SCHEMES = ("http://", "https://")
DATA_URI = re.compile(r"data:(image/|[\w.+-]+/[\w.+-]+;base64,)", re.IGNORECASE)


class InputReader:
    """Turns inputs from the wire into the domain's, within the limits of one request.

    `images` are what was fetched for the request, or why it was not; None where the server does not fetch.
    """

    def __init__(
        self,
        *,
        max_inputs: int,
        max_image_bytes: int,
        max_text_characters: int,
        images: Mapping[str, bytes | SimilaError] | None = None,
    ) -> None:
        self._max_inputs = max_inputs
        self._max_image_bytes = max_image_bytes
        self._max_text_characters = max_text_characters
        self._images = images

    def with_images(self, images: Mapping[str, bytes | SimilaError]) -> Self:
        return type(self)(
            max_inputs=self._max_inputs,
            max_image_bytes=self._max_image_bytes,
            max_text_characters=self._max_text_characters,
            images=images,
        )

    @property
    def max_inputs(self) -> int:
        return self._max_inputs

    def inputs(self, values: "Sequence[EmbeddingInput]") -> list[Input]:
        """Read the inputs of an embedding or classification request; errors name `input[position]`."""
        self.check_count(len(values))
        return [self._embeddable(value, position) for position, value in enumerate(values)]

    def inputs_or_errors(
        self, values: "Sequence[EmbeddingInput | SimilaError]", modality: Literal["text", "image"] | None = None
    ) -> list[Input | SimilaError]:
        """Like `inputs`, with the error of each input that cannot be read, or was malformed, in its place.

        Strings are of `modality`; where that is None, a data URI of an image is an image.
        """
        self.check_count(len(values))
        return list(self._each(_items_of(values, modality)))

    def sources(self, values: "Sequence[AnyInput]") -> list[Source]:
        """Read inputs that may be vectors too; errors name `input[position]`."""
        self.check_count(len(values))
        return [
            self.vector(value.vector, f"input[{position}].vector")
            if isinstance(value, VectorItem)
            else self._embeddable(value, position)
            for position, value in enumerate(values)
        ]

    def string(self, value: str, param: str) -> TextInput | ImageInput:
        """A data URI of an image, or a text."""
        return self.image(value, param) if DATA_URI.match(value) else self.text(value, param)

    def text(self, text: str, param: str) -> TextInput:
        if len(text) > self._max_text_characters:
            raise LimitExceeded(
                f"{param}: the text has {len(text)} characters, more than the limit of {self._max_text_characters}"
                " (SIMILA_LIMITS__MAX_TEXT_CHARACTERS)",
                param=param,
            )
        return TextInput(text)

    def image(self, encoded: str, param: str) -> ImageInput:
        """Decode base64, bare or as a data URI; or take what its URL led to."""
        if is_image_url(encoded):
            return self._fetched_image(encoded, param)
        header, comma, rest = encoded.partition(",") if encoded[:5].lower() == "data:" else ("", "", encoded)
        if header and not (comma and header.lower().endswith(";base64")):
            message = f"{param}: a data URI has the form data:image/png;base64,…"
            raise InvalidImage(message, param=param)
        self._check_image_bytes(len(rest) * 3 // 4 - 2, param)
        try:
            return ImageInput(_decoded(rest))
        except ValueError as error:
            raise InvalidImage(f"{param}: malformed base64: {error}", param=param) from error

    def vector(self, value: Sequence[float] | str, param: str) -> VectorInput:
        """Take numbers, or decode base64."""
        if not isinstance(value, str):
            return VectorInput(value)
        try:
            return VectorInput(np.frombuffer(_decoded(value), "<f4"))
        except ValueError as error:
            message = f"{param}: it is not the base64 of little-endian float32: {error}"
            raise InvalidVector(message, param=param) from error

    def image_file(self, data: bytes, param: str) -> ImageInput:
        """Take an image as it is."""
        self._check_image_bytes(len(data), param)
        return ImageInput(data)

    def check_count(self, inputs: int, param: str = "input") -> None:
        count_items(inputs)
        if inputs > self._max_inputs:
            message = f"{inputs} inputs are more than the limit of {self._max_inputs} (SIMILA_LIMITS__MAX_INPUTS)"
            raise LimitExceeded(message, param=param)

    def _fetched_image(self, url: str, param: str) -> ImageInput:
        if self._images is None:
            message = (
                f"{param}: fetching images by URL is off (SIMILA_FETCH__ENABLED);"
                " send the image as base64 or as a data URI"
            )
            raise InvalidImage(message, param=param)
        found = self._images.get(url)
        if found is None:
            raise InvalidImage(f"{param}: no URL is taken here; send the image as base64", param=param)
        if isinstance(found, SimilaError):
            raise type(found)(f"{param}: {found.message}", param=param)
        return ImageInput(found)

    def _check_image_bytes(self, size_bytes: int, param: str) -> None:
        if size_bytes > self._max_image_bytes:
            raise LimitExceeded(
                f"{param}: the image has about {size_bytes} bytes, more than the limit of"
                f" {self._max_image_bytes} (SIMILA_LIMITS__MAX_IMAGE_BYTES)",
                param=param,
            )

    def _each(self, values: "Sequence[EmbeddingInput | SimilaError]") -> Iterator[Input | SimilaError]:
        for position, value in enumerate(values):
            try:
                yield value if isinstance(value, SimilaError) else self._embeddable(value, position)
            except SimilaError as error:
                yield error

    def _embeddable(self, value: str | list[int] | TextItem | ImageItem, position: int) -> Input:
        if isinstance(value, str):
            return self.string(value, f"input[{position}]")
        if isinstance(value, ImageItem):
            return self.image(value.image, f"input[{position}].image")
        if isinstance(value, TextItem):
            return self.text(value.text, f"input[{position}].text")
        return TokensInput(tuple(value))


def is_image_url(value: Any) -> TypeGuard[str]:
    """Whether an image is not here but at a URL."""
    return isinstance(value, str) and value.startswith(URL_SCHEMES)


def _items_of(
    values: "Sequence[EmbeddingInput | SimilaError]", modality: Literal["text", "image"] | None
) -> "Sequence[EmbeddingInput | SimilaError]":
    if modality is None:
        return values
    return [_item_of(value, modality) if isinstance(value, str) else value for value in values]


def _item_of(value: str, modality: Literal["text", "image"]) -> TextItem | ImageItem:
    return TextItem(text=value) if modality == "text" else ImageItem(image=value)


def _decoded(encoded: str) -> bytes:
    """Decode base64. Line breaks, as `base64` prints them, are looked for only when it does not decode without."""
    try:
        return pybase64.b64decode(encoded, validate=True)
    except ValueError:
        return pybase64.b64decode("".join(encoded.split()), validate=True)
