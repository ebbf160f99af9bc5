"""The two tokenizers a recipe may name, as what rendering needs: text to ids, text to a count, special tokens by name.

`o200k_harmony` is that of GPT-oss: the ranks of o200k_base, which `bpe-openai` ships, and fixed special tokens.
Anything else is the path of a Hugging Face `tokenizer.json`. One that lacks Harmony's special tokens can count a
conversation (each special token is one) and cannot render it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from filters.tokens import HARMONY, TokenizerError, harmony_tokenizer

START, MESSAGE, CHANNEL = "<|start|>", "<|message|>", "<|channel|>"
END, RETURN = "<|end|>", "<|return|>"
TEXT_START, TEXT_END = "<|startoftext|>", "<|endoftext|>"
IMAGE = "<|reserved_200013|>"
"""Stands for one token of a picture. GPT-oss has it inside its 201,088 rows, unused: no embedding is resized."""

O200K_HARMONY = {
    TEXT_START: 199998, TEXT_END: 199999, RETURN: 200002, CHANNEL: 200005, START: 200006, END: 200007,
    MESSAGE: 200008, IMAGE: 200013,
}  # fmt: skip
"""Ids of `openai_harmony`'s HarmonyGptOss encoding; a test holds them against it."""


@dataclass(frozen=True)
class Encoder:
    """Text is always encoded as text: what looks like a special token in it comes out as ordinary tokens."""

    encode: Callable[[str], Sequence[int]]
    count: Callable[[str], int]
    special: Mapping[str, int]
    missing: tuple[str, ...] = ()
    """Special tokens that the tokenizer has not."""


@lru_cache(maxsize=2)
def load_encoder(tokenizer: str) -> Encoder:
    """The encoder that a recipe names.

    Raises:
        TokenizerError: it is neither `o200k_harmony` nor a tokenizer.json on this machine.
    """
    if tokenizer == HARMONY:
        o200k = harmony_tokenizer()
        return Encoder(o200k.encode, o200k.count, O200K_HARMONY)
    path = Path(tokenizer)
    if not path.is_file():
        raise TokenizerError(f"tokenizer: {tokenizer} is neither {HARMONY} nor a tokenizer.json on this machine")
    from tokenizers import Tokenizer

    try:
        loaded = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - the library raises nothing more special
        raise TokenizerError(f"tokenizer: {tokenizer} is no tokenizer.json ({type(error).__name__})") from None
    loaded.encode_special_tokens = True

    def encode(text: str) -> Sequence[int]:
        ids: Sequence[int] = loaded.encode(text, add_special_tokens=False).ids
        return ids

    found = {name: loaded.token_to_id(name) for name in O200K_HARMONY}
    special = {name: number for name, number in found.items() if number is not None}
    missing = tuple(name for name, number in found.items() if number is None)
    return Encoder(encode, lambda text: len(encode(text)), special, missing)
