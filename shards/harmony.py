"""Conversations as the tokens GPT-oss is trained on (OpenAI's Harmony format), and where the loss counts.

A turn is `<|start|>role<|message|>text<|end|>`; an assistant's has a channel before its message,
`<|start|>assistant<|channel|>final<|message|>`, rationales are assistant turns of channel `analysis`, and a
conversation that ends with a `final` turn ends with `<|return|>` in place of `<|end|>`. Tokens are those of
`openai_harmony`'s `render_conversation_for_training`; a test compares them. What corpora call a system prompt is
Harmony's developer message ("# Instructions").

A sample of task `text` is no conversation: `<|startoftext|>text<|endoftext|>`.

Loss counts on what an assistant has to produce (channel, text, closing token) and on all of a text but its first
token: never on `<|start|>assistant`, on what others say, or on pictures. So the first token of a document never has
a loss, and documents can be packed side by side.

Text is encoded as text and pictures are put in as ids: nothing in the data can forge a role or a picture.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from filters.tokens import HARMONY
from shards.encoders import (
    CHANNEL,
    END,
    IMAGE,
    MESSAGE,
    RETURN,
    START,
    TEXT_END,
    TEXT_START,
    load_encoder,
)
from sources.schema import IMAGE_PLACEHOLDER

_CHANNELS = {"assistant": "final", "analysis": "analysis"}
_OTHERS = {"user": "user", "system": "developer", "developer": "developer"}
"""Roles without a loss, and what Harmony calls them."""
_INSTRUCTIONS = "# Instructions\n\n"


UNRENDERABLE = "its turns cannot be rendered: an unknown role, or other pictures than it has"


class RenderError(ValueError):
    """A sample cannot be rendered: an unknown role, or other pictures than its turns speak of."""


@dataclass(frozen=True)
class Rendered:
    """A sample as tokens.

    `ids` is int32[n]; `loss` is bool[n]: whether this token counts as a target; `pictures` are spans of `ids`
    (start, stop), one a picture in order, empty where a picture was given no tokens.
    """

    ids: NDArray[np.int32]
    loss: NDArray[np.bool_]
    pictures: list[tuple[int, int]]


@dataclass(frozen=True)
class Lengths:
    """How long a sample is, its pictures apart, and on how many of these tokens the loss counts."""

    tokens: int
    loss_tokens: int


def render(turns: Sequence[Mapping[str, str]], pictures: Sequence[int], tokenizer: str = HARMONY) -> Rendered:
    """The tokens of a sample. `pictures` says of each picture how many tokens it takes (0: none are put in).

    Raises:
        RenderError: an unknown role, a number of placeholders other than that of pictures, or a tokenizer without
            Harmony's special tokens.
        TokenizerError: there is no such tokenizer.
    """
    encoder = load_encoder(tokenizer)
    if encoder.missing:
        raise RenderError(f"tokenizer {tokenizer}: has no {encoder.missing[0]}; Harmony's special tokens are needed")
    ids: list[int] = []
    loss: list[bool] = []
    spans: list[tuple[int, int]] = []
    for piece in _pieces(turns):
        if piece.special is None:
            added = list(encoder.encode(piece.text))
        elif piece.special != IMAGE:
            added = [encoder.special[piece.special]]
        elif len(spans) == len(pictures):
            raise _other_pictures(turns, pictures)
        else:
            added = [encoder.special[IMAGE]] * pictures[len(spans)]
            spans.append((len(ids), len(ids) + len(added)))
        ids += added
        loss += [piece.counts] * len(added)
    if len(spans) != len(pictures):
        raise _other_pictures(turns, pictures)
    return Rendered(np.array(ids, np.int32), np.array(loss, np.bool_), spans)


def lengths(turns: Sequence[Mapping[str, str]], tokenizer: str = HARMONY) -> Lengths:
    """What `render` would give without tokens for pictures, only counted, with any tokenizer.

    Raises:
        RenderError: an unknown role.
        TokenizerError: there is no such tokenizer.
    """
    encoder = load_encoder(tokenizer)
    tokens = loss_tokens = 0
    for piece in _pieces(turns):
        size = encoder.count(piece.text) if piece.special is None else int(piece.special != IMAGE)
        tokens += size
        loss_tokens += size if piece.counts else 0
    return Lengths(tokens, loss_tokens)


class _Piece(NamedTuple):
    """A special token (IMAGE: the place of a picture) or a text, and whether the loss counts on it."""

    special: str | None
    text: str
    counts: bool


def _pieces(turns: Sequence[Mapping[str, str]]) -> Iterator[_Piece]:
    """The parts of a sample in order; each text is encoded by itself.

    Raises:
        RenderError: an unknown role.
    """
    last = len(turns) - 1
    for number, turn in enumerate(turns):
        role, text = turn["role"], turn["text"]
        if role == "text":
            yield _Piece(TEXT_START, "", counts=False)
            yield from _content(text, counts=True)
            yield _Piece(TEXT_END, "", counts=True)
            continue
        channel = _CHANNELS.get(role)
        if channel is None and role not in _OTHERS:
            raise RenderError(f"a turn of role {role!r}; known are assistant, analysis, text, {', '.join(_OTHERS)}")
        said = channel is not None
        yield _Piece(START, "", counts=False)
        yield _Piece(None, "assistant" if said else _OTHERS.get(role, role), counts=False)
        if channel is not None:
            yield _Piece(CHANNEL, "", counts=True)
            yield _Piece(None, channel, counts=True)
        yield _Piece(MESSAGE, "", counts=said)
        yield from _content(_INSTRUCTIONS + text if _OTHERS.get(role) == "developer" else text, counts=said)
        yield _Piece(RETURN if number == last and channel == "final" else END, "", counts=said)


def _content(text: str, *, counts: bool) -> Iterator[_Piece]:
    """A turn's text, cut at its placeholders."""
    for number, piece in enumerate(text.split(IMAGE_PLACEHOLDER)):
        if number:
            yield _Piece(IMAGE, "", counts=False)
        if piece:
            yield _Piece(None, piece, counts=counts)


def _other_pictures(turns: Sequence[Mapping[str, str]], pictures: Sequence[int]) -> RenderError:
    count = sum(turn["text"].count(IMAGE_PLACEHOLDER) for turn in turns)
    return RenderError(f"{count} {IMAGE_PLACEHOLDER} in the turns for {len(pictures)} pictures")
