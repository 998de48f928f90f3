"""A text, an image or a vector, each under a name of its own: what items are of and what searches are by."""

from pydantic import BaseModel

from simila.api.schemas.base import RequestBody, Text
from simila.api.schemas.inputs import InputReader, Vector
from simila.domain.inputs import Source


class OneSource(RequestBody):
    text: Text | None = None
    image: Text | None = None
    vector: Vector | None = None

    def source(self, reader: InputReader, place: str) -> Source:
        """Read the one that is given; errors name it with `place` before."""
        if self.text is not None:
            return reader.text(self.text, f"{place}text")
        if self.image is not None:
            return reader.image(self.image, f"{place}image")
        return reader.vector(self.vector or [], f"{place}vector")


def check_exactly_one(body: BaseModel, names: tuple[str, ...]) -> None:
    """Check that one of these fields is given.

    Raises:
        ValueError: for pydantic to put into its error.

    """
    given = [name for name in names if getattr(body, name) is not None]
    if len(given) != 1:
        raise ValueError(f"give exactly one of {', '.join(names)}; got {', '.join(given) or 'none'}")
