"""Encoders of many bands, from a checkpoint's own configuration to vectors, against torch's interpolation and model."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate
from transformers import ResNetConfig, ResNetModel
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

from added_encoder import lowest_cosine
from simila.app import load_encoders
from simila.domain.errors import InvalidImage, LimitExceeded
from simila.domain.inputs import ImageInput
from simila.domain.manifest import ImageTower, Manifest, Modality
from simila.domain.model_repository import ModelRepository
from simila.engine.encoder import canary
from simila.preprocessing.bands import band_rows
from simila.settings import Settings
from simila_models.additions import Addition, add_encoder
from simila_models.progress import Silent
from tolerances import PARITY_COSINE, ROUNDED_BAND_LEVELS

BANDS = 5
MAX_PIXELS = 1_000_000
MEAN, STD = [0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 0.15, 0.2, 0.25, 0.3]
TOWER = ImageTower(
    size_pixels=32,
    resize_shorter_edge_pixels=40,
    interpolation="bicubic",
    channels=BANDS,
    bits=16,
    mean=tuple(MEAN),
    std=tuple(STD),
    pooling="model",
)


def array(height: int, width: int, seed: int = 0) -> NDArray[np.uint16]:
    """Blotches of several sizes: uint16 [height, width, BANDS]."""
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.uniform(0, 65535, (1, BANDS, height // 7 + 2, width // 7 + 2)))
    smooth = interpolate(coarse, (height, width), mode="bilinear")[0].permute(1, 2, 0).numpy()
    return np.clip(smooth + random.normal(0, 900, smooth.shape), 0, 65535).astype(np.uint16)


ARRAYS = [array(90, 200), array(301, 77, 1), array(40, 40, 2), array(23, 37, 3)]


def npy(values: NDArray[Any]) -> bytes:
    buffer = BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def tiff(values: NDArray[Any], **options: Any) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, values, photometric="minisblack", **options)
    return buffer.getvalue()


def reference_row(values: NDArray[np.uint16]) -> torch.Tensor:
    height, width = values.shape[:2]
    scaled = (40, int(40 * width / height)) if height <= width else (int(40 * height / width), 40)
    bands = torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)[None]
    whole = interpolate(bands, scaled, mode="bicubic", antialias=True)[0].clamp(0, 65535)
    top, left = (scaled[0] - 32) // 2, (scaled[1] - 32) // 2
    return whole[:, top : top + 32, left : left + 32]


def row(data: bytes) -> NDArray[Any]:
    [only] = band_rows(data, TOWER, max_pixels=MAX_PIXELS, views=("plain",))
    return only


def test_rows_are_torchs(record_property: Any) -> None:
    largest = 0.0
    for values in ARRAYS:
        served = row(npy(values))
        assert (served.dtype, served.shape) == (np.uint16, (BANDS, 32, 32))
        largest = max(largest, float(np.abs(served - reference_row(values).numpy()).max()))
    record_property("largest difference, of 65536 levels", largest)
    assert largest <= ROUNDED_BAND_LEVELS


@pytest.mark.parametrize(
    "encoded",
    [
        npy(ARRAYS[0].transpose(2, 0, 1)),
        npy(ARRAYS[0].astype(">u2")),
        tiff(ARRAYS[0], planarconfig="contig"),
        tiff(ARRAYS[0].transpose(2, 0, 1), planarconfig="separate"),
        tiff(ARRAYS[0].transpose(2, 0, 1)),
    ],
    ids=["bands-first", "big-endian", "tiff", "tiff-of-planes", "tiff-of-pages"],
)
def test_every_layout_is_the_same_image(encoded: bytes) -> None:
    np.testing.assert_array_equal(row(encoded), row(npy(ARRAYS[0])))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (npy(ARRAYS[0].astype(np.uint8)), "the array is of uint8; this encoder takes uint16"),
        (npy(ARRAYS[0][:, :, :4]), r"the array is of shape \[90, 200, 4\]; this encoder takes 5 channels"),
        (npy(np.array([{}])), "not a NumPy array"),
        (npy(ARRAYS[0])[:-1], "not a NumPy array"),
        (tiff(ARRAYS[0], compression="zlib"), "the TIFF is compressed; send it uncompressed"),
        (b"GIF89a", "not a NumPy array"),
        (b"", "not a NumPy array"),
    ],
)
def test_what_is_no_image_of_these_bands_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InvalidImage, match=message):
        row(data)


def test_too_many_pixels_are_refused() -> None:
    with pytest.raises(LimitExceeded, match="SIMILA_LIMITS__MAX_IMAGE_PIXELS"):
        band_rows(npy(ARRAYS[0]), TOWER, max_pixels=17_999, views=("plain",))


def test_readiness_is_checked_with_one_pixel_of_these_bands() -> None:
    table = {"name": "bands", "description": "", "family": "none", "licence": "MIT", "dimension": 3, "image": TOWER}
    files = [{"role": "weights", "source": "file:.", "path": "weights", "sha256": "0" * 64}]
    pixel = canary(Manifest.model_validate(table | {"files": files}), Modality.IMAGE)
    assert isinstance(pixel, ImageInput)
    assert row(pixel.data).shape == (BANDS, 32, 32)


def test_a_checkpoint_of_many_bands_is_added_and_served(tmp_path: Path) -> None:
    manifest, cosine = compared_with_transformers(tmp_path)
    assert manifest.image == TOWER
    assert cosine >= PARITY_COSINE
    [status] = load_encoders(Settings(data_dir=tmp_path), [manifest])
    assert status.error is None


def compared_with_transformers(folder: Path) -> tuple[Manifest, float]:
    """Add a checkpoint of many bands; the lowest cosine to its library's vectors."""
    torch.manual_seed(0)
    config = ResNetConfig(
        num_channels=BANDS, embedding_size=16, hidden_sizes=[16, 24], depths=[1, 1], layer_type="basic"
    )
    model = ResNetModel(config).eval()
    model.save_pretrained(folder / "sentinel")
    BitImageProcessorPil(
        size={"shortest_edge": 40}, crop_size=32, image_mean=MEAN, image_std=STD, rescale_factor=1 / 65535
    ).save_pretrained(folder / "sentinel")
    repository = ModelRepository(folder / "models")
    addition = Addition(str(folder / "sentinel"))
    manifest = add_encoder(addition, folder / "manifests", repository, folder / "sources", Silent())

    mean, std = (torch.tensor(values).reshape(1, -1, 1, 1) for values in (MEAN, STD))
    pixels = torch.stack([reference_row(values) for values in ARRAYS])
    with torch.no_grad():
        reference = model((pixels / 65535 - mean) / std).pooler_output.flatten(1)
    rows = np.stack([row(npy(values)) for values in ARRAYS])
    files = repository.exported_tower(manifest, Modality.IMAGE)
    return manifest, lowest_cosine(run(files.onnx, rows), reference)


def run(onnx: Path, rows: NDArray[Any]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["embedding"], {"pixels": rows})[0])
