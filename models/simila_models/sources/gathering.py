"""A checkpoint that nobody has described yet: which of its files are wanted, and what they hash to."""

import re
from dataclasses import dataclass
from pathlib import Path

from simila.domain.errors import FetchFailed
from simila.domain.manifest import SourceFile
from simila_models.integrity import sha256_of
from simila_models.progress import Progress
from simila_models.scratch import publish, scratch_folder
from simila_models.sources import hub
from simila_models.sources.cache import cached_path

_CONFIGURATION = re.compile(
    r"((\d+_\w+/)?config|modules|sentence_bert_config|config_sentence_transformers|preprocessor_config|processor_config"
    r"|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json"
    r"|merges\.txt|vocab\.txt|spiece\.model|tokenizer\.model|sentencepiece\.bpe\.model"
)
_WEIGHTS = re.compile(r"model\.safetensors|model-\d+-of-\d+\.safetensors|model\.safetensors\.index\.json")
_OPEN_CLIP = ("open_clip_config.json", "open_clip_model.safetensors")
_CARD = "README.md"


@dataclass(frozen=True)
class Gathered:
    """A checkpoint's files, each role being its path in the checkpoint, and the text of its model card."""

    files: tuple[SourceFile, ...]
    card: str


def gather_folder(folder: Path) -> Gathered:
    """Take the files of a folder where they are.

    Raises:
        FetchFailed: it is no folder, or has no safetensors.

    """
    if not folder.is_dir():
        raise FetchFailed(f"{folder} is no folder")
    paths = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
    source = f"file:{folder.resolve()}"
    files = [
        SourceFile(role=path, source=source, path=path, sha256=sha256_of(folder / path))
        for path in wanted(paths, str(folder))
    ]
    card = folder / _CARD
    return Gathered(tuple(files), card.read_text(encoding="utf-8") if card.is_file() else "")


def gather_hub(
    place: str, cache_dir: Path, progress: Progress, *, open_clip: bool = False, offline: bool = False
) -> Gathered:
    """Fetch `ORG/NAME@REVISION` into the cache; the files name the commit that the revision is now.

    Of a checkpoint that lies there in two forms, `open_clip` takes OpenCLIP's. `offline`, the hub's own cache on this
    disk is asked instead.

    Raises:
        FetchFailed: the hub does not answer, its cache lacks a file, or the repository has no safetensors.
        InvalidManifest: the place is written wrongly.

    """
    commit, paths = hub.list_files(place, offline=offline)
    pinned = f"{hub.parse(place)[0]}@{commit}"
    with scratch_folder(cache_dir) as scratch:
        files = []
        for path in wanted(paths, f"hf:{place}", open_clip=open_clip):
            fetched = hub.download(pinned, path, scratch, progress, offline=offline)
            file = SourceFile(role=path, source=f"hf:{pinned}", path=path, sha256=sha256_of(fetched))
            publish(fetched, cached_path(cache_dir, file))
            files.append(file)
        card = hub.download(pinned, _CARD, scratch, progress, offline=offline) if _CARD in paths else None
        return Gathered(tuple(files), card.read_text("utf-8") if card else "")


def wanted(paths: list[str], where: str, *, open_clip: bool = False) -> list[str]:
    """Which of a checkpoint's files the exporter reads: configuration, tokenizer and safetensors.

    Raises:
        FetchFailed: there are no safetensors.

    """
    if open_clip or not any(map(_WEIGHTS.fullmatch, paths)):
        found = [path for path in paths if path in _OPEN_CLIP]
        if len(found) == len(_OPEN_CLIP):
            return found
    weights = [path for path in paths if _WEIGHTS.fullmatch(path)]
    if not weights:
        message = f"{where} has no *.safetensors; pickled weights (*.bin, *.pt, *.pth) are never read"
        raise FetchFailed(message)
    return weights + [path for path in paths if _CONFIGURATION.fullmatch(path)]
