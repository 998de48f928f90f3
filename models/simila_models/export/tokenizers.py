"""A checkpoint's own tokenizer, as transformers reads it."""

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from simila.domain.errors import InvalidManifest


def load_tokenizer(folder: Path, context_length_tokens: int | None) -> PreTrainedTokenizerFast:
    """Read the tokenizer of a checkpoint; it cuts at the context length, or at its own, when it is asked to truncate.

    Raises:
        InvalidManifest: there is none that `tokenizers` can run.

    """
    length = {} if context_length_tokens is None else {"model_max_length": context_length_tokens}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **length)
    except (OSError, ValueError, ImportError) as error:
        raise InvalidManifest(f"the checkpoint's tokenizer cannot be read: {error}") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise InvalidManifest(f"the checkpoint's {type(tokenizer).__name__} is not one that a tokenizer.json describes")
    return tokenizer
