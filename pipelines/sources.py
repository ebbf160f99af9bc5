"""From recipe to corpora: which sources are there, under which terms, and how they name people."""

import difflib
import errno
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipelines.errors import CurateError, UsageError
from pipelines.recipe import Recipe, SourceEntry
from sources.cards import Card, catalogue
from sources.columns import TELL_SPLITS
from sources.find import find_corpus
from sources.gaps import gaps
from sources.identity import Identity, MissingIdKeyError, read_site_key
from sources.joins import by_exchange
from sources.other_packings import left_packed
from sources.readers.companions import awaiting_rows
from sources.records import Corpus, CorpusError
from sources.storage import Folder, StoreError


@dataclass(frozen=True)
class Sources:
    """The recipe's sources: the ones found, in its order, and the optional ones that are not there."""

    found: tuple[Corpus, ...]
    entries: tuple[SourceEntry, ...]
    """Of the found ones."""
    missing: tuple[str, ...]
    keyed: frozenset[str] = frozenset()
    """Names of all sources of the recipe, found or not, whose identifiers are keyed."""
    site_key: bytes | None = None


def find_sources(recipe: Recipe, roots: Sequence[Folder], id_key: Path | None) -> Sources:
    """Look for every source of the recipe under the data roots.

    Raises:
        UsageError: an unknown name, a source that must be there and is not, none at all, a source that the
            recipe's policy refuses, or a keyed source without a site key.
    """
    _check_roots(roots)
    found, entries, missing, keyed = [], [], [], set()
    for entry in recipe.sources:
        card = card_of(entry)
        by_file = isinstance(card.layout.files, dict) or card.reader in TELL_SPLITS
        if entry.split and not by_file and "split" not in card.fields:
            raise UsageError(
                f"source {entry.name}: takes split {', '.join(entry.split)}, and no field tells a split",
                "map it: fields: {split: COLUMN}",
            )
        if card.keyed:
            keyed.add(entry.name)
        corpus = _find(entry, card, roots)
        if corpus is None:
            missing.append(_absent(entry, card, roots))
            continue
        _check_policy(recipe, corpus)
        corpus = _named(corpus, id_key)
        corpus = replace(corpus, sought=recipe.steps.phi.seeks(corpus))
        found.append(awaiting_rows(corpus) if by_exchange(corpus) else corpus)
        entries.append(entry)
    if not found:
        raise UsageError(
            f"none of the recipe's {len(recipe.sources)} sources is under {_list(roots)}",
            "pass the folder that holds the corpora with --data; `curate sources list` names what is known",
        )
    return Sources(tuple(found), tuple(entries), tuple(missing), frozenset(keyed), site_key_in(id_key))


def warnings_of(sources: Sources) -> list[str]:
    """What is odd about the sources and ends nothing: holes in the numbers of their files, and packed ones."""
    found = []
    for corpus in sources.found:
        packed = left_packed(corpus)
        found += [*(gap.detail for gap in gaps(corpus)), *([] if packed is None else [packed])]
    return found


def card_of(entry: SourceEntry) -> Card:
    """The catalogue's card with the entry's own settings over it, or a card made of the entry alone.

    Raises:
        UsageError: the name is not in the catalogue and the entry does not say how to read it.
    """
    known = catalogue().get(entry.name)
    given: dict[str, Any] = entry.model_dump(
        exclude={"name", "path", "weight", "optional", "split", "budget", "images"}, exclude_unset=True
    )
    if known is None:
        return _own_card(entry, given)
    document = known.model_dump()
    if entry.reader is not None or entry.fields or entry.images is not None:
        document["forms"] = ()  # what is given here is of one form, and no other is tried
    document["fields"] |= given.pop("fields", {})
    document["options"] |= given.pop("options", {})
    document |= given
    if entry.images is not None:
        document["layout"]["images"] = entry.images
    return _validated(entry, document)


def known_card(name: str) -> Card:
    """The catalogue's card of that name.

    Raises:
        UsageError: there is none; the hint names the nearest.
    """
    card = catalogue().get(name)
    if card is None:
        nearest = difflib.get_close_matches(name, catalogue(), 1, 0.5)
        hint = f"did you mean {nearest[0]!r}?" if nearest else "`curate sources list` names them all"
        raise UsageError(f"{name}: no such corpus in the catalogue", hint)
    return card


def read_key(source: str, id_key: Path | None) -> bytes:
    """The site key that a keyed source needs.

    Raises:
        UsageError: no key was given, or it cannot be used.
    """
    site_key = site_key_in(id_key)
    if site_key is None:
        raise UsageError(
            f"source {source} holds identifiers that may only be stored keyed",
            "pass --id-key FILE with your site's secret key (16 bytes or more; keep it out of the run)",
        )
    return site_key


def _own_card(entry: SourceEntry, given: dict[str, Any]) -> Card:
    if entry.reader is None:
        nearest = difflib.get_close_matches(entry.name, catalogue(), 1, 0.5)
        hint = f"did you mean {nearest[0]!r}? " if nearest else ""
        raise UsageError(
            f"source {entry.name}: not in the catalogue, and the recipe gives it no reader",
            f"{hint}`curate sources list` names the catalogue; your own data needs reader, path, task and access",
        )
    for key in ("path", "task", "access"):
        if getattr(entry, key) is None:
            raise UsageError(f"source {entry.name}: {key} is missing", "your own data needs reader, path, task, access")
    layout = {"files": (entry.path,), "images": entry.images}
    return _validated(entry, {**given, "name": entry.name, "layout": layout})


def _validated(entry: SourceEntry, document: dict[str, Any]) -> Card:
    try:
        return Card.model_validate(document)
    except ValidationError as error:
        details = error.errors()[0]
        where = ".".join(str(part) for part in details["loc"])
        raise UsageError(f"source {entry.name}: {where}: {details['msg']}", "see docs/recipes.md") from None


def _find(entry: SourceEntry, card: Card, roots: Sequence[Folder]) -> Corpus | None:
    try:
        return find_corpus(card, entry.name, roots, Identity(entry.name), entry.path, entry.split)
    except CorpusError as error:
        raise UsageError(str(error), "") from None
    except StoreError as error:
        if error.errno != errno.EACCES:
            raise
        raise CurateError(f"source {entry.name}: {error.strerror}", f"{error.hint}. {card.fetch}".strip()) from None


def _absent(entry: SourceEntry, card: Card, roots: Sequence[Folder]) -> str:
    if not entry.optional:
        where = f"{entry.path} under " if entry.path and not card.keyed else ""
        raise UsageError(
            f"source {entry.name}: not found; looked for {where}{_list(roots)}",
            card.fetch or "give its path, or mark it `optional: true`",
        )
    return entry.name


def _check_policy(recipe: Recipe, corpus: Corpus) -> None:
    policy = recipe.steps.license
    access = corpus.card.access
    if policy.enabled and access == "credentialed" and access not in policy.access:
        raise UsageError(
            f"source {corpus.name} is credentialed and this recipe allows {', '.join(policy.access)} only",
            f"leave {corpus.name} out, or allow it where you may: --set steps.license.access="
            f"[{','.join((*policy.access, access))}]{f'. {corpus.card.fetch}' if corpus.card.fetch else ''}",
        )


def _named(corpus: Corpus, id_key: Path | None) -> Corpus:
    if not corpus.card.keyed:
        return corpus
    return replace(corpus, identity=Identity(corpus.name, read_key(corpus.name, id_key)))


def site_key_in(path: Path | None) -> bytes | None:
    """The site key in a file, where one was given.

    Raises:
        UsageError: it cannot be used.
    """
    try:
        return None if path is None else read_site_key(path)
    except MissingIdKeyError as error:
        raise UsageError(str(error), "make one with: head -c 32 /dev/urandom | base64 > site.key") from None


def _check_roots(roots: Sequence[Folder]) -> None:
    for root in roots:
        if not root.exists():
            raise UsageError(f"--data {root.place}: no such folder", "check the path")


def _list(roots: Sequence[Folder]) -> str:
    return ", ".join(root.place for root in roots) or "(no --data given)"
