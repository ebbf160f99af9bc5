"""What no page shows: text and pictures of sources that may tell of people, and pictures that a reviewer took out.

Every page asks here, of the runs that it is about or of the corpora that it reads.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.places import folder_of
from pipelines.run_directory import RUN, read_run
from sources.cards import catalogue, tells_of_people
from sources.records import Corpus


@dataclass(frozen=True)
class Hidden:
    """Sources of which a page has neither text nor pictures, and pictures that it has of no source."""

    sources: frozenset[str] = frozenset()
    pictures: frozenset[str] = frozenset()
    """Image ids of whole pictures of which a reviewer wants something, or all, not to be seen."""


def private_sources(run: Mapping[str, Any]) -> frozenset[str]:
    """Sources of a run (the document of `run.json`) that may tell of people, as what is recorded there or a card says.

    All of them, where the recipe has every source searched for identifiers: what was found must not stand on a page.
    """
    recipe = run["identity"]["recipe"]
    phi = recipe["steps"].get("phi", {})
    every = phi.get("enabled", False) and phi.get("sources") == "all"
    readers = {entry["name"]: entry.get("reader") for entry in recipe["sources"]}
    return frozenset(
        entry["source"]
        for entry in run["inputs"]
        if every
        or tells_of_people(entry.get("identifiers") != "public", entry["access"], readers.get(entry["source"]))
        or _is_told_by_a_card(entry["source"])
    )


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
    """The corpora that may tell of people, by their own cards or by those of the catalogue with their names."""
    return frozenset(
        corpus.name
        for corpus in corpora
        if corpus.identity.keyed or corpus.card.tells_of_people or _is_told_by_a_card(corpus.name)
    )


def _is_told_by_a_card(source: str) -> bool:
    """Whether the catalogue knows the name as one of a corpus that tells of people, in any of its forms."""
    card = catalogue().get(source)
    return card is not None and any(form.tells_of_people for form in card.all_forms)
