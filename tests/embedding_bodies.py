"""What a request for embeddings says, whether it is JSON or a form."""

import base64
import email.policy
import json
from email.parser import BytesParser
from typing import Any

import httpx


def embedding_body(request: httpx.Request) -> dict[str, Any]:
    """The JSON that says the same; parts of a form stay in their order."""
    media_type = request.headers["content-type"]
    if not media_type.startswith("multipart/form-data"):
        body: dict[str, Any] = json.loads(request.content)
        return body
    head = f"content-type: {media_type}\r\n\r\n".encode()
    form = BytesParser(policy=email.policy.HTTP).parsebytes(head + request.content)
    found: dict[str, Any] = {"input": []}
    for part in form.iter_parts():
        octets = part.get_payload(decode=True)
        assert isinstance(octets, bytes)
        match part.get_param("name", header="content-disposition"):
            case "input":
                found["input"].append({"text": octets.decode()})
            case "image":
                found["input"].append({"image": base64.b64encode(octets).decode()})
            case option:
                found[str(option)] = octets.decode()
    return found
