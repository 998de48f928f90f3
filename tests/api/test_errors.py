"""Bad input: a 4xx that names the item and the limit, and a server that serves the next request."""

import io
import json
import socket
import struct
import time
import zlib

import httpx
import pytest
from PIL import Image

from api.conftest import MAX_BODY_BYTES
from api.wire import b64, embed, error


def png_that_declares(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def truncated_jpeg() -> bytes:
    encoded = io.BytesIO()
    Image.effect_noise((200, 200), 50).save(encoded, "JPEG")
    return encoded.getvalue()[:2000]


CASES = {
    "an unknown encoder": ({"model": "nope", "input": "a"}, 404, "model", "unknown encoder 'nope'; served here: all-"),
    "no model": ({"input": "a"}, 400, "model", "is missing"),
    "no input": ({"model": "simila-lite"}, 400, "input", "is missing"),
    "an empty list": ({"input": []}, 400, "input", "must not be empty"),
    "an empty text": ({"input": ["a", ""]}, 400, "input[1]", "must not be empty"),
    "an empty text object": ({"input": [{"text": ""}]}, 400, "input[0].text", "must not be empty"),
    "empty token ids": ({"input": [[1, 2], []]}, 400, "input[1]", "must not be empty"),
    "a number": ({"input": 3}, 400, "input", "valid list"),
    "null in a list": ({"input": ["a", None]}, 400, "input[1]", "valid string"),
    "an unknown key": ({"input": [{"txt": "a"}]}, 400, "input[0].text", "is missing"),
    "a vector": ({"input": [{"vector": [1.0]}]}, 400, "input[0]", "expected a text, token ids or an image"),
    "an unknown field": ({"input": "a", "dimension": 3}, 400, "dimension", "no field of this request"),
    "a lone surrogate": ({"input": ["a", "\ud800"]}, 400, "input[1]", "surrogates"),
    "an unknown encoding": ({"input": "a", "encoding_format": "hex"}, 400, "encoding_format", "'float' or 'base64'"),
    "no dimensions": ({"input": "a", "dimensions": 0}, 400, "dimensions", "greater than or equal to 1"),
    "too many dimensions": ({"input": "a", "dimensions": 385}, 400, "dimensions", "have 384"),
    "a token id past the vocabulary": ({"input": [[99999]]}, 400, "input[0]", "vocabulary of 30522 tokens"),
    "a negative token id": ({"input": [[-1]]}, 400, "input[0]", "token -1 at position 0"),
    "a text too long to keep": (
        {"input": ["a", "b " * 400], "truncate": False},
        422,
        "input[1]",
        "context length of 256",
    ),
    "too long a text": ({"input": ["a " * 60_000]}, 413, "input[0]", "SIMILA_LIMITS__MAX_TEXT_CHARACTERS"),
    "too many inputs": ({"input": ["a"] * 65}, 413, "input", "limit of 64 (SIMILA_LIMITS__MAX_INPUTS)"),
    "an image for a text encoder": (
        {"model": "all-minilm-l6-v2", "input": ["a", {"image": b64(png_that_declares(1, 1))}]},
        422,
        "input[1]",
        "encoder all-minilm-l6-v2 embeds texts, not images",
    ),
    "a text for an image encoder": (
        {"model": "efficientnet-lite0", "input": ["a"]},
        422,
        "input[0]",
        "embeds images, not texts",
    ),
    "no image": ({"input": [{"image": b64(b"hello")}]}, 400, "input[0]", "not an image of an accepted format (JPEG, "),
    "a truncated image": ({"input": ["a", {"image": b64(truncated_jpeg())}]}, 400, "input[1]", "truncated"),
    "a giant image": (
        {"input": [{"image": b64(png_that_declares(40_000, 40_000))}]},
        413,
        "input[0]",
        "40000 x 40000 pixels, more than the limit of 50000000 pixels (SIMILA_LIMITS__MAX_IMAGE_PIXELS)",
    ),
    "malformed base64": ({"input": [{"image": "a*b"}]}, 400, "input[0].image", "malformed base64"),
    "half a data URI": ({"input": ["data:image/png,abc"]}, 400, "input[0]", "data:image/png;base64"),
    "a URL": ({"input": [{"image": "http://127.0.0.1/a.png"}]}, 400, "input[0].image", "fetching images by URL is off"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(api: httpx.Client, case: str) -> None:
    change, status, param, words = CASES[case]
    body = change if case == "no model" else {"model": "simila-lite", **change}
    response = api.post("/v1/embeddings", content=json.dumps(body), headers={"content-type": "application/json"})
    detail = error(response)
    assert (response.status_code, detail["param"], detail["type"]) == (status, param, "invalid_request_error")
    assert words in detail["message"]
    assert len(embed(api, "simila-lite", "next")["data"]) == 1


def test_every_bad_input_of_a_request_is_named(api: httpx.Client) -> None:
    bad = {"image": b64(b"hello")}
    response = api.post("/v1/embeddings", json={"model": "simila-lite", "input": ["a", bad, "b", bad]})
    assert error(response)["message"].count("not an image") == 2
    assert "input[1]: " in error(response)["message"]
    assert "input[3]: " in error(response)["message"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"model": }', "not valid JSON: Expecting value at character 10"),
        (b"", "not a JSON object"),
        (b"[1]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"\x80"', "parsing the body"),
        (b"[" * 100_000, "nested too deep to be read: more than 200 levels"),
        (b'{"input": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deep to be read: more than 200 levels"),
    ],
)
def test_malformed_json(api: httpx.Client, content: bytes, words: str) -> None:
    response = api.post("/v1/embeddings", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert words in error(response)["message"]


def test_json_that_another_parser_finds_too_deep_is_told_alike(api: httpx.Client) -> None:
    body = b'{"inputs": ' + b"[" * 201 + b"]" * 201 + b"}"
    response = api.post("/v2/models/simila-lite/infer", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"].startswith("the body is nested too deep to be read: more than 200 levels")


def test_json_of_another_content_type(api: httpx.Client) -> None:
    response = api.post("/v1/embeddings", content=b"{}", headers={"content-type": "text/plain"})
    assert (response.status_code, error(response)["code"]) == (400, "invalid_json")
    assert "content-type: application/json" in error(response)["message"]


def body_of(size_bytes: int) -> bytes:
    return b'{"model": "' + b"x" * (size_bytes - 13) + b'"}'


def test_a_body_at_the_limit_is_read(api: httpx.Client) -> None:
    response = api.post("/v1/embeddings", content=body_of(MAX_BODY_BYTES), headers={"content-type": "application/json"})
    assert (response.status_code, error(response)["param"]) == (400, "input")


def test_a_body_10_mb_over_the_limit_is_refused(api: httpx.Client) -> None:
    response = api.post("/v1/embeddings", content=body_of(MAX_BODY_BYTES + 10_000_000))
    assert response.status_code == 413
    assert f"limit of {MAX_BODY_BYTES} bytes (SIMILA_LIMITS__MAX_BODY_BYTES)" in error(response)["message"]


def test_a_body_of_undeclared_length_is_refused_too(api: httpx.Client) -> None:
    chunks = (b" " * 100_000 for _ in range(100))
    response = api.post("/v1/embeddings", content=chunks, headers={"content-type": "application/json"})
    assert response.status_code == 413
    assert "SIMILA_LIMITS__MAX_BODY_BYTES" in error(response)["message"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nope", 404), ("DELETE", "/v1/models", 405)])
def test_no_such_route(api: httpx.Client, method: str, path: str, status: int) -> None:
    response = api.request(method, path)
    assert response.status_code == status
    assert path in error(response)["message"]


def test_a_web_page_that_calls_itself_127_0_0_1_is_refused(api: httpx.Client) -> None:
    response = api.get("/v1/models", headers={"host": "evil.example:8000"})
    assert (response.status_code, error(response)["code"]) == (400, "unknown_host")
    assert "'evil.example:8000' (SIMILA_ALLOWED_HOSTS)" in error(response)["message"]


@pytest.mark.parametrize("hosts", [(), ("localhost", "localhost"), ("localhost", "evil.example")])
def test_a_request_names_one_host(api: httpx.Client, hosts: tuple[str, ...]) -> None:
    with socket.create_connection((api.base_url.host, api.base_url.port), timeout=60) as connection:
        named = "".join(f"host: {host}\r\n" for host in hosts)
        connection.sendall(f"GET /healthz HTTP/1.1\r\n{named}connection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert f"one header 'Host'; this one has {len(hosts)}".encode() in answer


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]", "[::1]:8000"])
def test_the_names_of_this_machine_are_known(api: httpx.Client, host: str) -> None:
    assert api.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("body", [{"model": "\ud800", "input": "a"}, {"input": "a", "\ud800": 1}])
def test_what_is_no_unicode_can_be_told_all_the_same(api: httpx.Client, body: dict) -> None:
    content = json.dumps({"model": "simila-lite", **body})
    response = api.post("/v1/embeddings", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert error(response)["code"] == "invalid_request"


def test_a_message_does_not_repeat_all_that_was_sent(api: httpx.Client) -> None:
    response = api.post("/v1/embeddings", json={"model": "simila-lite", "input": "a", "x" * 1_000_000: 1})
    assert len(response.content) < 10_000


@pytest.mark.parametrize("option", [{"dimensions": True}, {"dimensions": "3"}, {"truncate": "yes"}])
def test_types_are_not_guessed(api: httpx.Client, option: dict) -> None:
    response = api.post("/v1/embeddings", json={"model": "simila-lite", "input": "a", **option})
    assert (response.status_code, error(response)["param"]) == (400, *option)


def test_only_the_first_error_of_many_is_looked_for(api: httpx.Client) -> None:
    began_at = time.process_time()
    response = api.post("/v1/embeddings", json={"model": "simila-lite", "input": [None] * 300_000})
    assert (response.status_code, error(response)["param"]) == (400, "input[0]")
    assert time.process_time() - began_at < 2, "of the cores, in the client and in the server"
