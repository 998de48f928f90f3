"""A CLIP ViT-B/32 of random weights (Radford et al. 2021): speed does not depend on what it has learnt.

The folder is a Hugging Face checkpoint, so that a peer can serve the same weights.
"""

import json
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPModel

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
SIZE_PIXELS = 224
CONTEXT_LENGTH_TOKENS = 77
SEED = 20240229
BEGIN, END, PAD = "<|startoftext|>", "<|endoftext|>", "[PAD]"
_FILE_MADE_LAST = "tokenizer.json"


def make_checkpoint(folder: Path) -> Path:
    """Write the checkpoint unless it is there, and return its folder."""
    if not (folder / _FILE_MADE_LAST).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        config = CLIPConfig()
        torch.manual_seed(SEED)
        CLIPModel(config).eval().save_pretrained(folder)
        _write_processor(folder)
        byte_tokenizer(config.text_config.bos_token_id, config.text_config.eos_token_id, folder)
    return folder


def load_checkpoint(folder: Path) -> CLIPModel:
    """Load with the plain attention, whose graph has fewer nodes than the fused one's."""
    return CLIPModel.from_pretrained(folder, attn_implementation="eager").eval()


def byte_tokenizer(begin_id: int, end_id: int, folder: Path) -> Tokenizer:
    """A byte-level BPE without merges, a token a byte, in CLIP's frame; written as transformers reads it."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [*letters, *(f"{letter}</w>" for letter in letters), PAD]
    vocabulary = {name: index for index, name in enumerate(names)} | {BEGIN: begin_id, END: end_id}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], end_of_word_suffix="</w>", unk_token=END))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    # A sequence, because transformers' own class for CLIP takes no other form.
    words = pre_tokenizers.Split(Regex(r"\w+|[^\s\w]+"), behavior="removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}", special_tokens=[(BEGIN, begin_id), (END, end_id)]
    )
    tokenizer.add_special_tokens([PAD, BEGIN, END])
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    special = {"bos_token": BEGIN, "eos_token": END, "unk_token": END, "pad_token": PAD}
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": CONTEXT_LENGTH_TOKENS, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    tokenizer.save(str(folder / _FILE_MADE_LAST))
    return tokenizer


def _write_processor(folder: Path) -> None:
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "CLIPProcessor",
        "size": {"shortest_edge": SIZE_PIXELS},
        "crop_size": {"height": SIZE_PIXELS, "width": SIZE_PIXELS},
        "resample": 3,
        "image_mean": MEAN,
        "image_std": STD,
        **dict.fromkeys(("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"), True),
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")
