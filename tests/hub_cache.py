"""The Hugging Face hub's own cache, filled with a checkpoint, as if it had been downloaded before the network went."""

import os
from hashlib import sha256
from pathlib import Path

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"


def fill(cache: Path, repository: str, folder: Path, revision: str = "main") -> None:
    """Let `cache` hold the files of `folder` as those of `ORG/NAME` at `COMMIT`, which `revision` means."""
    place = cache / f"models--{repository.replace('/', '--')}"
    snapshot, blobs, refs = place / "snapshots" / COMMIT, place / "blobs", place / "refs"
    for made in (snapshot, blobs, refs):
        made.mkdir(parents=True)
    (refs / revision).write_text(COMMIT, encoding="ascii")
    for path in (path for path in folder.rglob("*") if path.is_file()):
        blob, link = blobs / sha256(path.read_bytes()).hexdigest(), snapshot / path.relative_to(folder)
        blob.write_bytes(path.read_bytes())
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
