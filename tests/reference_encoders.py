"""Independent implementations to compare with."""

from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

from simila_models.catalogue import bundled_manifests
from simila_models.progress import Silent
from simila_models.sources import fetch_sources


def sentence_transformers_minilm(data_dir: Path, folder: Path) -> SentenceTransformer:
    """MiniLM by sentence-transformers, its checkpoint gathered in an empty folder."""
    for path in fetch_sources(bundled_manifests()["all-minilm-l6-v2"], data_dir / "sources", Silent()).values():
        (folder / path.name).symlink_to(path)
    transformer = Transformer(str(folder), max_seq_length=256)
    return SentenceTransformer(modules=[transformer, Pooling(384, "mean"), Normalize()], device="cpu")
