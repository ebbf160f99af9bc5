"""The tokenizer that goes with a model: Harmony's own, or the small one of the tiny model, made here."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import UsageError
from shards.encoders import O200K_HARMONY, load_encoder
from workflows.train.model import ModelDescription

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TOKENIZER_FILE = "tokenizer.json"
SPECIAL = (
    "<|endoftext|>", "<|startoftext|>", "<|return|>", "<|channel|>", "<|start|>", "<|end|>", "<|message|>", "<|call|>",
    "<|reserved_200013|>",
)  # fmt: skip
"""Special tokens of the small tokenizer, from id 256 on."""
SAMPLE = "IL-6 5 µg/mL; <|end|> naïve T cells, 3.5e9/L, größer\n\nImpression: no effusion."


def write_byte_tokenizer(path: Path) -> None:
    """Write a tokenizer.json with a token for each byte (its id is the byte) and SPECIAL after them."""
    document: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": 256 + number, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
            for number, text in enumerate(SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {symbol: byte for byte, symbol in enumerate(_symbols())}, "merges": []},
    }  # fmt: skip
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")


def _symbols() -> list[str]:
    """The printable character that byte-level BPE writes for each byte (GPT-2's table): itself, or one from 256 on."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    spare = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(spare)) for byte in range(256)]


def load_fast(path: Path, model: ModelDescription) -> "PreTrainedTokenizerFast":
    """The tokenizer of `transformers` over a tokenizer.json, with the special tokens that generation needs."""
    from transformers import PreTrainedTokenizerFast

    roles = {"bos_token": "<|startoftext|>", "eos_token": "<|return|>", "pad_token": "<|endoftext|>"}
    kind: Any = PreTrainedTokenizerFast
    made: PreTrainedTokenizerFast = kind(tokenizer_file=str(path), model_max_length=model.max_context_tokens, **roles)
    return made


def check_tokenizer(path: Path, model: ModelDescription) -> None:
    """Whether a tokenizer.json is the one that the model was made for.

    Raises:
        UsageError: a special token has another id, or text comes out as other tokens.
    """
    given = load_encoder(str(path))
    harmony = model.tokenizer == "o200k_harmony"
    wanted = O200K_HARMONY if harmony else {text: 256 + number for number, text in enumerate(SPECIAL)}
    for text in O200K_HARMONY:
        if given.special.get(text) != wanted[text]:
            raise UsageError(
                f"{path}: {text} has id {given.special.get(text)}, {model.name} was made for {wanted[text]}",
                "give the tokenizer.json that came with the language model",
            )
    expected = list(load_encoder("o200k_harmony").encode(SAMPLE)) if harmony else list(SAMPLE.encode())
    if list(given.encode(SAMPLE)) != expected:
        raise UsageError(
            f"{path}: text comes out as other tokens than those of {model.tokenizer}",
            "give the tokenizer.json that came with the language model",
        )
