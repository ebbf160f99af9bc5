"""Turns that a corpus has itself: conversations as lists, and dialogues in one text cut at their speakers."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sources.cards import Speakers
from sources.columns import text_of
from sources.records import RecordError
from sources.schema import IMAGE_PLACEHOLDER

Turn = dict[str, str]
"""`role` and `text`: a row of the `turns` column."""

_ROLES = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "model": "assistant",
    "bot": "assistant", "system": "system",
}  # fmt: skip
_PLACEHOLDER = re.compile(re.escape(IMAGE_PLACEHOLDER) + r"[ \t]*\n?")


def conversation_turns(value: Any) -> list[Turn]:
    """The turns of a list of `{from, value}` or `{role, content}`; empty ones are left out, but for the assistant's.

    An answer without a word must be seen by whoever decides (`quality.answer_empty`): left out, two questions would
    stand before the answer to the second.

    Raises:
        RecordError: it is no such list, or a speaker is none of human, user, gpt, assistant, model, bot, system.
    """
    if not isinstance(value, list):
        raise RecordError("the conversation is not a list of turns")
    turns = []
    for item in value:
        if not isinstance(item, Mapping):
            raise RecordError("a turn of the conversation is not an object")
        role = _ROLES.get(str(item.get("from", item.get("role"))).lower())
        if role is None:
            raise RecordError("a turn of the conversation has an unknown speaker")
        text = text_of(_said(item.get("value", item.get("content"))))
        if text is not None or role == "assistant":
            turns.append({"role": role, "text": text or ""})
    return turns


def _said(content: Any) -> Any:
    """What a turn says; where it is written in parts (`{type: text, text}`, `{type: image_url, ...}`), as one text.

    Raises:
        RecordError: a part is neither text nor a picture.
    """
    if not isinstance(content, list) or not any(isinstance(part, Mapping) for part in content):
        return content
    texts = []
    for one in content:
        part = {"text": one} if isinstance(one, str) else one
        kind = str(part.get("type") or next(iter(part), None)) if isinstance(part, Mapping) else ""
        if kind.endswith("text"):
            texts.append(text_of(part.get("text")))
        elif "image" in kind:
            texts.append(IMAGE_PLACEHOLDER)
        else:
            raise RecordError("a part of a turn is neither text nor a picture")
    return [text for text in texts if text]


def spoken_turns(text: str, speakers: Speakers) -> list[Turn]:
    """The turns of a dialogue in one text: a labelled line begins a turn, the lines after it go on with it.

    Text before the first label is no turn of anyone and is left out.
    """
    pattern = _compiled(speakers.pattern)
    turns: list[Turn] = []
    for line in text.splitlines():
        label = pattern.match(line)
        if label:
            role = speakers.roles.get(label.group(1).strip().lower(), "user")
            turns.append({"role": role, "text": line[label.end() :].strip()})
        elif turns:
            turns[-1]["text"] = f"{turns[-1]['text']}\n{line.rstrip()}".strip()
    return [turn for turn in turns if turn["text"]]


def with_placeholders(turns: list[Turn], images: int) -> list[Turn]:
    """Turns with exactly one `<image>` a picture, in user turns only.

    The corpus's placement is kept; surplus placeholders go, missing ones stand before the first user turn. Turns that
    are empty then go, too, but for the assistant's.
    """
    left = images
    placed = []
    for turn in turns:
        own = turn["text"].count(IMAGE_PLACEHOLDER) if turn["role"] == "user" else 0
        kept = min(own, left)
        left -= kept
        placed.append({"role": turn["role"], "text": without_placeholders(turn["text"], kept)})
    if left:
        first = next((turn for turn in placed if turn["role"] == "user"), None)
        if first is None:
            first = {"role": "user", "text": ""}
            placed.insert(1 if placed and placed[0]["role"] == "system" else 0, first)
        first["text"] = image_lines(left, first["text"])
    return [turn for turn in placed if turn["text"] or turn["role"] == "assistant"]


def without_placeholders(text: str, keep: int = 0) -> str:
    """The text with only its first `keep` placeholders; none comes about where one was taken out of its middle."""
    seen = 0

    def kept(match: re.Match[str]) -> str:
        nonlocal seen
        seen += 1
        return match.group() if seen <= keep else ""

    left = _PLACEHOLDER.sub(kept, text)
    if left.count(IMAGE_PLACEHOLDER) > keep:
        left = _without_nested(left, keep)
    return left.strip()


def _without_nested(text: str, keep: int) -> str:
    """`without_placeholders` of a text like `<im<image>age>`, in one pass however deep they lie."""
    written: list[str] = []
    seen = 0
    for character in text:
        written.append(character)
        if character == IMAGE_PLACEHOLDER[-1] and "".join(written[-len(IMAGE_PLACEHOLDER) :]) == IMAGE_PLACEHOLDER:
            seen += 1
            if seen > keep:
                del written[-len(IMAGE_PLACEHOLDER) :]
    return "".join(written)


def image_lines(images: int, text: str) -> str:
    """One `<image>` a line, then the text."""
    return "\n".join([IMAGE_PLACEHOLDER] * images + ([text] if text else []))


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
