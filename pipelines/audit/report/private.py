"""Which sources may tell of people: of them no page has text or pictures."""

from collections.abc import Iterable, Sequence

from pipelines.audit.report.sides import CREDENTIALED
from pipelines.places import folder_of
from pipelines.report.beside import private_sources
from pipelines.run_directory import RUN, read_run
from sources.cards import catalogue
from sources.records import Corpus


def private_in(places: Sequence[str]) -> frozenset[str]:
    """The private sources of the runs among the places that were given to audit, or whose shards were."""
    found: set[str] = set()
    for place in places:
        parent, _, last = place.rstrip("/").rpartition("/")
        for one in (place, *([parent or "."] if last == "shards" else [])):
            folder = folder_of(one, "DATA")
            if folder.exists() and folder.stat(RUN) is not None:
                document = read_run(folder)
                found |= private_sources(document) if "inputs" in document else set()
    return frozenset(found)


def private_among(corpora: Iterable[Corpus]) -> frozenset[str]:
    """The corpora that are keyed or credentialed, by their own cards or by those of the catalogue with their names."""
    cards = catalogue()
    return frozenset(
        corpus.name
        for corpus in corpora
        for card in (corpus.card, cards.get(corpus.name, corpus.card))
        if corpus.identity.keyed or card.keyed or card.access == CREDENTIALED
    )
