"""Requests to every route whose contents can be found again wherever they end up."""

import base64
import io
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from api.story import told
from simila.api.openapi_examples import EXAMPLES, GREY_PIXEL, JOINT, Example

MARK = "zqxvmark"
# Names that a server gives or was given to be called by, words of a protocol, and base64.
UNMARKED = {"model", "encoder", "method", "modality", "datatype", "name", "alias", "key", "classifier_id", "version"}
DESCRIPTION_TAG = 270
WITH_BODIES = ("POST", "PUT", "PATCH")


def marked_story() -> list[Example]:
    """The examples, with the mark in every text, label, id and payload."""
    return [
        replace(one, path=_marked(one.path), body=_marked(one.body), query=_marked(one.query, is_query=True))
        for one in EXAMPLES
    ]


def send_good(api: httpx.Client) -> None:
    """What is answered: the story, and images of each way to send them."""
    for example, response in told(api, marked_story()):
        assert response.is_success, (example.operation, response.text)
    for content, media_type in ((marked_png(), "image/png"), (marked_tiff(), "image/tiff")):
        headers = {"content-type": media_type}
        assert api.post("/v1/embeddings", params={"model": JOINT}, content=content, headers=headers).is_success
    files = {"image": (f"{MARK}.png", marked_png(), "image/png")}
    assert api.post("/v1/embeddings", data={"model": JOINT}, files=files).is_success


def send_bad(api: httpx.Client, operations: list[str]) -> None:
    """What is refused: on each route a wrong key and host, and in each way contents that make no sense."""
    cut = marked_png()[:-30]
    table = pa.table({MARK: [MARK]})
    with io.BytesIO() as buffer:
        with pa.ipc.new_stream(buffer, table.schema) as stream:
            stream.write_table(table)
        arrow = buffer.getvalue()
    bodies = [
        {"json": {"model": JOINT, MARK: MARK}},
        {"json": {"model": MARK, "input": MARK, "text": MARK, "items": [{"id": MARK, "payload": {MARK: MARK}}]}},
        {"json": {"model": JOINT, "input": [{"image": base64.b64encode(cut).decode()}], "labels": [MARK]}},
        {"content": f'{{"input": "{MARK}'.encode()},
        {"content": cut, "headers": {"content-type": "image/png"}},
        {"content": arrow, "headers": {"content-type": "application/vnd.apache.arrow.stream"}},
        {"content": MARK.encode(), "headers": {"content-encoding": "gzip"}},
        {"files": {"image": (MARK, cut, MARK)}, "data": {MARK: MARK}},
        {"json": {MARK: MARK}, "headers": {"authorization": f"Bearer simila_0_{MARK}"}},
        {"json": {MARK: MARK}, "headers": {"host": f"{MARK}.example"}},
        {"json": {MARK: MARK}, "headers": {"x-request-timeout": MARK, "cookie": MARK, "user-agent": MARK}},
    ]
    for operation in operations:
        method, path = operation.split()
        for name in ("name", "model", "id", "key", "alias", "version", "classifier_id"):
            path = path.replace(f"{{{name}}}", MARK)
        for body in bodies if method in WITH_BODIES else bodies[-3:]:
            response = api.request(method, path, params={MARK: MARK}, **body)
            assert response.status_code < httpx.codes.INTERNAL_SERVER_ERROR, (operation, body, response.text)


def _marked(value: Any, *, is_query: bool = False) -> Any:
    if isinstance(value, dict) and "priors" in value:
        return {"priors": {_marked(label): share for label, share in value["priors"].items()}}
    if isinstance(value, dict):
        return {name: part if name in UNMARKED or is_query else _marked(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_marked(part) for part in value]
    if isinstance(value, str):
        if value.endswith(GREY_PIXEL):
            return value.replace(GREY_PIXEL, base64.b64encode(marked_png()).decode())
        return f"{value} {MARK}"
    return value


def marked_png() -> bytes:
    """An image with the mark among its texts and its EXIF."""
    texts, exif = PngInfo(), Image.Exif()
    texts.add_text("Comment", MARK)
    exif[DESCRIPTION_TAG] = MARK
    with io.BytesIO() as buffer:
        Image.new("L", (3, 3)).save(buffer, "PNG", pnginfo=texts, exif=exif)
        return buffer.getvalue()


def marked_tiff() -> bytes:
    with io.BytesIO() as buffer:
        tifffile.imwrite(buffer, np.zeros((4, 4, 3), np.uint8), description=MARK, metadata=None)
        return buffer.getvalue()
