"""ROCO's groups against the articles that its splits share, as they were counted from its licence lists."""

from collections import defaultdict
from pathlib import Path

import orjson

from sources.cards import Layout, catalogue
from sources.columns import value_of
from sources.find import find_corpus
from sources.identity import Identity
from sources.readers.registry import reader_named
from sources.records import Record
from sources.storage import LocalFolder

SPLITS = ("train", "validation", "test")
KINDS = ("radiology", "non-radiology")


def test_articles_in_several_splits_are_exactly_the_listed_ones(shared_data: Path) -> None:
    card = catalogue()["roco"]
    files = {split: tuple(f"data/{split}/{kind}/licences.txt" for kind in KINDS) for split in SPLITS}
    fields = {"id": "ROCO_ID", "text": "CC", "article": card.fields["article"], "figure": card.fields["figure"]}
    # All pictures have a licence, but not all of the copy have a caption: the card's groups are of the same column.
    listing = {"layout": Layout(roots=card.layout.roots, files=files), "options": {}, "join": None, "forms": ()}
    corpus = find_corpus(
        card.model_copy(update={**listing, "fields": fields}), "roco", [LocalFolder(shared_data)], Identity("roco"),
        splits=SPLITS,
    )  # fmt: skip
    assert corpus is not None
    reader = reader_named("csv")
    seen: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for fragment in reader.plan(corpus, corpus.files):
        for record in reader.read(corpus, fragment):
            assert isinstance(record, Record)
            article = value_of(corpus.card, record, "article")
            suffix = ":nonrad" if "/non-radiology/" in fragment.path else ""
            seen[article][corpus.splits[fragment.path]].add(record.row["ROCO_ID"] + suffix)
    shared = {article: by_split for article, by_split in seen.items() if len(by_split) > 1}
    rows = (orjson.loads(line) for line in (shared_data / "leaks/roco_shared_articles.jsonl").read_bytes().splitlines())
    listed = {
        row["pmcid"]: {split: set(row[split]) for split in SPLITS if row.get(split)}
        for row in rows
        if row["pmcid"] != "PMC"
    }
    assert len(listed) == 9274
    assert shared == listed
