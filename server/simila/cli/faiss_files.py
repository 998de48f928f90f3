"""FAISS indexes as files of vectors. Apart from the rest, because FAISS takes long to import."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from simila.cli.errors import WrongUsage
from simila.cli.vector_files import VectorFile, VectorRows, batch_rows
from simila.domain.vectors import Int64

# These give vectors back; others raise, and FAISS 1.15's IVF fast-scan crashes.
_EXACT = (faiss.IndexFlat, faiss.IndexIVFFlat, faiss.IndexHNSWFlat)
_QUANTISED = (faiss.IndexScalarQuantizer, faiss.IndexIVFScalarQuantizer, faiss.IndexIVFPQ, faiss.IndexHNSW)
_APPROXIMATE = "its vectors are quantised: what is imported are approximations of the vectors that were added to it"


def open_faiss(path: Path, ids: Path | None) -> VectorFile:
    """The vectors of an index: flat, HNSW or IVF, with or without an IDMap; each takes its number in the index as id.

    `ids` names the vectors in the order of their numbers: an array (.npy) or a text with one id a line.

    Raises:
        WrongUsage: it is no index, it cannot give its vectors back, or there are not as many ids as vectors.

    """
    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        raise WrongUsage(f"{path} is no FAISS index") from error
    numbered = index  # it frees the one inside when it goes
    if isinstance(index, faiss.IndexIDMap):
        index = faiss.downcast_index(index.index)
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
    if not isinstance(inner, (*_EXACT, *_QUANTISED)):
        raise WrongUsage(f"{path}: a {type(inner).__name__} does not give its vectors back")
    keys = _keys(path, index)
    numbers = faiss.vector_to_array(numbered.id_map) if isinstance(numbered, faiss.IndexIDMap) else keys
    names = [str(number) for number in numbers.tolist()] if ids is None else read_ids(ids)
    if len(names) != len(keys):
        raise WrongUsage(f"{path} holds {len(keys)} vectors, and {ids} has {len(names)} ids")
    warnings = () if isinstance(index, _EXACT) else (_APPROXIMATE,)
    return VectorFile(path.name, len(keys), _batches(path, numbered, index, keys, names), warnings=warnings)


def read_ids(path: Path) -> list[str]:
    """Ids from an array of numbers or texts (.npy), or from the lines of a text file.

    Raises:
        WrongUsage: it is neither.

    """
    if path.suffix.lower() != ".npy":
        try:
            return path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise WrongUsage(f"{path} is not UTF-8: {error.reason}") from error
    try:
        array = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise WrongUsage(f"{path} is no .npy file of ids: {error}") from error
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        raise WrongUsage(f"{path} is no list of ids: {array.ndim} dimensions of {array.dtype}")
    return [str(one) for one in array.tolist()]


def _keys(path: Path, index: Any) -> Int64:
    """What the index calls its vectors, ascending, ready to be given back by these numbers."""
    inverted = faiss.try_extract_index_ivf(index)
    if inverted is None:
        return np.arange(index.ntotal, dtype=np.int64)
    lists: Any = inverted.invlists
    sizes = [lists.list_size(number) for number in range(inverted.nlist)]
    parts = [faiss.rev_swig_ptr(lists.get_ids(number), size).copy() for number, size in enumerate(sizes) if size]
    keys = np.sort(np.concatenate([np.empty(0, np.int64), *parts]))
    if (np.diff(keys) == 0).any():
        raise WrongUsage(f"{path} holds two vectors of one number, and could give back but one of them")
    inverted.set_direct_map_type(faiss.DirectMap.Hashtable)  # type: ignore[attr-defined] # the stubs lack it
    return keys


def _batches(path: Path, _owner: Any, index: Any, keys: Int64, names: Sequence[str]) -> Iterator[VectorRows]:
    rows = batch_rows(index.d)
    for start in range(0, len(keys), rows):
        try:
            vectors = index.reconstruct_batch(keys[start : start + rows])
        except RuntimeError as error:
            raise WrongUsage(f"{path} does not give its vectors back: {error}") from error
        yield VectorRows(start, names[start : start + rows], vectors)
