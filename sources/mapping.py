"""From a raw record to a row of the samples table."""

from collections.abc import Mapping
from typing import Any

import orjson

from sources.cards import GROUP_KINDS
from sources.choices import chosen, options_of
from sources.columns import REST, columns_of, lookup, meta_of, rest_of, takes_rest, text_field, text_of, value_of
from sources.dialogues import Turn, conversation_turns, spoken_turns
from sources.finished import finished_sample
from sources.identity import storable
from sources.joins import joined
from sources.licenses import spdx_license
from sources.passed_over import passed_over
from sources.records import Corpus, Record, Unreadable
from sources.turns import Content, Prompts, render
from sources.uris import placed_images, written_images

__all__ = ["Prompts", "image_uris", "to_sample", "unreadable_sample"]

CONTENT_FIELDS = (
    "text", "question", "options", "answer", "rationale", "context", "findings", "impression", "indication",
    "instruction", "input", "output", "conversations",
)  # fmt: skip
"""What a sample says: with its pictures, all that its id depends on besides its key."""


def to_sample(corpus: Corpus, path: str, record: Record, prompts: Prompts) -> dict[str, Any]:
    """A row of SAMPLES. `path` is the record's file under the corpus, empty in folders of files.

    A sample with nothing to learn has no turns. Its id does not depend on prompts, licence, split or groups. Beside
    the columns, `passed_over` says what of the record is in none of them.

    Raises:
        RecordError: a field holds what cannot be one.
        CorpusError: the companion table cannot be read.
    """
    if record.finished:
        left = passed_over(corpus, record, ())
        return {**finished_sample(corpus, path, record), "meta": _meta(corpus, record, told=True), "passed_over": left}
    record = joined(corpus, path, record)
    card = corpus.card
    written = written_images(corpus, path, record)
    uris = placed_images(corpus, record, written)
    key = _source_key(corpus, path, record)
    license_id = _license(corpus, record)
    sample_id = corpus.identity.sample_id(key, _content_bytes(corpus, path, record, written))
    content = _content(corpus, record, len(uris))
    turns = render(card.task, content, prompts, sample_id)
    frame = _frame(path, record)
    return {
        "sample_id": sample_id,
        "source": corpus.name,
        "source_key": corpus.identity.name("key", key),
        "split": _split(corpus, path, record),
        "task": card.task,
        "turns": turns,
        "images": [{"image_id": None, "uri": corpus.identity.name("path", uri), "frame": frame} for uri in uris],
        "groups": _groups(corpus, record),
        "license": license_id,
        "access": _access(card.access, license_id),
        "language": text_field(card, record, "language") or card.language,
        "question": content.indication if card.task == "report" else content.question,
        "options": content.options,
        "answer": content.answer,
        "parent_id": None,
        "meta": _meta(corpus, record, told=bool(turns)),
        "passed_over": passed_over(corpus, record, written),
    }


def image_uris(corpus: Corpus, path: str, record: Record) -> list[str]:
    """Raw POSIX paths of a record's pictures under the corpus; what leads elsewhere stays as it is written.

    Raises:
        RecordError: as `to_sample`.
    """
    record = joined(corpus, path, record)
    return placed_images(corpus, record, written_images(corpus, path, record))


def unreadable_sample(corpus: Corpus, path: str, unreadable: Unreadable) -> dict[str, Any]:
    """A row of SAMPLES for a record that could not be read: who it is, and nothing it says."""
    key = f"{path}#{unreadable.key}" if path else unreadable.key
    return {
        "sample_id": corpus.identity.sample_id(key, None),
        "source": corpus.name,
        "source_key": corpus.identity.name("key", key),
        "split": corpus.splits.get(path or unreadable.key),
        "task": corpus.card.task,
        "turns": [],
        "images": [],
        "groups": [],
        "license": spdx_license(corpus.card.license),
        "access": corpus.card.access,
        "language": corpus.card.language,
        "question": None,
        "options": None,
        "answer": None,
        "parent_id": None,
        "meta": None,
        "passed_over": [],
    }


def _source_key(corpus: Corpus, path: str, record: Record) -> str:
    if not path:
        return record.key
    return f"{path}#{text_field(corpus.card, record, 'id') or record.key}"


def _frame(path: str, record: Record) -> int | None:
    """The frame of a multi-frame picture that the reader of a folder names; None leaves it to `measure.frames`."""
    frame = None if path else record.row.get("frame")
    return frame if isinstance(frame, int) else None


def _content_bytes(corpus: Corpus, path: str, record: Record, written: list[str]) -> bytes:
    """The record's content as one byte string, whatever the order of its columns."""
    mapped = columns_of(corpus.card)
    values = {name: value_of(corpus.card, record, name) for name in CONTENT_FIELDS if name in mapped}
    content = {
        "task": corpus.card.task,
        "fields": {name: value for name, value in values.items() if value is not None},
        "images": [storable(uri) for uri in written],
        "frame": _frame(path, record) or 0,
    }
    return orjson.dumps(content, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def _content(corpus: Corpus, record: Record, images: int) -> Content:
    card = corpus.card
    asks = card.task in ("vqa", "text_qa", "reasoning")
    options = options_of(value_of(card, record, "options")) if asks else None
    given = value_of(card, record, "answer")
    indexes = _chosen(given, options, card.options.get("answer_base"))
    answer = "; ".join(options[index] for index in indexes) if options and indexes else text_of(given, ", ")
    return Content(
        images=images,
        text=text_field(card, record, "text"),
        question=text_field(card, record, "question") if asks or card.task == "instruct" else None,
        context=text_field(card, record, "context", "\n\n"),
        options=options,
        chosen=indexes,
        answer=answer if asks or card.task == "instruct" else None,
        rationale=text_field(card, record, "rationale"),
        findings=text_field(card, record, "findings"),
        impression=text_field(card, record, "impression"),
        indication=text_field(card, record, "indication"),
        instruction=text_field(card, record, "instruction"),
        input=text_field(card, record, "input"),
        output=text_field(card, record, "output"),
        conversation=_conversation(corpus, record),
    )


def _chosen(given: Any, options: list[str] | None, base: int | str | None) -> list[int]:
    """The options that the answer, or each of several answers, names; none where one of them is no option."""
    if options is None or text_of(given) is None:
        return []
    answers = given if isinstance(given, list) else [given]
    indexes = [chosen(answer, options, base) for answer in answers]
    return [] if None in indexes else [index for index in indexes if index is not None]


def _conversation(corpus: Corpus, record: Record) -> list[Turn]:
    card = corpus.card
    if card.task not in ("dialogue", "instruct"):
        return []
    conversation = value_of(card, record, "conversations")
    if conversation is None or isinstance(conversation, str):
        text = text_of(conversation) or text_field(card, record, "text")
        return spoken_turns(text, card.speakers) if text and card.speakers else []
    return conversation_turns(conversation)


def _split(corpus: Corpus, path: str, record: Record) -> str | None:
    by_file = corpus.splits.get(path or record.key) or corpus.splits.get(record.key.partition("#")[0])
    return by_file or text_field(corpus.card, record, "split")


def _groups(corpus: Corpus, record: Record) -> list[dict[str, str]]:
    groups: list[dict[str, str]] = []
    columns = columns_of(corpus.card)
    for kind in (kind for kind in GROUP_KINDS if kind in columns):
        value = value_of(corpus.card, record, kind)
        for item in value if isinstance(value, list) else [value]:
            name = text_of(item)
            group = {"kind": kind, "id": corpus.identity.name(kind, name)} if name else None
            if group and group not in groups:
                groups.append(group)
    return groups


def _license(corpus: Corpus, record: Record) -> str:
    """The record's own licence; where the card maps one, its absence is not the corpus's licence."""
    if "license" in corpus.card.fields:
        return spdx_license(text_field(corpus.card, record, "license"))
    return spdx_license(corpus.card.license)


def _access(access: str, license_id: str) -> str:
    """The card's, but a record under a non-commercial licence is never `open`."""
    return "noncommercial" if access == "open" and "-NC" in license_id else access


def _meta(corpus: Corpus, record: Record, *, told: bool) -> str | None:
    """The columns that are kept beside the sample; `told` says that it has turns."""
    card = corpus.card
    values = {column: lookup(record, column) for column in meta_of(card) if column != REST}
    kept = {column: value for column, value in values.items() if not _blank(value)}
    if takes_rest(card) and not record.finished:
        kept |= rest_of(card, record, told=told)
    if not kept:
        return None
    return orjson.dumps(kept, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()


def _blank(value: Any) -> bool:
    return value is None or (not isinstance(value, Mapping | bytes) and text_of(value) is None)
