"""From the name of a checkpoint to a manifest of the user's own."""

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from simila.domain.errors import InvalidManifest
from simila.domain.manifest import Manifest
from simila_models.additions import Addition
from simila_models.export.checkpoint import checkpoint_folder
from simila_models.export.descriptions import describe
from simila_models.export.zoos import hub_repository
from simila_models.integrity import sha256_of
from simila_models.progress import Progress
from simila_models.sources.cache import cached_path
from simila_models.sources.gathering import Gathered, gather_folder, gather_hub

_MANIFEST_OPTION = "--manifest FILE"
_LICENCE = re.compile(r"^license:\s*(\S+)\s*$", re.MULTILINE)
_CARD_HEADER = re.compile(r"\A---\n(.*?)\n---", re.DOTALL)


def manifest_of(addition: Addition, cache_dir: Path, progress: Progress) -> Manifest:
    """Fetch a checkpoint and describe it.

    Raises:
        FetchFailed: it cannot be had, or has no safetensors.
        InvalidManifest: it is of no known kind, or a manifest cannot say what it does.

    """
    if addition.source.endswith(".onnx"):
        return _own_manifest(addition)
    gathered = _gathered(addition, cache_dir, progress)
    paths = {
        file.role: Path(file.source.removeprefix("file:")) / file.path
        if file.source.startswith("file:")
        else cached_path(cache_dir, file)
        for file in gathered.files
    }
    with checkpoint_folder(paths) as folder:
        tables = describe(folder, addition)
    table = {
        "name": addition.name or _name(addition.source),
        "description": f"Added from {addition.source}",
        "licence": addition.licence or _licence(gathered.card),
        **tables,
        "files": [file.model_dump() for file in gathered.files],
    }
    return _validated(addition, table)


def _gathered(addition: Addition, cache_dir: Path, progress: Progress) -> Gathered:
    kind, colon, place = addition.source.partition(":")
    if not colon or kind == "file":
        return gather_folder(Path(place or addition.source))
    offline = addition.offline
    if kind == "hf":
        return gather_hub(place if "@" in place else f"{place}@main", cache_dir, progress, offline=offline)
    if kind in ("open_clip", "timm"):
        repository, is_open_clip = hub_repository(kind, place), kind == "open_clip"
        return gather_hub(f"{repository}@main", cache_dir, progress, open_clip=is_open_clip, offline=offline)
    message = "known: hf:ORG/NAME@REVISION, open_clip:ARCH/TAG, timm:NAME, file:FOLDER, file:MODEL.onnx"
    raise InvalidManifest(f"no source is called '{kind}'; {message}")


def _own_manifest(addition: Addition) -> Manifest:
    """The user's own manifest, to which the files are added: the graph, and the tokenizer that lies beside it."""
    path = Path(addition.source.removeprefix("file:")).resolve()
    if not addition.manifest:
        raise InvalidManifest(
            f"an ONNX file does not say how its inputs are prepared; write a manifest: {_MANIFEST_OPTION}"
        )
    try:
        table = tomllib.loads(Path(addition.manifest).read_text(encoding="utf-8"))
        roles = {"text_model" if "text" in table else "image_model": path}
        if "text" in table:
            roles["tokenizer"] = path.with_name("tokenizer.json")
        files = [
            {"role": role, "source": f"file:{file.parent}", "path": file.name, "sha256": sha256_of(file)}
            for role, file in roles.items()
        ]
    except (OSError, ValueError) as error:
        raise InvalidManifest(f"{addition.manifest} and {path}: {error}") from error
    given = {"name": addition.name or _name(path.stem), "description": f"Added from {path.name}", "licence": "unknown"}
    return _validated(addition, {**given, "family": "onnx_file", "files": files, **table})


def _validated(addition: Addition, table: dict[str, Any]) -> Manifest:
    try:
        return Manifest.model_validate(table)
    except ValidationError as error:
        raise InvalidManifest(f"{addition.source} makes no manifest: {error}") from error


def _name(source: str) -> str:
    last = source.partition("@")[0].rstrip("/").rpartition("/")[2].rpartition(":")[2]
    return re.sub(r"[^a-z0-9._-]+", "-", last.lower()).strip("-._")[:64]


def _licence(card: str) -> str:
    header = _CARD_HEADER.match(card)
    found = _LICENCE.search(header[1]) if header else None
    return found[1] if found else "unknown"
