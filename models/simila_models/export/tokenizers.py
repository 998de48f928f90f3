"""A checkpoint's own tokenizer, as transformers reads it, and the same one as `tokenizers` runs it."""

import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast, SiglipTokenizer
from transformers.convert_slow_tokenizer import SpmConverter

from simila.domain.errors import InvalidManifest


@dataclass(frozen=True)
class CheckpointTokenizer:
    """A tokenizer as its library has it, and the `tokenizer.json` that the server runs."""

    library: Any
    json: str


def load_tokenizer(folder: Path, context_length_tokens: int | None) -> CheckpointTokenizer:
    """Read the tokenizer of a checkpoint; it cuts at the context length, or at its own, when it is asked to truncate.

    Raises:
        InvalidManifest: there is none that transformers can read, or that `tokenizers` can run.

    """
    length = {} if context_length_tokens is None else {"model_max_length": context_length_tokens}
    try:
        library = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **length)
    except (OSError, ValueError, ImportError) as error:
        raise InvalidManifest(f"the checkpoint's tokenizer cannot be read: {error}") from error
    return CheckpointTokenizer(library, _without_limits(library))


def tokenizer_of_file(path: Path, context_length_tokens: int) -> CheckpointTokenizer:
    """Read a bare `tokenizer.json`."""
    library = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(path), model_max_length=context_length_tokens
    )
    return CheckpointTokenizer(library, _without_limits(library))


def _without_limits(library: Any) -> str:
    if isinstance(library, PreTrainedTokenizerFast):
        fast = Tokenizer.from_str(library.backend_tokenizer.to_str())
    elif isinstance(library, SiglipTokenizer):
        fast = _SiglipConverter(library).converted()  # type: ignore[no-untyped-call]
    else:
        raise InvalidManifest(f"the checkpoint's {type(library).__name__} is not one that a tokenizer.json describes")
    fast.no_truncation()
    fast.no_padding()
    return str(fast.to_str())


class _SiglipConverter(SpmConverter):
    """SigLIP's tokenizer, of which transformers has only a Python form: lower case, no punctuation, SentencePiece."""

    def normalizer(self, proto: Any) -> normalizers.Normalizer:
        steps: list[Any] = [
            normalizers.Lowercase(),
            normalizers.Replace(Regex(f"[{_escaped(string.punctuation)}]"), ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
        if proto.normalizer_spec.precompiled_charsmap:
            steps.append(normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap))
        return normalizers.Sequence([*steps, normalizers.Replace(Regex(" {2,}"), " ")])

    def pre_tokenizer(self, replacement: str, add_prefix_space: bool) -> pre_tokenizers.PreTokenizer:  # noqa: ARG002
        return pre_tokenizers.Metaspace(replacement=replacement, prepend_scheme="always")

    def post_processor(self) -> processors.PostProcessor:
        end = self.original_tokenizer.eos_token
        return processors.TemplateProcessing(
            single=["$A", end], special_tokens=[(end, self.original_tokenizer.eos_token_id)]
        )


def _escaped(characters: str) -> str:
    return "".join(f"\\{character}" for character in characters)
