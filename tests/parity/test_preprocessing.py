"""Pixels and token ids are those of transformers' CLIP image processor and fast tokenizer."""

from io import BytesIO

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps
from skimage import data
from skimage.util import img_as_ubyte
from transformers import PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from simila.domain.manifest import Modality
from simila.preprocessing.images import image_row
from simila.preprocessing.texts import TextTokenizer
from simila_models.catalogue import bundled_manifests
from tolerances import MOST_ROUNDED_PIXELS, ROUNDED_GREY_LEVELS

MAX_PIXELS = 50_000_000
RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
COFFEE = Image.fromarray(data.coffee())  # 600 x 400
CHELSEA = Image.fromarray(data.chelsea())  # 451 x 300
ALPHA = CHELSEA.convert("L").point(lambda grey: max(0, 2 * grey - 200))
STRETCHED = Image.fromarray(data.rocket()).resize((3000, 2000))


def encoded(image, kind="PNG", **options):
    buffer = BytesIO()
    image.copy().save(buffer, kind, **options)  # Pillow leaves one format's options on what it has saved
    return buffer.getvalue()


def with_alpha(mode):
    image = CHELSEA.convert("RGB" if mode == "RGBA" else "L")
    return Image.merge(mode, (*image.split(), ALPHA))


def turned(orientation, kind):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return encoded(COFFEE, kind, exif=exif)


IMAGES = {
    "landscape.jpg": encoded(COFFEE, "JPEG"),
    "portrait.jpg": encoded(CHELSEA.rotate(90, expand=True), "JPEG"),
    "odd-sides.png": encoded(CHELSEA.crop((0, 0, 257, 299))),
    "already-its-size.png": encoded(CHELSEA.crop((0, 0, 256, 256))),
    "enlarged.png": encoded(CHELSEA.resize((37, 23))),
    **{f"turned-{value}.jpg": turned(value, "JPEG") for value in range(1, 9)},
    **{f"turned-{value}.png": turned(value, "PNG") for value in range(1, 9)},
    "turned-6.webp": turned(6, "WEBP"),
    "turned-6.tiff": turned(6, "TIFF"),
    "palette.png": encoded(CHELSEA.quantize(32)),
    "palette-with-a-transparent-colour.png": encoded(CHELSEA.quantize(32), transparency=3),
    "palette-with-alphas.png": encoded(CHELSEA.quantize(32), transparency=bytes(range(0, 256, 8))),
    "rgb-with-a-transparent-colour.png": encoded(COFFEE, transparency=COFFEE.getpixel((300, 200))),
    "rgba.png": encoded(with_alpha("RGBA")),
    "rgba.webp": encoded(with_alpha("RGBA"), "WEBP", lossless=True),
    "grey-and-alpha.png": encoded(with_alpha("LA")),
    "cmyk.jpg": encoded(CHELSEA.convert("CMYK"), "JPEG"),
    "cmyk.tiff": encoded(CHELSEA.convert("CMYK"), "TIFF"),
    "ycbcr.tiff": encoded(CHELSEA.convert("YCbCr"), "TIFF"),
    "grey.jpg": encoded(CHELSEA.convert("L"), "JPEG"),
    "one-bit.png": encoded(CHELSEA.convert("1")),
    "progressive.jpg": encoded(CHELSEA, "JPEG", progressive=True),
    "animated.gif": encoded(CHELSEA, "GIF", save_all=True, append_images=[COFFEE.resize(CHELSEA.size)]),
    "animated.webp": encoded(CHELSEA, "WEBP", save_all=True, append_images=[COFFEE.resize(CHELSEA.size)]),
    "pages.tiff": encoded(CHELSEA, "TIFF", save_all=True, append_images=[COFFEE]),
    "photo.webp": encoded(COFFEE, "WEBP"),
    "photo.tiff": encoded(COFFEE, "TIFF"),
    "photo.bmp": encoded(COFFEE, "BMP"),
    "one-pixel.png": encoded(CHELSEA.crop((200, 100, 201, 101))),
    "large.jpg": encoded(STRETCHED, "JPEG"),
    "tall.jpg": encoded(STRETCHED.crop((0, 0, 400, 711)), "JPEG"),
    "taller.jpg": encoded(STRETCHED.crop((1500, 0, 1900, 1900)), "JPEG"),
    "tall-and-almost-its-width.png": encoded(STRETCHED.crop((1500, 0, 1750, 1900))),
    "wide-sliver.png": encoded(CHELSEA.crop((0, 150, 300, 151))),
    "tall-sliver.png": encoded(CHELSEA.crop((200, 0, 201, 300))),
    "banner.png": encoded(STRETCHED.crop((0, 900, 3000, 980))),
}
UGLY_TEXTS = [
    "A plain sentence about a red bicycle leaning on a wall.",
    "",
    "   \n\t ",
    "Great 👍🏽 party 🎉 with the family 👨‍👩‍👧 in 🇫🇷!",
    "القطة تنام على السجادة قرب النافذة",
    "החתול ישן על השטיח ליד החלון",
    "一只猫睡在窗边的地毯上。",
    "bell\x07 null\x00 escape\x1b[0m zero\u200bwidth \ufeffmark \ufffd",
    "[CLS] a text that spells [SEP] special tokens [MASK] [PAD]",
    "Crème brûlée, naïve façade, ﬁne ½ Ångström A\u030a",
    "a" * 100_000,
    " ".join(f"word{number}" for number in range(600)),
    " ".join(["cat"] * 254),
    " ".join(["cat"] * 255),
]


@pytest.fixture(params=["bicubic", "bilinear"])
def interpolation(request):
    return request.param


@pytest.fixture(params=["efficientnet-lite0", "efficientnet-lite2"])
def tower(request, interpolation):
    return bundled_manifests()[request.param].image.model_copy(update={"interpolation": interpolation})


def reference_row(image, tower):
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": tower.resize_shorter_edge_pixels},
        crop_size={"height": tower.size_pixels, "width": tower.size_pixels},
        resample=RESAMPLING[tower.interpolation],
        do_rescale=False,
        do_normalize=False,
    )
    return np.asarray(processor(images=image)["pixel_values"][0])


def reference_row_of_file(content, tower):
    return reference_row(ImageOps.exif_transpose(Image.open(BytesIO(content))), tower)


def assert_rounded_alike(row, reference):
    """All pixels are the reference's, but for a few that another rounding of the box moves by a grey level or two."""
    assert row.dtype == np.uint8
    differences = np.abs(row.astype(int) - reference)
    assert differences.max() <= ROUNDED_GREY_LEVELS
    assert np.mean(differences > 0) <= MOST_ROUNDED_PIXELS


@pytest.mark.parametrize("name", IMAGES)
def test_pixels_are_the_reference(name, tower):
    row = image_row(IMAGES[name], tower, max_pixels=MAX_PIXELS)
    assert_rounded_alike(row, reference_row_of_file(IMAGES[name], tower))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_what_scikit_image_makes_of_it(kind, tower):
    grey = np.asarray(CHELSEA.convert("L")).astype(np.uint16)
    sixteen_bit = grey * 256 + grey[::-1]
    row = image_row(encoded(Image.fromarray(sixteen_bit), kind), tower, max_pixels=MAX_PIXELS)
    assert_rounded_alike(row, reference_row(Image.fromarray(img_as_ubyte(sixteen_bit)), tower))


def test_sixteen_bit_grey_of_the_other_byte_order(tower):
    grey = np.asarray(CHELSEA.convert("L")).astype(np.uint16)
    sixteen_bit = grey * 256 + grey[::-1]
    big_endian = Image.frombytes("I;16B", CHELSEA.size, sixteen_bit.astype(">u2").tobytes())
    row = image_row(encoded(big_endian, "TIFF"), tower, max_pixels=MAX_PIXELS)
    assert_rounded_alike(row, reference_row(Image.fromarray(img_as_ubyte(sixteen_bit)), tower))


@pytest.fixture(scope="module")
def tokenizer_file(exported_repository):
    return exported_repository.tower("all-minilm-l6-v2", Modality.TEXT).tokenizer


@pytest.mark.parametrize("context_length", [8, 256])
@pytest.mark.parametrize("text", UGLY_TEXTS, ids=range(len(UGLY_TEXTS)))
def test_token_ids_equal_the_reference(text, context_length, tokenizer_file):
    reference = PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_file))
    cut = reference(text, truncation=True, max_length=context_length)["input_ids"]
    whole = reference(text, truncation=False)["input_ids"]
    (row,) = TextTokenizer(tokenizer_file, context_length).rows_of_texts([text])
    assert list(row.ids) == cut
    assert row.tokens == len(whole)
    assert row.truncated == (len(whole) > context_length)
