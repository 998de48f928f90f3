"""Small checkpoints of real architectures with random weights, saved as their libraries save them for the hub."""

import json
from collections.abc import Callable
from pathlib import Path

import sentencepiece
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
    ConvNextConfig,
    ConvNextModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    ModernBertConfig,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3Model,
    ResNetConfig,
    ResNetModel,
    Siglip2Tokenizer,
    SiglipConfig,
    SiglipModel,
    SiglipTokenizer,
    ViTConfig,
    ViTMAEConfig,
    ViTMAEForPreTraining,
    ViTModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from simila_models.export.golden_texts import GOLDEN_TEXTS

CORPUS = [*GOLDEN_TEXTS, "a photo of a cat", "the quick brown fox jumps over the lazy dog"] * 3
TRANSFORMER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
PATCHES = {"image_size": 32, "patch_size": 8}
SQUARE = {"height": 32, "width": 32}


def clip(folder: Path) -> None:
    """OpenAI's layout, in half precision."""
    tokenizer = _clip_tokenizer()
    text = TRANSFORMER | {"vocab_size": len(tokenizer), "max_position_embeddings": 77}
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = CLIPConfig(text_config=text | ids, vision_config=TRANSFORMER | PATCHES, projection_dim=24)
    _random(CLIPModel, config).half().save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def siglip(folder: Path) -> None:
    """Its tokenizer is SentencePiece behind Python; bicubic."""
    folder.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_prefix=str(folder / "spiece"), vocab_size=400, hard_vocab_limit=False,
        pad_id=-1, bos_id=-1, eos_id=1, unk_id=2, character_coverage=1.0, minloglevel=2,
    )  # fmt: skip
    (folder / "spiece.vocab").unlink()
    _siglip(folder, SiglipTokenizer(str(folder / "spiece.model")))
    SiglipImageProcessorPil(size=SQUARE).save_pretrained(folder)


def siglip2(folder: Path) -> None:
    """Gemma's tokenizer in lower case; bilinear; weights in several files."""
    trained = Siglip2Tokenizer()
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"])
    trained.backend_tokenizer.train_from_iterator(CORPUS, trainer)
    model = json.loads(trained.backend_tokenizer.to_str())["model"]
    tokenizer = Siglip2Tokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])
    end = tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=["$A", end], special_tokens=[(end, tokenizer.eos_token_id)]
    )
    _siglip(folder, tokenizer, max_shard_size="50KB")
    SiglipImageProcessorPil(size=SQUARE, resample=2).save_pretrained(folder)


def vit(folder: Path) -> None:
    _random(ViTModel, ViTConfig(**TRANSFORMER, **PATCHES), add_pooling_layer=False).save_pretrained(folder)
    ViTImageProcessorPil(size=SQUARE).save_pretrained(folder)


def dinov2_with_registers(folder: Path) -> None:
    """In bfloat16."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56, "patch_size": 14}
    config = Dinov2WithRegistersConfig(**sizes, num_register_tokens=4)
    _random(Dinov2WithRegistersModel, config).to(torch.bfloat16).save_pretrained(folder)
    BitImageProcessorPil(size={"shortest_edge": 64}, crop_size=56).save_pretrained(folder)


def rad_dino(folder: Path) -> None:
    """DINOv2 with RAD-DINO's processor: as large as the crop, figures of chest X-rays."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56, "patch_size": 14}
    _random(Dinov2Model, Dinov2Config(**sizes)).save_pretrained(folder)
    BitImageProcessorPil(
        size={"shortest_edge": 56}, crop_size=56, image_mean=[0.5307] * 3, image_std=[0.2583] * 3
    ).save_pretrained(folder)


def vit_mae(folder: Path) -> None:
    decoder = {"decoder_hidden_size": 32, "decoder_num_attention_heads": 2, "decoder_num_hidden_layers": 1}
    config = ViTMAEConfig(**TRANSFORMER, **PATCHES, **decoder, decoder_intermediate_size=32)
    _random(ViTMAEForPreTraining, config).save_pretrained(folder)
    ViTImageProcessorPil(size=SQUARE).save_pretrained(folder)


def convnext(folder: Path) -> None:
    config = ConvNextConfig(hidden_sizes=[16, 16, 32, 32], depths=[1, 1, 1, 1])
    _random(ConvNextModel, config).save_pretrained(folder)
    ConvNextImageProcessorPil(size={"shortest_edge": 64}).save_pretrained(folder)


def resnet(folder: Path) -> None:
    config = ResNetConfig(embedding_size=16, hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 1, 1], layer_type="basic")
    _random(ResNetModel, config).save_pretrained(folder)
    ConvNextImageProcessorPil(size={"shortest_edge": 64}, crop_pct=0.95).save_pretrained(folder)


def bert(folder: Path) -> None:
    """With the head of its training, whose weights are tied to the embeddings; mean."""
    config = BertConfig(**TRANSFORMER, vocab_size=600, max_position_embeddings=96)
    model = _random(BertForMaskedLM, config)
    _sentence(folder, model, "mean", pad="[PAD]")
    model.save_pretrained(folder)  # sentence-transformers has left the head out


def mpnet(folder: Path) -> None:
    config = MPNetConfig(**TRANSFORMER, vocab_size=600, max_position_embeddings=98)
    _sentence(folder, _random(MPNetModel, config), "cls", pad="<pad>", pad_id=1)


def xlm_roberta(folder: Path) -> None:
    """As E5: prefixes for queries and passages."""
    config = XLMRobertaConfig(**TRANSFORMER, vocab_size=600, max_position_embeddings=98)
    prompts = {"query": "query: ", "passage": "passage: "}
    _sentence(folder, _random(XLMRobertaModel, config), "mean", pad="<pad>", pad_id=1, prompts=prompts)


def modernbert(folder: Path) -> None:
    config = ModernBertConfig(
        **TRANSFORMER, vocab_size=600, max_position_embeddings=96, pad_token_id=0, local_attention=16,
        cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    _sentence(folder, _random(ModernBertModel, config), "mean", pad="[PAD]")


def qwen3(folder: Path) -> None:
    """A decoder: the last token speaks for the text."""
    config = Qwen3Config(
        **TRANSFORMER, num_key_value_heads=1, head_dim=16, vocab_size=600, max_position_embeddings=96, pad_token_id=0
    )
    _sentence(folder, _random(Qwen3Model, config), "lasttoken", pad="[PAD]")


CHECKPOINTS: dict[str, Callable[[Path], None]] = {
    maker.__name__: maker
    for maker in (
        clip, siglip, siglip2, bert, mpnet, xlm_roberta, modernbert, qwen3,
        vit, dinov2_with_registers, rad_dino, vit_mae, convnext, resnet,
    )
}  # fmt: skip


def _random(kind: type[PreTrainedModel], config: PretrainedConfig, **options: bool) -> PreTrainedModel:
    torch.manual_seed(0)
    model = kind(config, **options).eval()
    # Small weights make all inputs alike: what tells vectors apart would drown.
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and "position" not in name:
            parameter.data *= 4
    return model


def _clip_tokenizer() -> CLIPTokenizer:
    trained = CLIPTokenizer()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    # Those that end a word are given: the trainer numbers what it meets, in an order that differs from run to run.
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=["<|startoftext|>", "<|endoftext|>", *(f"{letter}</w>" for letter in alphabet)],
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
    )
    trained.backend_tokenizer.train_from_iterator(CORPUS, trainer)
    model = json.loads(trained.backend_tokenizer.to_str())["model"]
    return CLIPTokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])


def _word_pieces(specials: list[str]) -> dict[str, int]:
    """The same in every run, which a trained vocabulary is not: the letters of the corpus, and half of its words."""
    normal = [normalizers.BertNormalizer().normalize_str(text) for text in CORPUS]
    words = {word for text in normal for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(text)}
    letters = sorted(set("".join(words)))
    pieces = dict.fromkeys([*specials, *letters, *(f"##{letter}" for letter in letters), *sorted(words)[::2]])
    return {piece: number for number, piece in enumerate(pieces)}


def _siglip(folder: Path, tokenizer: SiglipTokenizer | Siglip2Tokenizer, max_shard_size: str = "1GB") -> None:
    text = TRANSFORMER | {"vocab_size": len(tokenizer), "max_position_embeddings": 64, "projection_size": 32}
    config = SiglipConfig(text_config=text, vision_config=TRANSFORMER | PATCHES)
    model = _random(SiglipModel, config)
    model.logit_scale.data.fill_(2.0)
    model.logit_bias.data.fill_(-10.0)
    model.save_pretrained(folder, max_shard_size=max_shard_size)
    tokenizer.save_pretrained(folder)


def _sentence(
    folder: Path,
    model: PreTrainedModel,
    pooling: str,
    *,
    pad: str,
    pad_id: int = 0,
    prompts: dict[str, str] | None = None,
) -> None:
    bare = folder.with_name(f"{folder.name}-transformer")
    model.save_pretrained(bare)
    specials = ["[UNK]", "[CLS]", "[SEP]"]
    specials.insert(pad_id, pad)
    tokenizer = Tokenizer(models.WordPiece(_word_pieces(specials), unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=pad, unk_token="[UNK]", model_max_length=96)
    fast.save_pretrained(bare)
    modules = [Transformer(str(bare)), Pooling(32, pooling), Normalize()]
    SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save(str(folder))
