"""The provenance channel: eval sets made from a corpus of the data, and corpora of the data that hold an eval set."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sources.cards import catalogue

MADE_FROM: Mapping[str, tuple[str, ...]] = {"pmc_15m": ("pmc",)}
"""Corpus -> what it was made from, of those that have no card: cards say it of themselves."""

ALIASES: Mapping[str, str] = {
    "chestxray14": "nih_cxr",
    "chestxray8": "nih_cxr",
    "indianareports": "iu_xray",
    "llavamedalignment": "llava_med",
    "llavamedinstruct": "llava_med",
    "mimiccxrjpg": "mimic_cxr",
    "nihchestxray14": "nih_cxr",
    "nihfilms": "nih_cxr",
    "openi": "iu_xray",
    "pmc15m": "pmc_15m",
    "pmcoabeta": "pmc_oa",
    "pmcoajsonl": "pmc_oa",
    "pmcvqav2": "pmc_vqa",
    "pubmedcentral": "pmc",
    "pubmedvisionalignment": "pubmedvision",
    "pubmedvisioninstruct": "pubmedvision",
}
"""Other names of corpora, folded."""
_UNFOLDED = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Derivation:
    """An eval set and a corpus in the data that it was made from, or that holds it or what it was made from.

    `path` is the way between them, both ends included.
    """

    source: str
    eval_set: str
    path: tuple[str, ...]


def folded(name: str) -> str:
    """A name without case, spaces and punctuation: `PMC-OA` and `pmc_oa` are one corpus."""
    return _UNFOLDED.sub("", name.lower())


def ancestors(made_from: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Every corpus that some corpora were made from, themselves included: folded name -> the shortest way to it."""
    parents = _parents()
    ways: dict[str, tuple[str, ...]] = {}
    level: list[tuple[tuple[str, ...], str]] = [((), name) for name in made_from]
    while level:
        following: list[tuple[tuple[str, ...], str]] = []
        for way, name in level:
            corpus = _canonical(name)
            if corpus in ways:
                continue
            ways[corpus] = (*way, name)
            following.extend((ways[corpus], parent) for parent in parents.get(corpus, ()))
        level = following
    return ways


@lru_cache(maxsize=1)
def _parents() -> Mapping[str, tuple[str, ...]]:
    """Canonical name of a corpus -> what it was made from, here or by its card."""
    parents: dict[str, tuple[str, ...]] = {folded(child): named for child, named in MADE_FROM.items()}
    for card in catalogue().values():
        own = _canonical(card.name)
        others = [name for name in card.made_from if _canonical(name) != own]
        parents[own] = tuple(dict.fromkeys((*parents.get(own, ()), *others)))
    return parents


def derivations(made_from: Mapping[str, Sequence[str]], sources: Iterable[str]) -> list[Derivation]:
    """Which of the data's sources the eval sets were made from, or are held by, directly or through other corpora.

    Args:
        made_from: eval set -> the corpora that its card names.
        sources: the data's, as recipe, catalogue or folder call them.

    Returns:
        Sorted by eval set and source.
    """
    named = sorted(set(sources))
    found: list[Derivation] = []
    for eval_set in sorted(made_from):
        ways = ancestors(made_from[eval_set])
        inside: dict[str, tuple[str, ...]] = {_canonical(eval_set): (), **ways}
        for source in named:
            held = _held_by(source)
            shared = sorted(inside.keys() & held.keys(), key=lambda name: (len(inside[name]), name))
            if _canonical(source) in ways:
                found.append(Derivation(source, eval_set, (eval_set, *ways[_canonical(source)])))
            elif shared:
                found.append(Derivation(source, eval_set, (eval_set, *inside[shared[0]], *held[shared[0]])))
    return found


def _held_by(source: str) -> dict[str, tuple[str, ...]]:
    """Every corpus that one holds, directly or through others: canonical name -> the way from its holder to the one."""
    holds = {_canonical(card.name): card.holds for card in catalogue().values() if card.holds}
    ways: dict[str, tuple[str, ...]] = {}
    level: list[tuple[str, tuple[str, ...]]] = [(name, (source,)) for name in holds.get(_canonical(source), ())]
    while level:
        name, way = level.pop(0)
        corpus = _canonical(name)
        if corpus not in ways:
            ways[corpus] = way
            level.extend((inner, (name, *way)) for inner in holds.get(corpus, ()))
    return ways


def _canonical(name: str) -> str:
    return folded(ALIASES.get(folded(name), name))
