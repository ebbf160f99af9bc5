"""From fields to turns, by task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sources.choices import lettered
from sources.dialogues import Turn, image_lines, with_placeholders, without_placeholders


@dataclass(frozen=True)
class Prompts:
    """User turns of captions, and of reports that have no indication; a sample's is chosen by its id."""

    caption: tuple[str, ...] = ()
    report: tuple[str, ...] = ()


@dataclass(frozen=True)
class Content:
    """What a record says, by canonical field. `chosen` are the indexes of the options that are the answer."""

    images: int = 0
    text: str | None = None
    question: str | None = None
    context: str | None = None
    options: list[str] | None = None
    chosen: list[int] = field(default_factory=list)
    answer: str | None = None
    rationale: str | None = None
    findings: str | None = None
    impression: str | None = None
    indication: str | None = None
    instruction: str | None = None
    input: str | None = None
    output: str | None = None
    conversation: list[Turn] = field(default_factory=list)


def render(task: str, content: Content, prompts: Prompts, sample_id: str) -> list[Turn]:
    """The turns of a sample, or none where there is nothing to learn: no text, no answer."""
    turns = _RENDERERS[task](content, prompts, sample_id)
    return turns if any(turn["role"] in ("assistant", "text") and turn["text"] for turn in turns) else []


def _caption(content: Content, prompts: Prompts, sample_id: str) -> list[Turn]:
    return _exchange(content, _prompt(prompts.caption, sample_id), content.text)


def _report(content: Content, prompts: Prompts, sample_id: str) -> list[Turn]:
    sections = (("Findings", content.findings), ("Impression", content.impression))
    report = " ".join(f"{name}: {text}" for name, text in sections if text) or content.text
    return _exchange(content, content.indication or _prompt(prompts.report, sample_id), report)


def _question(content: Content, prompts: Prompts, sample_id: str) -> list[Turn]:  # noqa: ARG001 - one signature
    return _exchange(content, _asked(content), _answered(content)) if content.question else []


def _reasoning(content: Content, prompts: Prompts, sample_id: str) -> list[Turn]:
    turns = _question(content, prompts, sample_id)
    if turns and content.rationale:
        turns.insert(1, {"role": "analysis", "text": without_placeholders(content.rationale)})
    return turns


def _own_turns(content: Content, prompts: Prompts, sample_id: str) -> list[Turn]:  # noqa: ARG001 - one signature
    if content.conversation:
        return with_placeholders(content.conversation, content.images)
    asked = "\n\n".join(text for text in (content.instruction or content.question, content.input) if text)
    return _exchange(content, asked, content.output or content.answer)


def _text(content: Content, prompts: Prompts, sample_id: str) -> list[Turn]:  # noqa: ARG001 - one signature
    text = without_placeholders(content.text or "")
    return [{"role": "text", "text": image_lines(content.images, text)}] if text else []


_RENDERERS: dict[str, Callable[[Content, Prompts, str], list[Turn]]] = {
    "caption": _caption,
    "report": _report,
    "vqa": _question,
    "text_qa": _question,
    "reasoning": _reasoning,
    "dialogue": _own_turns,
    "instruct": _own_turns,
    "text": _text,
}


def _exchange(content: Content, asked: str, answered: str | None) -> list[Turn]:
    """One user turn with the pictures, one assistant turn; none where either is missing."""
    asked = image_lines(content.images, without_placeholders(asked))
    answered = without_placeholders(answered or "")
    if not asked or not answered:
        return []
    return [{"role": "user", "text": asked}, {"role": "assistant", "text": answered}]


def _asked(content: Content) -> str:
    options = content.options or []
    question = "\n".join([content.question or "", *(lettered(options, index) for index in range(len(options)))])
    return f"{content.context}\n\n{question}" if content.context else question


def _answered(content: Content) -> str | None:
    if content.options and content.chosen:
        return "\n".join(lettered(content.options, index) for index in content.chosen)
    return content.answer


def _prompt(prompts: Sequence[str], sample_id: str) -> str:
    return prompts[int(sample_id, 16) % len(prompts)] if prompts else ""
