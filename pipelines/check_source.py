"""A look at a corpus before a build: is it there, and is it what its card says?"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import ceil
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from pipelines.errors import CurateError, UsageError
from pipelines.join_matches import Matches
from pipelines.missing_pictures import whereabouts
from pipelines.origins import Origins, origin_lines
from pipelines.session import Located
from pipelines.source_columns import Columns
from pipelines.sources import known_card, read_key
from sources.cards import Card, catalogue
from sources.columns import text_field
from sources.find import find_corpus
from sources.gaps import gaps
from sources.identity import Identity
from sources.mapping import Prompts, image_uris, to_sample
from sources.other_packings import left_packed
from sources.readers.parquet import parquet_columns
from sources.readers.registry import reader_named
from sources.records import Corpus, CorpusError, Fragment, Record, RecordError, Unreadable
from sources.schema import UNKNOWN_LICENSE
from sources.storage import Folder, LocalFolder, StoreError, base_of

RECORDS = 300
FILES = 10
FRAGMENTS = 30
"""Of how many fragments the records are: each has at most 4,096, and all of those are parsed."""
PLANNED_BYTES, PLANNED_BYTES_AWAY = 256 * 2**20, 32 * 2**20
"""Of all files together that are cut into fragments, on this machine and elsewhere: cutting a file reads it."""
FEW = 0.1
"""Share of the records below which ones without text are as published: a column that is read wrong empties most, while
3 of 300 Indiana reports have neither findings nor impression (`python -m benchmarks.checked_corpora`)."""
SHOWN = 3
SHOWN_CHARS = 300
T = TypeVar("T")
PROMPTS = Prompts(caption=("(a prompt of the recipe)",), report=("(a prompt of the recipe)",))
"""What stands in the samples that are shown where a recipe's prompt would."""


@dataclass
class _Look:
    """What was seen of a corpus."""

    corpus: Corpus
    columns: Columns
    origins: Origins
    read: int = 0
    samples: list[dict[str, Any]] = field(default_factory=list)
    problems: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    """What is odd and may be so in the corpus as published."""
    keys: Counter[str] = field(default_factory=Counter)
    pictures: int = 0
    missing: int = 0
    first_missing: str | None = None
    begun: int = 0
    """Files of which the beginning alone was looked at, for their size."""
    matches: Matches = field(default_factory=Matches)


def check_source(name: str, roots: Sequence[Folder], id_key: Path | None) -> dict[str, Any]:
    """Read up to 300 records spread over the corpus's files.

    Raises:
        UsageError: no such card, no such corpus under the roots, or a keyed corpus without a key.
        CurateError: the place cannot be read now, or the corpus must be asked for first; the hint says how.
    """
    card = known_card(name)
    corpus = _found(card, name, roots)
    if corpus is None:
        places = ", ".join(root.place for root in roots)
        there = _found_in_its_folders(card, roots)
        other = (
            f" There is {', '.join(there)} in a folder of that name: `curate sources check {there[0]}`."
            if there
            else ""
        )
        raise UsageError(
            f"{name}: not found under {places}", f"{_looked_for(card)}{other} {card.fetch or f'see {card.home}'}"
        )
    if card.keyed:
        corpus = replace(corpus, identity=Identity(name, read_key(name, id_key)))
    look = _Look(corpus, Columns(corpus.card), Origins(corpus))
    _read(look)
    _judge(look)
    return _answer(look, roots)


def _found(card: Card, name: str, roots: Sequence[Folder]) -> Corpus | None:
    try:
        return find_corpus(card, name, roots, Identity(name))
    except StoreError as error:
        raise CurateError(f"{name}: {error.strerror}", f"{error.hint}. {card.fetch}") from None
    except CorpusError as error:
        raise CurateError(str(error)) from None


def _looked_for(card: Card) -> str:
    """Where the card's files are expected, form by form."""
    ways = []
    for form in card.all_forms:
        files = form.layout.files
        globs = files if isinstance(files, tuple) else [glob for several in files.values() for glob in several]
        ways.append(f"{', '.join(globs[:3])} in a folder called {' or '.join(form.layout.roots[:3])}")
    return f"looked for {'; or '.join(ways)}."


def _read(look: _Look) -> None:
    corpus = look.corpus
    reader = reader_named(corpus.card.reader)
    whole = reader.unit == "folder"
    files = corpus.files if whole else _spread(corpus.files, FILES)
    batches = [files] if whole else [(path,) for path in files]
    for batch in batches:
        try:
            if corpus.card.reader == "parquet":
                look.columns.see_schema(parquet_columns(corpus, batch[0]))
            fragments = _spread(_planned(look, batch, len(batches)), ceil(FRAGMENTS / len(batches)))
            share = ceil(RECORDS / len(batches) / max(1, len(fragments)))
            for fragment in fragments:
                for item in _some(reader.read(corpus, fragment), fragment, share):
                    look.read += 1
                    _take(look, Located(corpus, fragment, reader), item)
        except CorpusError as error:
            look.problems[str(error)] += 1


def _planned(look: _Look, paths: Sequence[str], batches: int) -> list[Fragment]:
    """The fragments of files; of those that are read to be cut as many as their share of PLANNED_BYTES holds."""
    corpus = look.corpus
    reader = reader_named(corpus.card.reader)
    planned = iter(reader.plan(corpus, paths))
    if reader.unit == "folder":
        return list(planned)
    if len(corpus.files) > FILES:  # of many the beginnings are spread enough
        return list(islice(planned, 1))
    if corpus.card.reader == "parquet":  # cut by its footer
        return list(planned)
    left = _planned_bytes(corpus) // batches
    fragments: list[Fragment] = []
    for fragment in planned:
        if left <= 0:
            look.begun += 1
            break
        fragments.append(fragment)
        left -= fragment.size
    return fragments


def _planned_bytes(corpus: Corpus) -> int:
    return PLANNED_BYTES if isinstance(base_of(corpus.root), LocalFolder) else PLANNED_BYTES_AWAY


def _spread(items: Sequence[T], count: int) -> list[T]:
    """At most so many of the items, the first, the last and evenly between them."""
    if len(items) <= count:
        return list(items)
    return [items[number * (len(items) - 1) // max(1, count - 1)] for number in range(count)]


def _some(items: Iterable[Record | Unreadable], fragment: Fragment, count: int) -> Iterator[Record | Unreadable]:
    """Records spread over a fragment, and all that cannot be read; the first of what holds files, not records."""
    if fragment.counted == "files" or fragment.files:
        yield from islice(items, count)
        return
    taken = frozenset(_spread(range(fragment.records), count))
    yield from (item for number, item in enumerate(items) if number in taken or isinstance(item, Unreadable))


def _take(look: _Look, located: Located, item: Any) -> None:
    corpus, path = located.corpus, located.fragment.path
    if not isinstance(item, Record):
        look.problems[f"{item.reason}: {item.detail}"] += 1
        return
    look.columns.see(item)
    look.origins.see(item)
    try:
        look.matches.see(corpus, path, item)
        sample = to_sample(corpus, path, item, PROMPTS)
        uris = image_uris(corpus, path, item)
    except RecordError as error:
        look.problems[f"{error.reason}: {error}"] += 1
        return
    except (KeyError, TypeError, ValueError) as error:
        look.problems[f"record.malformed: {type(error).__name__}"] += 1
        return
    look.samples.append(sample)
    own = text_field(corpus.card, item, "id")
    if own is not None:  # a column that only the form calls id may name pictures, in each file of them
        look.keys[own if "id" in corpus.card.fields else f"{path}#{own}"] += 1
    for uri in uris:
        look.pictures += 1
        if not located.is_there(uri):
            look.missing += 1
            look.first_missing = look.first_missing or uri


def _judge(look: _Look) -> None:
    """Add what is not as the card says."""
    card, problems = look.corpus.card, look.problems
    problems.update(look.columns.mismatches(shown=not card.keyed))
    if not look.read and not problems:
        problems["no record in all its files: empty, or cut off in download"] += 1
    problems.update(look.matches.problems(look.corpus))
    for gap in gaps(look.corpus):
        (problems if gap.sure else look.notes)[gap.detail] += gap.absent
    packed = left_packed(look.corpus)
    if packed is not None:
        problems[packed] += 1
    empty = sum(not sample["turns"] for sample in look.samples)
    if empty:
        few = empty < FEW * len(look.samples)
        (look.notes if few else problems)["a record has no text to learn from"] += empty
    if look.missing:
        share = f"{look.missing / look.pictures:.0%} of the {look.pictures} pictures that records name"
        where = "" if look.first_missing is None else whereabouts(look.corpus, look.first_missing)
        problems[f"image.missing: {share} are not where the records say{where}"] += look.missing
    for kind, share_known in _coverage(look.corpus, look.samples).items():
        without = round((1 - share_known) * len(look.samples))
        if without:
            problems[f"a record has no group {kind!r}, which the card promises"] += without
    repeated = sum(count - 1 for count in look.keys.values())
    if repeated:
        problems["an id is that of another record, too"] += repeated


def _answer(look: _Look, roots: Sequence[Folder]) -> dict[str, Any]:
    corpus = look.corpus
    licenses = Counter(sample["license"] for sample in look.samples)
    return {
        "name": corpus.name,
        "where": corpus.root.place,
        "reader": corpus.card.reader,
        "files": len(corpus.files),
        "files_begun": look.begun,
        "records_read": look.read,
        "splits": dict(sorted(Counter(str(sample["split"]) for sample in look.samples).items())),
        "licenses": dict(licenses.most_common()),
        "origins": look.origins.answer(),
        "pictures": {"named": look.pictures, "missing": look.missing},
        "problems": [{"what": what, "count": count} for what, count in look.problems.most_common()],
        "notes": [{"what": what, "count": count} for what, count in look.notes.most_common()],
        "group_coverage": _coverage(corpus, look.samples),
        "also_here": _others(corpus, roots),
        "samples": [_shown(corpus, sample) for sample in look.samples[:SHOWN]],
    }


def _others(corpus: Corpus, roots: Sequence[Folder]) -> list[str]:
    """Other corpora whose files are in the very folder of this one: only those that would look there by its name."""
    here = {PurePosixPath(corpus.root.place).name.partition("@")[0].lower()}
    return [name for name, place in _looking_in(here, corpus.name, roots) if place == corpus.root.place]


def _found_in_its_folders(card: Card, roots: Sequence[Folder]) -> list[str]:
    """Other corpora that are found in a folder that is called as one of the card's."""
    named = _folder_names(card)
    found = _looking_in(named, card.name, roots)
    return [name for name, place in found if PurePosixPath(place).name.partition("@")[0].lower() in named]


def _looking_in(folders: set[str], own: str, roots: Sequence[Folder]) -> Iterator[tuple[str, str]]:
    """The other corpora of the catalogue that look in folders of such names and are found, and where each is."""
    for name, card in catalogue().items():
        if name == own or not folders & _folder_names(card):
            continue
        try:
            other = find_corpus(card, name, roots, Identity(name))
        except (CorpusError, StoreError):
            continue
        if other is not None:
            yield name, other.root.place


def _folder_names(card: Card) -> set[str]:
    names = {PurePosixPath(root).name.lower() for form in card.all_forms for root in form.layout.roots}
    return names - {"", "."}


def _coverage(corpus: Corpus, samples: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Share of samples that have each kind of group the card promises."""
    kinds = [{group["kind"] for group in sample["groups"] or ()} for sample in samples]
    count = max(1, len(samples))
    return {kind: round(sum(kind in found for found in kinds) / count, 4) for kind in corpus.card.groups}


def _shown(corpus: Corpus, sample: dict[str, Any]) -> dict[str, Any]:
    """A sample for people: of keyed and credentialed corpora its form only, never what it says or who it is."""
    private = corpus.card.keyed or corpus.card.access == "credentialed"
    turns = [
        {"role": turn["role"], "characters": len(turn["text"])}
        if private
        else {"role": turn["role"], "text": turn["text"][:SHOWN_CHARS]}
        for turn in sample["turns"] or ()
    ]
    kinds = [group["kind"] for group in sample["groups"] or ()]
    names = ("split", "task", "license") if private else ("sample_id", "source_key", "split", "task", "license")
    groups = kinds if private else sample["groups"]
    held = {name: sample[name] for name in names}
    return {**held, "groups": groups, "turns": turns, "images": len(sample["images"] or ())}


def check_lines(found: dict[str, Any]) -> list[str]:
    """The answer for people."""
    count = f"{found['records_read']} records read"
    lines = [f"{found['name']}: {found['files']} files in {found['where']} (reader {found['reader']}), {count}"]
    if found["files_begun"]:
        lines.append(
            f"  of {found['files_begun']} of them, which are large, the first records alone: the rest is unseen"
        )
    lines += [f"  split {split}: {number}" for split, number in found["splits"].items() if split != "None"]
    lines += [f"  {kind} known for {share:.0%}" for kind, share in found["group_coverage"].items()]
    if found["licenses"].get(UNKNOWN_LICENSE):
        lines.append(f"  licence unknown for {found['licenses'][UNKNOWN_LICENSE]} of them")
    lines += origin_lines(found["origins"])
    lines += [f"  the corpus {name} is in the same folder" for name in found["also_here"]]
    for sample in found["samples"]:
        lines.append(f"  sample {sample.get('source_key', '(not shown)')} ({sample['images']} pictures)")
        lines += [f"    {turn['role']}: {_told(turn)}" for turn in sample["turns"]]
    lines += [f"  note: {note['what']} ({note['count']} times)" for note in found["notes"]]
    lines += [f"  problem: {problem['what']} ({problem['count']} times)" for problem in found["problems"]]
    return lines


def _told(turn: dict[str, Any]) -> str:
    return str(turn["text"]) if "text" in turn else f"({turn['characters']} characters)"
