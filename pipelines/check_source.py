"""A look at a corpus before a build: is it there, and is it what its card says?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from pipelines.errors import CurateError, UsageError
from pipelines.join_matches import Matches
from pipelines.session import Located
from pipelines.source_columns import Columns, leads_out, place_of_picture
from pipelines.sources import known_card, read_key
from sources.cards import Card, catalogue
from sources.find import find_corpus
from sources.identity import Identity
from sources.mapping import Prompts, image_uris, to_sample
from sources.readers.parquet import parquet_columns
from sources.readers.registry import reader_named
from sources.records import Corpus, CorpusError, Record, RecordError
from sources.schema import UNKNOWN_LICENSE
from sources.storage import Folder, StoreError

RECORDS = 300
FILES = 10
SHOWN = 3
SHOWN_CHARS = 300
PROMPTS = Prompts(caption=("(a prompt of the recipe)",), report=("(a prompt of the recipe)",))
"""What stands in the samples that are shown where a recipe's prompt would."""


@dataclass
class _Look:
    """What was seen of a corpus."""

    corpus: Corpus
    columns: Columns
    read: int = 0
    samples: list[dict[str, Any]] = field(default_factory=list)
    problems: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    pictures: int = 0
    missing: int = 0
    first_missing: str | None = None
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
        raise UsageError(f"{name}: not found under {places}", f"{_looked_for(card)} {card.fetch or f'see {card.home}'}")
    if card.keyed:
        corpus = replace(corpus, identity=Identity(name, read_key(name, id_key)))
    look = _Look(corpus, Columns(corpus.card))
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
    files = corpus.files if whole else corpus.files[:: max(1, len(corpus.files) // FILES)]
    share = RECORDS if whole else max(1, RECORDS // max(1, len(files)))
    for batch in [files] if whole else [(path,) for path in files]:
        try:
            if corpus.card.reader == "parquet":
                look.columns.see_schema(parquet_columns(corpus, batch[0]))
            fragments = reader.plan(corpus, batch)
            items = ((fragment, item) for fragment in fragments for item in reader.read(corpus, fragment))
            for fragment, item in islice(items, share):
                look.read += 1
                _take(look, Located(corpus, fragment, reader), item)
        except CorpusError as error:
            look.problems[str(error)] += 1


def _take(look: _Look, located: Located, item: Any) -> None:
    corpus, path = located.corpus, located.fragment.path
    if not isinstance(item, Record):
        look.problems[f"{item.reason}: {item.detail}"] += 1
        return
    look.columns.see(item)
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
    look.keys[sample["source_key"].partition("#")[2] or sample["source_key"]] += 1
    for uri in uris:
        look.pictures += 1
        if not located.is_there(uri):
            look.missing += 1
            look.first_missing = look.first_missing or uri


def _judge(look: _Look) -> None:
    """Add what is not as the card says."""
    card, problems = look.corpus.card, look.problems
    problems.update(look.columns.mismatches(shown=not card.keyed))
    problems.update(look.matches.problems(look.corpus))
    empty = sum(not sample["turns"] for sample in look.samples)
    if empty:
        problems["a record has no text to learn from"] += empty
    if look.missing:
        share = f"{look.missing / look.pictures:.0%} of the {look.pictures} pictures that records name"
        problems[f"image.missing: {share} are not where the records say{_whereabouts(look)}"] += look.missing
    for kind, share_known in _coverage(look.corpus, look.samples).items():
        without = round((1 - share_known) * len(look.samples))
        if without:
            problems[f"a record has no group {kind!r}, which the card promises"] += without
    mapped = "id" in card.fields
    repeated = sum(count - 1 for count in look.keys.values()) if mapped else 0
    if repeated:
        problems["an id is that of another record, too"] += repeated


def _whereabouts(look: _Look) -> str:
    if look.first_missing is None:
        return ""
    shown = not look.corpus.card.keyed
    out = leads_out(look.corpus.root, look.first_missing, shown=shown)
    if out is not None:
        return f" ({f'such as {look.first_missing}; ' if shown else ''}{out})"
    if not shown:
        return ""
    lies = place_of_picture(look.corpus.root, look.first_missing)
    return f" (such as {look.first_missing}{'' if lies is None else f'; one of that name is at {lies}'})"


def _answer(look: _Look, roots: Sequence[Folder]) -> dict[str, Any]:
    corpus = look.corpus
    licenses = Counter(sample["license"] for sample in look.samples)
    return {
        "name": corpus.name,
        "where": corpus.root.place,
        "reader": corpus.card.reader,
        "files": len(corpus.files),
        "records_read": look.read,
        "splits": dict(sorted(Counter(str(sample["split"]) for sample in look.samples).items())),
        "licenses": dict(licenses.most_common()),
        "pictures": {"named": look.pictures, "missing": look.missing},
        "problems": [{"what": what, "count": count} for what, count in look.problems.most_common()],
        "group_coverage": _coverage(corpus, look.samples),
        "also_here": _others(corpus, roots),
        "samples": [_shown(corpus, sample) for sample in look.samples[:SHOWN]],
    }


def _others(corpus: Corpus, roots: Sequence[Folder]) -> list[str]:
    """Other corpora whose files are in the very folder of this one: only those that would look there by its name."""
    others, here = [], PurePosixPath(corpus.root.place).name.partition("@")[0].lower()
    for name, card in catalogue().items():
        looked_in = {PurePosixPath(root).name.lower() for form in card.all_forms for root in form.layout.roots}
        if name == corpus.name or here not in looked_in:
            continue
        try:
            other = find_corpus(card, name, roots, Identity(name))
        except (CorpusError, StoreError):
            continue
        if other is not None and other.root.place == corpus.root.place:
            others.append(name)
    return others


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
    lines += [f"  split {split}: {number}" for split, number in found["splits"].items() if split != "None"]
    lines += [f"  {kind} known for {share:.0%}" for kind, share in found["group_coverage"].items()]
    if found["licenses"].get(UNKNOWN_LICENSE):
        lines.append(f"  licence unknown for {found['licenses'][UNKNOWN_LICENSE]} of them")
    lines += [f"  the corpus {name} is in the same folder" for name in found["also_here"]]
    for sample in found["samples"]:
        lines.append(f"  sample {sample.get('source_key', '(not shown)')} ({sample['images']} pictures)")
        lines += [f"    {turn['role']}: {_told(turn)}" for turn in sample["turns"]]
    lines += [f"  problem: {problem['what']} ({problem['count']} times)" for problem in found["problems"]]
    return lines


def _told(turn: dict[str, Any]) -> str:
    return str(turn["text"]) if "text" in turn else f"({turn['characters']} characters)"
