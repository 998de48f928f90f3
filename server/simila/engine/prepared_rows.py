"""Texts and images as a tower's graph takes them, for those who run graphs without a server."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simila.domain.errors import SimilaError
from simila.domain.manifest import Manifest, Modality
from simila.domain.model_repository import TowerFiles
from simila.preprocessing.images import image_row
from simila.preprocessing.texts import TextTokenizer

MAX_IMAGE_PIXELS = 100_000_000


def prepared_rows(
    manifest: Manifest, modality: Modality, files: TowerFiles, inputs: Sequence[str | bytes]
) -> list[Mapping[str, NDArray[Any]]]:
    """Each input as a batch of one, by the names of the graph's inputs.

    Raises:
        SimilaError: an input cannot be read, or the tokenizer cannot.

    """
    if modality is Modality.IMAGE:
        tower = manifest.image
        assert tower
        images = (entry for entry in inputs if isinstance(entry, bytes))
        return [{tower.input_name: image_row(data, tower, max_pixels=MAX_IMAGE_PIXELS)[None]} for data in images]
    text = manifest.text
    assert text
    tokenizer = TextTokenizer(files.tokenizer, text.context_length_tokens)
    rows: list[Mapping[str, NDArray[Any]]] = []
    for row in tokenizer.rows_of_texts([entry for entry in inputs if isinstance(entry, str)]):
        if isinstance(row, SimilaError):
            raise row
        ids = np.array([row.ids], dtype=np.int64)
        rows.append({text.ids_name: ids, text.mask_name: np.ones_like(ids)})
    return rows
