"""From the records of an eval set to its items: questions alone, answers as texts, pictures by where they lie."""

import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import blake3
import orjson
import pyarrow as pa

from dedup.decontamination.identifiers import identifiers_of
from dedup.decontamination.items import ITEMS
from dedup.evalsets.locating import FoundSet
from dedup.evalsets.prompts import bare_question
from sources.choices import LETTERS
from sources.columns import lookup, text_field, text_of, value_of
from sources.dialogues import Turn, conversation_turns
from sources.identity import storable
from sources.joins import joined
from sources.mapping import image_uris, to_sample
from sources.readers.registry import reader_named
from sources.records import Fragment, Record, RecordError, Unreadable
from sources.schema import IMAGE_PLACEHOLDER, Reason
from sources.storage import stats_of
from sources.turns import Prompts
from sources.uris import inner_name, pictures_present, written_images

EVERY_SPLIT: tuple[str, ...] = ()
"""Instead of the evaluated splits: all that are there."""
ASKING = frozenset({"vqa", "text_qa", "reasoning"})
_SEVERAL = re.compile(r"[A-Z]{2,}")


@dataclass(frozen=True)
class ItemsRead:
    """Items, and what could not be read."""

    items: pa.Table
    problems: Counter[str] = field(default_factory=Counter)
    """What was wrong, or was passed over -> records. Where there is any, an audit against the set is not complete."""
    images_absent: int = 0
    """Pictures that items name and that are not there: their items have fewer pictures, or none."""
    other: int = 0
    """Records that are not evaluated: another split, or `where` says otherwise."""


def plan_items(found: FoundSet) -> list[Fragment]:
    """The fragments of the record files that may hold evaluated items.

    Raises:
        CorpusError: a file as a whole is not in the reader's form.
    """
    return list(reader_named(found.corpus.card.reader).plan(found.corpus, found.files))


def read_items(found: FoundSet, fragment: Fragment, splits: Sequence[str] | None = None) -> ItemsRead:
    """The items of a fragment; `splits` defaults to the evaluated ones, empty takes all.

    Raises:
        ChangedInputError: the file is not the planned one any more.
        CorpusError: a companion table cannot be read.
        OSError: whether a picture is there cannot be told now.
    """
    wanted = found.evalset.split if splits is None else tuple(splits)
    rows: list[dict[str, Any]] = []
    names: list[list[str]] = []
    problems: Counter[str] = Counter()
    other = 0
    for record in reader_named(found.corpus.card.reader).read(found.corpus, fragment):
        if isinstance(record, Unreadable):
            problems[str(record.reason)] += 1
            continue
        try:
            item = _item(found, fragment.path, record, wanted)
        except RecordError as error:
            problems[str(error.reason)] += 1
        except (KeyError, TypeError, ValueError, AttributeError):
            problems[str(Reason.RECORD_MALFORMED)] += 1
        else:
            other += item is None
            if item is not None:
                rows.append(item.row)
                names.append(item.names)
                problems.update(item.passed_over)
    _add_groups(found, rows, names)
    absent = _without_absent_pictures(found, fragment, rows)
    if not pictures_present(found.corpus):
        absent += len(_pictures_of_reports(found, fragment))
    kept = [row for row in rows if row["question"] or row["text"] or row["context"] or row["images"]]
    if len(kept) < len(rows):
        problems[str(Reason.RECORD_EMPTY)] += len(rows) - len(kept)
    return ItemsRead(pa.Table.from_pylist(kept, schema=ITEMS), problems, absent, other)


def items_of(found: FoundSet, splits: Sequence[str] | None = None) -> ItemsRead:
    """All items of a set, in the order of its files, ids made unique. Raises as `plan_items` and `read_items`."""
    if splits is not None:
        reader = reader_named(found.corpus.card.reader)
        fragments = list(reader.plan(found.corpus, found.corpus.files))
    else:
        fragments = plan_items(found)
    return gathered([read_items(found, fragment, splits) for fragment in fragments])


def gathered(parts: Sequence[ItemsRead]) -> ItemsRead:
    """The parts of one set as one, in their order; an id that comes again has `~2`, `~3` ... behind it."""
    items = pa.concat_tables([ITEMS.empty_table(), *(part.items for part in parts)]).combine_chunks()
    problems: Counter[str] = Counter()
    for part in parts:
        problems.update(part.problems)
    seen: Counter[str] = Counter()
    ids = []
    for eval_id in items["eval_id"].to_pylist():
        seen[eval_id] += 1
        ids.append(eval_id if seen[eval_id] == 1 else f"{eval_id}~{seen[eval_id]}")
    place = ITEMS.get_field_index("eval_id")
    items = items.set_column(place, ITEMS.field(place), pa.array(ids, pa.string()))
    return ItemsRead(items, problems, sum(part.images_absent for part in parts), sum(part.other for part in parts))


def content_hash(items: pa.Table) -> str:
    """BLAKE3 of the items' ids and digests in order: equal where the same items were protected."""
    hasher = blake3.blake3()
    for eval_id, digest in zip(items["eval_id"].to_pylist(), items["digest"].to_pylist(), strict=True):
        hasher.update(f"{eval_id}\0{digest}\0".encode())
    return str(hasher.hexdigest())


class _Item(NamedTuple):
    """A row of ITEMS, all its pictures taken to be there; its raw names; what of its record was not looked at."""

    row: dict[str, Any]
    names: list[str]
    passed_over: list[str]


def _item(found: FoundSet, path: str, record: Record, wanted: Sequence[str]) -> _Item | None:
    """The item of a record; None where it is not evaluated."""
    corpus, card = found.corpus, found.corpus.card
    sample = to_sample(corpus, path, record, Prompts())
    if wanted and sample["split"] is not None and sample["split"] not in wanted:
        return None
    record = record if record.finished else joined(corpus, path, record)
    for column, values in found.form.where.items():
        allowed = (values,) if isinstance(values, str) else values
        if text_of(lookup(record, column)) not in allowed:
            return None
    written = written_images(corpus, path, record)
    own_id = text_field(card, record, "id") or (f"{path}#{record.key}" if path else record.key)
    row = {
        "eval_set": found.evalset.name,
        "eval_id": corpus.identity.name("key", own_id),
        **_said(found, record, sample),
        **{name: sample[name] for name in ("split", "images", "groups", "license", "access", "language")},
    }
    row["digest"] = _digest(found, row, written)
    mapped = [] if corpus.identity.keyed else [group["id"] for group in sample["groups"] or ()]
    return _Item(row, [name for name in (own_id, *written, *mapped) if storable(name) == name], sample["passed_over"])


def _said(found: FoundSet, record: Record, sample: dict[str, Any]) -> dict[str, Any]:
    card = found.corpus.card
    said: dict[str, Any] = dict.fromkeys(("question", "options", "answer", "rationale", "context", "text"))
    said["rationale"] = text_field(card, record, "rationale")
    said["context"] = text_field(card, record, "context", "\n\n")
    if sample["question"] and sample["task"] in ASKING:
        said["options"] = sample["options"]
        said["question"] = bare_question(sample["question"], sample["options"])
        said["answer"] = _answer(sample["answer"], sample["options"])
        said["text"] = text_field(card, record, "text")
        return said
    spoken = sample["turns"] or _unanswered(value_of(card, record, "conversations"))
    turns = [(turn["role"], _without_placeholders(turn["text"])) for turn in spoken]
    if sample["task"] == "instruct" and len(turns) > 1 and turns[0][0] == "user":
        said["question"], said["answer"] = bare_question(turns[0][1], None), turns[1][1] or None
        turns = turns[2:]
    elif sample["task"] in ("caption", "report", *ASKING):
        turns = [(role, text) for role, text in turns if role == "assistant"]
    said["text"] = "\n".join(text for _, text in turns if text) or _written(found, record)
    said["answer"] = said["answer"] or text_of(value_of(card, record, "answer"), ", ")
    return said


def _written(found: FoundSet, record: Record) -> str | None:
    """What a record without turns says."""
    card = found.corpus.card
    sections = (("Findings", "findings"), ("Impression", "impression"))
    report = [f"{name}: {text}" for name, column in sections if (text := text_field(card, record, column))]
    return " ".join(report) or text_field(card, record, "text")


def _unanswered(conversation: Any) -> list[Turn]:
    """The turns of a conversation that ends with a question: nothing to learn from, and all there is to protect."""
    turns = conversation_turns(conversation) if isinstance(conversation, list) else []
    return [turn for turn in turns if turn["text"]]


def _without_placeholders(text: str) -> str:
    return text.replace(IMAGE_PLACEHOLDER, "").strip()


def _answer(answer: str | None, options: list[str] | None) -> str | None:
    """The text of the answer; several letters written as one word (`ACD`) are several options."""
    if answer is None or not options or answer in options or not _SEVERAL.fullmatch(answer):
        return answer
    chosen = [LETTERS.index(letter) for letter in answer]
    if chosen != sorted(set(chosen)) or chosen[-1] >= len(options):
        return answer
    return "; ".join(options[index] for index in chosen)


def _add_groups(found: FoundSet, rows: Sequence[dict[str, Any]], names: Sequence[Sequence[str]]) -> None:
    """Add the groups inside raw names to those that the card maps; keyed as the training data's."""
    of_row = [number for number, named in enumerate(names) for _ in named]
    inside = identifiers_of(pa.array([name for named in names for name in named], pa.string()))
    for place, kind, name in zip(*(column.to_pylist() for column in inside.columns), strict=True):
        row = rows[of_row[place]]
        group = {"kind": kind, "id": found.corpus.identity.name(kind, name)}
        if group not in (row["groups"] or ()):
            row["groups"] = [*(row["groups"] or ()), group]


def _digest(found: FoundSet, row: dict[str, Any], written: Sequence[str]) -> str:
    names = ("question", "options", "answer", "rationale", "context", "text")
    content = orjson.dumps([[row[name] for name in names], [repr(uri) for uri in written]])
    digest = str(blake3.blake3(content).hexdigest(length=16))
    return found.corpus.identity.name("item", digest)


def _without_absent_pictures(found: FoundSet, fragment: Fragment, rows: Sequence[dict[str, Any]]) -> int:
    """Take the pictures that are not there off the rows; how many there were. Those inside record files are there."""
    if not any(row["images"] for row in rows):
        return 0
    raw = raw_uris(found, fragment) if found.corpus.identity.keyed else None
    stored = {image["uri"] for row in rows for image in row["images"] or ()}
    outside = sorted(uri for uri in stored if inner_name(fragment.path, raw[uri] if raw else uri) is None)
    stats = stats_of(found.root, [raw[uri] if raw else uri for uri in outside])
    absent = {uri for uri, stat in zip(outside, stats, strict=True) if stat is None}
    for row in rows:
        row["images"] = [image for image in row["images"] or () if image["uri"] not in absent]
    return len(absent)


def _pictures_of_reports(found: FoundSet, fragment: Fragment) -> set[str]:
    """What reports name whose pictures' whole folder is not there: `to_sample` takes these for texts."""
    named: set[str] = set()
    for record in reader_named(found.corpus.card.reader).read(found.corpus, fragment):
        if isinstance(record, Record):
            with contextlib.suppress(RecordError, KeyError, TypeError, ValueError):
                named.update(written_images(found.corpus, fragment.path, joined(found.corpus, fragment.path, record)))
    return named


def raw_uris(found: FoundSet, fragment: Fragment) -> dict[str, str]:
    """Stored name -> raw uri of every picture that a fragment's records name. Held in memory only."""
    corpus, uris = found.corpus, {}
    for record in reader_named(corpus.card.reader).read(corpus, fragment):
        if isinstance(record, Record):
            with contextlib.suppress(RecordError, KeyError, TypeError, ValueError):
                named = image_uris(corpus, fragment.path, record)
                uris.update({corpus.identity.name("path", uri): uri for uri in named})
    return uris
