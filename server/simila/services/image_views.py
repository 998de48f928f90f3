"""Vectors of images that are each seen in several views; what is no image is seen once."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from simila.classifiers.augmented_views import average_views
from simila.domain.errors import InvalidInput
from simila.domain.inputs import ImageInput, Source, View
from simila.domain.vectors import Float32
from simila.engine.encoder import Encoder
from simila.services.source_vectors import vectors_of


def check_views(views: Sequence[View]) -> None:
    """Check the views of a request.

    Raises:
        InvalidInput: one is named twice.

    """
    if len(set(views)) < len(views):
        raise InvalidInput("a view is named twice", param="views")


async def vectors_in_views(
    encoder: Callable[[], Encoder], dimension: int, sources: Sequence[Source], views: Sequence[View]
) -> tuple[Float32, int]:
    """Like `vectors_of`, the vector of an image being the direction of the mean of its views' (Lee et al. 2020).

    Without views, an image is seen as it is. Errors name `input[position]`.
    """
    images = [position for position, source in enumerate(sources) if views and isinstance(source, ImageInput)]
    names = [f"input[{position}]" for position in range(len(sources))]
    if not images:
        return await vectors_of(encoder, dimension, sources, names)
    others = [position for position in range(len(sources)) if position not in set(images)]
    seen = [_seen(sources[position], view) for view in views for position in images]
    embedded, tokens = await vectors_of(
        encoder,
        dimension,
        [*seen, *(sources[position] for position in others)],
        [*(names[position] for _ in views for position in images), *(names[position] for position in others)],
    )
    vectors = np.empty((len(sources), dimension), dtype=np.float32)
    vectors[images] = average_views(embedded[: len(seen)].reshape(len(views), len(images), dimension))
    vectors[others] = embedded[len(seen) :]
    return vectors, tokens


def _seen(source: Source, view: View) -> Source:
    return replace(source, view=view) if isinstance(source, ImageInput) else source
