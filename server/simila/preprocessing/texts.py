"""Texts to token ids, cut at the encoder's context length and told so."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from simila.domain.errors import InvalidInput, ModelError
from simila.domain.results import Token


@dataclass(frozen=True, slots=True)
class TextRow:
    """Token ids with the special tokens, cut at the context length; `tokens` counts them before the cut."""

    ids: tuple[int, ...]
    tokens: int

    @property
    def truncated(self) -> bool:
        return self.tokens > len(self.ids)


class TextTokenizer:
    """A Hugging Face `tokenizer.json` and a context length.

    Raises:
        ModelError: the file cannot be read.

    """

    def __init__(self, file: Path, context_length_tokens: int) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelError(f"the tokenizer {file} cannot be read: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._context_length_tokens = context_length_tokens
        self._prefix, self._suffix = self._special_tokens()
        self._vocabulary_size = self._tokenizer.get_vocab_size()

    def rows_of_texts(self, texts: Sequence[str]) -> list[TextRow | InvalidInput]:
        """Tokenise texts side by side; one that is no Unicode text has its error in its place."""
        errors = [_surrogate_error(text) for text in texts]
        good = [text for text, error in zip(texts, errors, strict=True) if error is None]
        encodings = iter(self._tokenizer.encode_batch_fast(good, add_special_tokens=False))
        return [error or self._row(tuple(next(encodings).ids)) for error in errors]

    def row_of_ids(self, ids: tuple[int, ...]) -> TextRow:
        """Take ids that a caller has made; special tokens are added unless they are already there.

        Raises:
            InvalidInput: an id is not in the vocabulary.

        """
        for position, token in enumerate(ids):
            if not 0 <= token < self._vocabulary_size:
                raise InvalidInput(
                    f"token {token} at position {position} is not in the vocabulary of {self._vocabulary_size} tokens"
                )
        if len(ids) >= len(self._prefix) + len(self._suffix) and self._is_wrapped(ids):
            ids = ids[len(self._prefix) : len(ids) - len(self._suffix)]
        return self._row(ids)

    def tokens_of_texts(self, texts: Sequence[str], *, special_tokens: bool) -> list[list[Token]]:
        """All tokens of Unicode texts, not cut."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=special_tokens)
        return [
            [
                Token(id_, token, None if is_special else offsets)
                for id_, token, is_special, offsets in zip(
                    encoding.ids, encoding.tokens, encoding.special_tokens_mask, encoding.offsets, strict=True
                )
            ]
            for encoding in encodings
        ]

    def _row(self, ids: tuple[int, ...]) -> TextRow:
        special_tokens = len(self._prefix) + len(self._suffix)
        room = self._context_length_tokens - special_tokens
        return TextRow(self._prefix + ids[:room] + self._suffix, tokens=len(ids) + special_tokens)

    def _is_wrapped(self, ids: tuple[int, ...]) -> bool:
        return ids[: len(self._prefix)] == self._prefix and ids[len(ids) - len(self._suffix) :] == self._suffix

    def _special_tokens(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What the tokenizer puts before and after a text."""
        bare = self._tokenizer.encode("a", add_special_tokens=False).ids
        wrapped = self._tokenizer.encode("a", add_special_tokens=True).ids
        start = next(i for i in range(len(wrapped)) if wrapped[i : i + len(bare)] == bare)
        return tuple(wrapped[:start]), tuple(wrapped[start + len(bare) :])


def _surrogate_error(text: str) -> InvalidInput | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return InvalidInput(f"the text has a lone surrogate at character {error.start}, which is no Unicode text")
    return None
