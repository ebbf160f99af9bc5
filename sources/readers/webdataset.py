"""WebDataset: tars in which consecutive members with one key are a sample; ours and anyone's."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Literal

from sources.cards import Card
from sources.columns import columns_of, names_of, takes_rest
from sources.endings import NO_ENDING, ending_of
from sources.finished import is_finished, members_of
from sources.passed_over import PASSED_OVER, kind_of
from sources.pictures.formats import sniff
from sources.readers.expected import with_expected_columns
from sources.readers.member_names import PICTURES, base, flaw_of, is_litter, is_nobodys, plain
from sources.readers.objects import parse_json
from sources.readers.ranges import KILLS, TOO_LONG
from sources.readers.tar_samples import Grouping, TarFragment, TarSample, cut_tar, runs, seal, tar_fragment
from sources.records import MAX_RECORD_BYTES, Corpus, Fragment, Record, RecordError, Unreadable
from sources.schema import Reason
from sources.storage.tar_members import Member
from sources.uris import PICTURE, inner_uri

TEXTS = frozenset(("txt", "text", "caption", "transcript", "cls", "cls2", "index", "id"))
"""Extensions of members that are text; others (`npy`, `pyd`, `mp4` ...) are not read, and nothing is unpickled."""


class WebdatasetReader:
    """Reads tars of samples, plain or in gzip. A record's key is its members' common name up to the first dot.

    `.json` gives the record's fields, every other text member one column called like what follows the key
    (`txt`, `en.txt`; `meta.json` is `meta`). Pictures are `{key}.jpg`, or `{key}.0.jpg`, `{key}.1.jpg` in this order;
    `fields: {image: [left.png, right.png]}` takes others. Without `fields`, `txt` is the text, and the JSON of
    our own shards is taken over as it is: task, turns, groups, licence, key.

    Where everything is asked for (`meta: ["*"]`) every picture of a sample is taken, whatever its member is called,
    text of any other member is a column, hidden members and those without a dot are samples, and what is left is told.
    """

    unit: Literal["file", "folder"] = "file"
    version: int = 3
    options: frozenset[str] = frozenset()

    def plan(self, corpus: Corpus, paths: Sequence[str]) -> Iterator[Fragment]:
        """Cut tars between samples.

        Raises:
            CorpusError: a file is no tar, or lacks a mapped column.
        """
        for path in paths:
            fragments = (seal(corpus, fragment) for fragment in cut_tar(corpus, path, _grouping(corpus.card)))
            yield from with_expected_columns(corpus, path, fragments, self.read)

    def read(self, corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
        """Yield one record a sample; what an archive has lost at its end is one unreadable record.

        Raises:
            ChangedInputError: the file is not the planned one any more.
        """
        tar = tar_fragment(corpus, fragment, _grouping(corpus.card))
        for number, (sample, names) in enumerate(zip(tar.samples, tar.named, strict=True)):
            if number in fragment.passed_over:
                yield Unreadable(sample.key, Reason.RECORD_MALFORMED, KILLS)
                continue
            try:
                yield _record(corpus, fragment.path, tar, sample, names)
            except RecordError as error:
                yield Unreadable(sample.key, error.reason, str(error))

    def open_picture(self, corpus: Corpus, fragment: Fragment, uri: str) -> bytes:
        """The bytes of a member. Raises as `PictureReader`."""
        return tar_fragment(corpus, fragment, _grouping(corpus.card)).picture(uri)


def _key_of(name: str) -> str | None:
    """Everything up to the first dot of the base name; None for what is part of no sample."""
    name = plain(name)
    own = base(name)
    if is_litter(name) or "." not in own:
        return None
    return name[: len(name) - len(own)] + own.partition(".")[0]


def _any_key_of(name: str) -> str | None:
    """The same, but what is part of no sample is one by itself, unless it is nobody's."""
    return _key_of(name) or (None if is_nobodys(name) else plain(name))


_GROUPING = partial(runs, key_of=_key_of)
_ANY_GROUPING = partial(runs, key_of=_any_key_of)


def _grouping(card: Card) -> Grouping:
    return _ANY_GROUPING if takes_rest(card) else _GROUPING


def _record(corpus: Corpus, path: str, tar: TarFragment, sample: TarSample, names: Mapping[str, Member]) -> Record:
    if sample.flaw:
        raise RecordError(sample.flaw)
    members = _by_suffix(sample)
    uris = {id(member): inner_uri(path, name) for name, member in names.items()}
    row: dict[str, Any] = {}
    pictures: dict[str, str] = {}
    left: list[str] = []
    for suffix, member in members.items():
        kind = suffix.rpartition(".")[2].lower()
        if kind == "json":
            row = {**_fields(suffix, _loaded(tar, member)), **row}
        elif kind in TEXTS:
            row[suffix] = _text(_loaded(tar, member))
        elif kind in PICTURES or (takes_rest(corpus.card) and sniff(tar.head(member)) is not None):
            pictures[suffix] = uris[id(member)]
        elif takes_rest(corpus.card):
            text = _if_text(tar, member)
            row.update({} if text is None else {suffix or NO_ENDING: text})
            left += [kind_of("member", ending_of(member.name))] if text is None else []
    row.pop(PICTURE, None)
    row.pop(PASSED_OVER, None)
    if not corpus.card.fields and is_finished(row):
        return _finished(path, sample.key, row, pictures, members)
    return _mapped(corpus.card, sample.key, row, pictures, left)


def _finished(
    path: str, key: str, row: dict[str, Any], pictures: Mapping[str, str], members: Mapping[str, Member]
) -> Record:
    """The record of a sample of ours: its JSON says all of it, so any other member that it does not name is left."""
    named = members_of(row)
    row[PICTURE] = [pictures.get(name) or inner_uri(path, f"{key}.{name}") for name in named]
    others = [member for suffix, member in members.items() if suffix != "json" and suffix not in named]
    return Record(key, _telling(row, [kind_of("member", ending_of(other.name)) for other in others]), finished=True)


def _mapped(card: Card, key: str, row: dict[str, Any], pictures: Mapping[str, str], left: list[str]) -> Record:
    """The record of a sample's fields and pictures, as the card or, without fields, the names themselves map them."""
    if not card.fields and "txt" in row and "text" not in row and "caption" not in row:
        row["text"] = row["txt"]
    named = _picture_columns(card)
    everything = takes_rest(card) and bool(pictures)
    if everything or any(name in pictures for name in named) or not any(name in row for name in named):
        chosen = [name for name in named if name in pictures] if named else _usual(pictures)
        chosen += [name for name in pictures if name not in chosen] if everything else []
        row = {**row, **pictures, PICTURE: [pictures[name] for name in chosen]}
    return Record(key, _telling(row, left))


def _telling(row: dict[str, Any], left: list[str]) -> dict[str, Any]:
    """The row, and what of its sample was left."""
    return {**row, PASSED_OVER: left} if left else row


def _picture_columns(card: Card) -> list[str]:
    """The columns that the card's own fields name as pictures."""
    if "image" not in card.fields and "images" not in card.fields:
        return []
    columns = columns_of(card).get("image", ())
    return [name for column in columns for name in names_of(column)]


def _usual(pictures: Mapping[str, str]) -> list[str]:
    """`jpg`, then `0.jpg`, `1.jpg` ... by number; where there are none of these, all pictures as they lie."""
    heads = {suffix: suffix.rpartition(".")[0] for suffix in pictures}
    usual = [suffix for suffix, head in heads.items() if not head or (head.isascii() and head.isdigit())]
    return sorted(usual, key=lambda suffix: int(heads[suffix] or -1)) or list(pictures)


def _by_suffix(sample: TarSample) -> dict[str, Member]:
    """The members by what follows the key.

    Raises:
        RecordError: one of them is no plain file, has a name that no archive should hold, or is there twice.
    """
    found: dict[str, Member] = {}
    for member in sample.members:
        name = plain(member.name)
        if (flaw := flaw_of(name)) is not None:
            raise RecordError(flaw[1], flaw[0])
        suffix = base(name).partition(".")[2]
        if member.refusal:
            raise RecordError(f"a member is not read: {member.refusal}")
        if suffix in found:
            raise RecordError("two members have the same name")
        found[suffix] = member
    return found


def _loaded(tar: TarFragment, member: Member) -> bytes:
    if member.size > MAX_RECORD_BYTES:
        raise RecordError(TOO_LONG)
    return tar.data(member)


def _if_text(tar: TarFragment, member: Member) -> str | None:
    """What a member says that nobody declared to be text; None where it is none."""
    if member.size > MAX_RECORD_BYTES or b"\0" in tar.head(member):
        return None
    with suppress(RecordError):
        return _text(_loaded(tar, member))
    return None


def _fields(suffix: str, data: bytes) -> dict[str, Any]:
    value = parse_json(data)
    if suffix.lower() == "json":
        return value if isinstance(value, dict) else {"json": value}
    return {suffix[: -len(".json")]: value}


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RecordError("not UTF-8", Reason.RECORD_ENCODING) from None
