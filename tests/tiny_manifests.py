"""Manifests about which only their files matter."""

import hashlib
from pathlib import Path

from simila.domain.manifest import Manifest, SourceFile


def source(role: str, content: bytes, *, path: str, origin: str = "pypi:weights==1.0") -> SourceFile:
    return SourceFile(role=role, source=origin, path=path, sha256=hashlib.sha256(content).hexdigest())


def manifest_of(*files: SourceFile, folder: Path = Path(), family: str = "none") -> Manifest:
    image = {
        "size_pixels": 8,
        "resize_shorter_edge_pixels": 8,
        "interpolation": "bicubic",
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "pooling": "average",
    }
    return Manifest.model_validate(
        {
            "name": "tiny",
            "description": "",
            "family": family,
            "licence": "MIT",
            "dimension": 3,
            "image": image,
            "files": files,
            "folder": folder,
        }
    )
