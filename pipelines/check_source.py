"""A look at a corpus before a build: is it there, and is it what its card says?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from pipelines.errors import CurateError, UsageError
from pipelines.session import Located
from pipelines.sources import known_card, read_key
from sources.find import find_corpus
from sources.identity import Identity
from sources.mapping import Prompts, image_uris, to_sample
from sources.readers.registry import reader_named
from sources.records import Corpus, CorpusError, Record
from sources.storage import Folder

RECORDS = 300
SHOWN = 3
SHOWN_CHARS = 300


def check_source(name: str, roots: Sequence[Folder], id_key: Path | None) -> dict[str, Any]:
    """Read up to 300 records spread over the corpus's files.

    Raises:
        UsageError: no such card, no such corpus under the roots, or a keyed corpus without a key.
    """
    card = known_card(name)
    try:
        corpus = find_corpus(card, name, roots, Identity(name))
    except CorpusError as error:
        raise CurateError(str(error)) from None
    if corpus is None:
        places = ", ".join(root.place for root in roots)
        raise UsageError(f"{name}: not found under {places}", card.fetch or f"see {card.home}")
    if card.keyed:
        corpus = replace(corpus, identity=Identity(name, read_key(name, id_key)))
    return _read(corpus)


def _read(corpus: Corpus) -> dict[str, Any]:
    reader = reader_named(corpus.card.reader)
    files = corpus.files if reader.unit == "folder" else corpus.files[:: max(1, len(corpus.files) // 10)]
    share = RECORDS if reader.unit == "folder" else max(1, RECORDS // max(1, len(files)))
    problems: Counter[str] = Counter()
    samples: list[dict[str, Any]] = []
    batches = [files] if reader.unit == "folder" else [(path,) for path in files]
    read = 0
    for batch in batches:
        try:
            fragments = reader.plan(corpus, batch)
            items = ((fragment, item) for fragment in fragments for item in reader.read(corpus, fragment))
            for fragment, item in islice(items, share):
                read += 1
                _take(Located(corpus, fragment, reader), item, samples, problems)
        except CorpusError as error:
            problems[str(error)] += 1
    return {
        "name": corpus.name,
        "where": corpus.root.place,
        "files": len(corpus.files),
        "records_read": read,
        "problems": [{"what": what, "count": count} for what, count in problems.most_common()],
        "group_coverage": _coverage(corpus, samples),
        "samples": [_shown(sample) for sample in samples[:SHOWN]],
    }


def _take(located: Located, item: Any, samples: list[dict[str, Any]], problems: Counter[str]) -> None:
    corpus, path = located.corpus, located.fragment.path
    if not isinstance(item, Record):
        problems[f"{item.reason}: {item.detail}"] += 1
        return
    try:
        sample = to_sample(corpus, path, item, Prompts())
    except (KeyError, TypeError, ValueError) as error:
        problems[f"record.malformed: {type(error).__name__}"] += 1
        return
    samples.append(sample)
    missing = sum(not located.is_there(uri) for uri in image_uris(corpus, path, item))
    if missing:
        problems["a picture is not where the record says"] += 1
    if not sample["turns"]:
        problems["a record has no text"] += 1


def _coverage(corpus: Corpus, samples: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Share of samples that have each kind of group the card promises."""
    kinds = [{group["kind"] for group in sample["groups"] or ()} for sample in samples]
    count = max(1, len(samples))
    return {kind: round(sum(kind in found for found in kinds) / count, 4) for kind in corpus.card.groups}


def _shown(sample: dict[str, Any]) -> dict[str, Any]:
    turns = [{"role": turn["role"], "text": turn["text"][:SHOWN_CHARS]} for turn in sample["turns"] or ()]
    names = ("sample_id", "source_key", "split", "task", "license", "groups")
    return {**{name: sample[name] for name in names}, "turns": turns, "images": len(sample["images"] or ())}


def check_lines(found: dict[str, Any]) -> list[str]:
    """The answer for people."""
    lines = [
        f"{found['name']}: {found['files']} record files in {found['where']}, {found['records_read']} records read"
    ]
    lines += [f"  {kind} known for {share:.0%}" for kind, share in found["group_coverage"].items()]
    for sample in found["samples"]:
        lines.append(f"  sample {sample['source_key']} ({sample['images']} pictures)")
        lines += [f"    {turn['role']}: {turn['text']}" for turn in sample["turns"]]
    lines += [f"  problem: {problem['what']} ({problem['count']} times)" for problem in found["problems"]]
    return lines
