"""Folders of encoders as `save_pretrained` leaves them, random and small enough to make in a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from tests.support.tiny_viclip import merges

MEAN, DEVIATION = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)
CONTEXT, SIZE, EMBED_DIM = 16, 32, 12
_TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
_VISION = {**_TOWER, "image_size": SIZE, "patch_size": 8, "projection_dim": EMBED_DIM}
_TEXT = {**_TOWER, "max_position_embeddings": CONTEXT, "projection_dim": EMBED_DIM}


def write_encoder(folder: Path, name: str) -> Any:
    """Writes model, tokenizer and preprocessor_config.json of a scorer's architecture; returns the model."""
    import transformers

    torch.manual_seed(0)
    if name == "siglip2":
        tokenizer = _words()
        vision = {**_VISION, "hidden_size": EMBED_DIM}
        text = {**_TEXT, "hidden_size": EMBED_DIM, "projection_size": EMBED_DIM, "vocab_size": len(tokenizer)}
        model = transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=vision))
    else:
        tokenizer = clip_tokenizer(folder)
        text = {**_TEXT, "vocab_size": 576, "bos_token_id": 574, "eos_token_id": 575, "pad_token_id": 575}
        mit = {f"mit_{key}": value for key, value in _TOWER.items()} | {"mit_hidden_size": EMBED_DIM, "num_frames": 4}
        prompt = {"prompt_layers": 1, "prompt_num_attention_heads": 2}
        classes = {
            "clip-l": lambda: transformers.CLIPModel(
                transformers.CLIPConfig(text_config=text, vision_config=_VISION, projection_dim=EMBED_DIM)
            ),
            "xclip-l": lambda: transformers.XCLIPModel(
                transformers.XCLIPConfig(
                    text_config=text, vision_config={**_VISION, **mit}, projection_dim=EMBED_DIM, **prompt
                )
            ),
        }
        model = classes[name]()
    with torch.no_grad():  # as made, some layers are zero, and embeddings of different inputs all but equal
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    values = {"image_mean": MEAN, "image_std": DEVIATION, "resample": 2 if name == "siglip2" else 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(values))
    return model


def clip_tokenizer(folder: Path) -> Any:
    """CLIP's tokenizer over the merges of the tiny ViCLIP; its two files are written to `folder`."""
    from transformers import CLIPTokenizer

    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]
    tokens = [*alphabet, *(sign + "</w>" for sign in alphabet), *(a + b for a, b in merges())]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges())]) + "\n")
    return CLIPTokenizer.from_pretrained(folder)


def _words() -> Any:
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<eos>", "<unk>", "a", "robot", "hammer", "running", "window", "closing"]
    tokenizer: Any = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.TemplateProcessing("$A <eos>", special_tokens=[("<eos>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="right"
    )
