"""OpenCLIP's tokenizer, which is Python, as `tokenizers` runs it."""

from typing import Any

from open_clip.tokenizer import SimpleTokenizer
from tokenizers import Regex, Tokenizer, normalizers
from transformers import CLIPTokenizer

from simila.domain.errors import InvalidManifest
from simila_models.export.tokenizers import CheckpointTokenizer

# What ftfy does before OpenCLIP tokenises, as far as single characters go.
_TERMINAL_ESCAPES = r"\x1b\[((?:\d|;)*)([a-zA-Z])"
_CONTROL_CHARACTERS = r"[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]"
_CHARACTERS = {
    "[\u02bc\u2018-\u201b]": "'",
    "[\u201c-\u201f]": '"',
    "\u0149": "'n",
    "\ufb00": "ff",
    "\ufb01": "fi",
    "\ufb02": "fl",
    "\ufb03": "ffi",
    "\ufb04": "ffl",
    "\ufb05": "\u017ft",
    "\ufb06": "st",
}


def convert_tokenizer(library: Any, context_length_tokens: int) -> CheckpointTokenizer:
    """The byte pairs of CLIP behind ftfy's single-character repairs.

    Broken encodings and HTML entities, which ftfy also repairs, are taken as they are.

    Raises:
        InvalidManifest: it is another tokenizer.

    """
    if not isinstance(library, SimpleTokenizer):
        message = f"the checkpoint's tokenizer is {type(library).__name__}; add its form for transformers instead"
        raise InvalidManifest(f"{message} (hf:ORG/NAME)")
    merges = sorted(library.bpe_ranks, key=library.bpe_ranks.get)
    start, end = (library.decoder[token] for token in (library.sot_token_id, library.eot_token_id))
    reference = CLIPTokenizer(library.encoder, merges, end, start, end, end, model_max_length=context_length_tokens)
    fast = Tokenizer.from_str(reference.backend_tokenizer.to_str())
    repairs = [(_TERMINAL_ESCAPES, ""), (_CONTROL_CHARACTERS, ""), *_CHARACTERS.items()]
    fast.normalizer = normalizers.Sequence(
        [*(normalizers.Replace(Regex(found), given) for found, given in repairs), fast.normalizer]
    )
    fast.no_truncation()
    fast.no_padding()
    reference.backend_tokenizer.normalizer = fast.normalizer
    return CheckpointTokenizer(reference, fast.to_str())
