"""Real sentences, as many as a load needs: the docstrings of the standard library, numpy and scikit-learn."""

import ast
import os
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np
import sklearn
from tokenizers import Tokenizer

LONGEST_TOKENS = 256
SHORT_TOKENS = range(13, 20)  # about 16, with the two special tokens
PARAGRAPHS_IN_ALL = 0.19
"""Share of paragraphs among the sentences: the tail of long texts. With it a text has 28 tokens on average."""
SEED = 3

_BETWEEN_SENTENCES = re.compile(r"(?<=[a-z)][.!?])\s+(?=[A-Z])")
_IS_PROSE = re.compile(r"[A-Z][^<>|=_*\\{}]*[.!?]")
_FEWEST_CHARACTERS = 20


@cache
def sentences() -> tuple[str, ...]:
    """Collect distinct sentences in a fixed order."""
    return tuple(dict.fromkeys(s for text in _prose() for s in _BETWEEN_SENTENCES.split(text) if _is_prose(s)))


@cache
def paragraphs() -> tuple[str, ...]:
    """Collect distinct paragraphs of more than one sentence in a fixed order."""
    return tuple(text for text in _prose() if _BETWEEN_SENTENCES.search(text))


def short_texts(tokenizer: Tokenizer, texts: int) -> list[str]:
    """Choose distinct sentences of about 16 tokens.

    Raises:
        ValueError: there are not so many.

    """
    lengths = _lengths(tokenizer, sentences())
    short = [text for text, length in zip(sentences(), lengths, strict=True) if length in SHORT_TOKENS]
    if len(short) < texts:
        raise ValueError(f"{texts} short texts are wanted, and there are {len(short)}")
    return short[:texts]


def mixed_texts(tokenizer: Tokenizer, texts: int) -> list[str]:
    """Draw sentences, and some whole paragraphs, of at most `LONGEST_TOKENS`."""
    random = np.random.default_rng(SEED)
    pools = [
        [text for text, length in zip(pool, _lengths(tokenizer, pool), strict=True) if length <= LONGEST_TOKENS]
        for pool in (sentences(), paragraphs())
    ]
    from_paragraphs = random.random(texts) < PARAGRAPHS_IN_ALL
    return [pool[random.integers(len(pool))] for pool in (pools[int(choice)] for choice in from_paragraphs)]


@cache
def _prose() -> tuple[str, ...]:
    texts = (text for docstring in _docstrings() for text in docstring.split("\n\n"))
    return tuple(dict.fromkeys(text for text in (" ".join(text.split()) for text in texts) if _is_prose(text)))


def _lengths(tokenizer: Tokenizer, texts: tuple[str, ...]) -> list[int]:
    return [len(encoding) for encoding in tokenizer.encode_batch_fast(list(texts))]


def _is_prose(text: str) -> bool:
    return len(text) >= _FEWEST_CHARACTERS and _IS_PROSE.fullmatch(text) is not None


def _docstrings() -> Iterator[str]:
    standard_library, numpy, scikit_learn = (Path(module.__file__ or "").parent for module in (os, np, sklearn))
    files = chain(standard_library.glob("*.py"), numpy.rglob("*.py"), scikit_learn.rglob("*.py"))
    for file in sorted(file for file in files if "tests" not in file.parts):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                yield ast.get_docstring(node) or ""
