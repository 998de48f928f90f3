"""Images of any number of bands, 8 or 16 bits deep, as satellites and scanners make them: NumPy's .npy, or TIFF."""

import io
from collections.abc import Sequence

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from simila.domain.errors import InvalidImage, LimitExceeded
from simila.domain.inputs import View
from simila.domain.manifest import ImageTower
from simila.preprocessing.images import ImageRow, check_size, resize_and_crop
from simila.preprocessing.views import seen_as

_NPY = b"\x93NUMPY"
_UNCOMPRESSED = tifffile.COMPRESSION.NONE


def band_rows(data: bytes, tower: ImageTower, *, max_pixels: int, views: Sequence[View]) -> list[ImageRow]:
    """Read an array of bands, look at it in `views`, scale and crop: rows of `tower.row_shape` and `tower.row_dtype`.

    The array is `[height, width, channels]` or `[channels, height, width]`; of one channel it may be `[height, width]`.
    Bands are scaled as floats and rounded once.

    Raises:
        LimitExceeded: its header declares more than `max_pixels`, or too long an edge; nothing is read then.
        InvalidImage: it is no .npy and no uncompressed TIFF of the encoder's channels and bits.

    """
    try:
        bands = _bands(_npy(data) if data.startswith(_NPY) else _tiff(data), tower)
    except (LimitExceeded, InvalidImage):
        raise
    except Exception as error:  # readers raise whatever hostile bytes make them raise
        raise InvalidImage(f"not a NumPy array (.npy) and not a TIFF: {error}") from error
    check_size(bands.shape[2], bands.shape[1], max_pixels)
    pictures = [Image.fromarray(band.astype(np.float32)) for band in bands]
    return [_row(pictures, view, tower) for view in views]


def _row(pictures: Sequence[Image.Image], view: View, tower: ImageTower) -> ImageRow:
    scaled = np.stack([resize_and_crop(seen_as(picture, view), tower) for picture in pictures])
    row: ImageRow = np.clip(np.rint(scaled), 0, 2**tower.bits - 1).astype(tower.row_dtype)
    return row


def _npy(data: bytes) -> NDArray[np.generic]:
    array: NDArray[np.generic] = np.load(io.BytesIO(data), allow_pickle=False)  # as long as its bytes, never longer
    return array


def _tiff(data: bytes) -> NDArray[np.generic]:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        series = file.series[0]
        for page in series.pages:
            if page is not None and page.keyframe is not None and page.keyframe.compression != _UNCOMPRESSED:
                # Its decoders write as much as a hostile file tells them to.
                raise InvalidImage("the TIFF is compressed; send it uncompressed, or as .npy")
        if series.size > len(data):
            raise InvalidImage("the TIFF declares more than it holds")
        array: NDArray[np.generic] = series.asarray()
    return array


def _bands(array: NDArray[np.generic], tower: ImageTower) -> NDArray[np.generic]:
    """The array as `[channels, height, width]`."""
    if array.dtype.newbyteorder("=") != np.dtype(tower.row_dtype):
        raise InvalidImage(f"the array is of {array.dtype}; this encoder takes {tower.row_dtype}")
    if array.ndim == 2 and tower.channels == 1:
        return array[None]
    if array.ndim == 3 and array.shape[2] == tower.channels:
        return array.transpose(2, 0, 1)
    if array.ndim == 3 and array.shape[0] == tower.channels:
        return array
    raise InvalidImage(f"the array is of shape {list(array.shape)}; this encoder takes {tower.channels} channels")
