"""Request bodies that come compressed."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import zstandard

from api.conftest import serving
from api.wire import embed, error, vectors
from simila.settings import LimitSettings, Settings

pytestmark = pytest.mark.protocol("Compressed requests")

MAX_DECOMPRESSED_BYTES = 100_000
BODY = {"model": "all-minilm-l6-v2", "input": ["one", "two"]}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.fixture(scope="module")
def small(data_folder: Callable[[], Path]) -> Iterator[httpx.Client]:
    """A server that unpacks no more than a little."""
    limits = LimitSettings(max_decompressed_bytes=MAX_DECOMPRESSED_BYTES)
    settings = Settings(data_dir=data_folder(), limits=limits, encoders=("all-minilm-l6-v2",))
    with serving(settings) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def send(api: httpx.Client, content: bytes, coding: str) -> httpx.Response:
    headers = {"content-type": "application/json", "content-encoding": coding}
    return api.post("/v1/embeddings", content=content, headers=headers)


def padded(size_bytes: int) -> bytes:
    """The request, with white space up to a size."""
    return json.dumps(BODY).encode().ljust(size_bytes)


@pytest.mark.parametrize("coding", PACKERS)
def test_the_answer_is_that_to_the_plain_body(small: httpx.Client, coding: str) -> None:
    response = send(small, PACKERS[coding](padded(MAX_DECOMPRESSED_BYTES)), coding)
    assert response.status_code == httpx.codes.OK, response.text
    assert np.array_equal(vectors(response.json()), vectors(embed(small, **BODY_ARGUMENTS)))


BODY_ARGUMENTS = {"model": BODY["model"], "inputs": BODY["input"]}


def test_a_zstd_frame_need_not_say_its_size(small: httpx.Client) -> None:
    packer = zstandard.ZstdCompressor().compressobj()
    content = packer.compress(padded(1000)) + packer.flush()
    assert send(small, content, "zstd").status_code == httpx.codes.OK


def test_a_form_may_be_compressed(small: httpx.Client) -> None:
    plain = small.build_request("POST", "/v1/embeddings", data={"model": BODY["model"]}, files={"input": (None, "one")})
    headers = {"content-type": plain.headers["content-type"], "content-encoding": "gzip"}
    response = small.post("/v1/embeddings", content=gzip.compress(plain.read()), headers=headers)
    assert response.status_code == httpx.codes.OK, response.text


@pytest.mark.parametrize("coding", PACKERS)
def test_a_bomb_stops_at_the_limit(small: httpx.Client, coding: str) -> None:
    response = send(small, PACKERS[coding](padded(50_000_000)), coding)
    assert response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    assert (
        f"limit of {MAX_DECOMPRESSED_BYTES} bytes (SIMILA_LIMITS__MAX_DECOMPRESSED_BYTES)" in error(response)["message"]
    )


def test_gzip_may_have_several_members(small: httpx.Client) -> None:
    body = json.dumps(BODY).encode()
    content = b"".join(gzip.compress(part) for part in (b"", body[:9], body[9:], b""))
    assert np.array_equal(vectors(send(small, content, "gzip").json()), vectors(embed(small, **BODY_ARGUMENTS)))


@pytest.mark.parametrize("coding", PACKERS)
@pytest.mark.parametrize("spoil", [lambda body: body[:-5], lambda body: b"x" + body, lambda _: b"{}"])
def test_what_is_damaged_is_refused(small: httpx.Client, coding: str, spoil: Callable[[bytes], bytes]) -> None:
    response = send(small, spoil(PACKERS[coding](padded(1000))), coding)
    assert response.status_code == httpx.codes.BAD_REQUEST
    assert f"the body is no sound {coding}" in error(response)["message"]


def test_an_encoding_that_is_not_read_is_named_with_those_that_are(small: httpx.Client) -> None:
    response = send(small, b"", "br")
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "gzip, deflate, zstd")
    assert send(small, json.dumps(BODY).encode(), "identity").status_code == httpx.codes.OK
