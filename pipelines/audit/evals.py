"""The eval sets that an audit is against: registered names, suites, and folders with an `evalset.yaml`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dedup.evalsets.described import is_described
from dedup.evalsets.locating import FoundSet, evalset_in, find_evalset
from dedup.evalsets.registry import EvalSet, EvalSetError, expanded, known, registry, suites
from pipelines.errors import UsageError
from pipelines.places import folder_of
from sources.records import CorpusError
from sources.storage import Folder


@dataclass(frozen=True)
class Missing:
    """An eval set that was asked for and is not there."""

    name: str
    required: bool
    fetch: str
    """How to get it, for people."""
    lacks: tuple[str, ...] = ()
    """Of one whose files are there and give no item: sentences on why."""


@dataclass(frozen=True)
class Evals:
    """The eval sets of an audit, by name: the ones found, and the ones that are not there."""

    found: tuple[FoundSet, ...]
    missing: tuple[Missing, ...]
    optional: frozenset[str] = frozenset()
    """Of the found ones those that an audit may do without."""
    articles: str | None = None
    """NCBI's table of names of articles."""

    @property
    def asked(self) -> bool:
        """Whether there is a set to protect, or one that has to be there and is not."""
        return bool(self.found) or any(one.required for one in self.missing)


def find_evals(
    asked: Sequence[str],
    required: Iterable[str] | None,
    roots: Sequence[Folder],
    site_key: bytes | None,
    articles: str | None = None,
) -> Evals:
    """Look for eval sets; `required` are the names that must be there (None: all of them).

    `articles`: NCBI's table, for sets whose groups are articles.

    Raises:
        UsageError: a name that is not registered, an `evalset.yaml` that is wrong, two sets of one name, or a keyed
            set and no site key.
    """
    for root in roots:
        if not root.exists():
            raise UsageError(f"--evals {root.place}: no such folder", "check the path")
    must = None if required is None else frozenset(_names(required))
    found: dict[str, FoundSet] = {}
    missing: dict[str, Missing] = {}
    needed_sets: set[str] = set()
    for name in dict.fromkeys(asked):
        for evalset, one in _looked_for(name, roots):
            needed = must is None or evalset.name in must or name in must
            needed_sets |= {evalset.name} if needed else set()
            if one is None:
                missing[evalset.name] = Missing(evalset.name, needed, evalset.fetch)
            elif evalset.name in found and found[evalset.name].corpus != one.corpus:
                raise UsageError(f"--against: two eval sets are called {evalset.name}", "give one another `name`")
            else:
                found[evalset.name] = one
    absent = [missing[name] for name in sorted(missing) if name not in found]
    keyed = tuple(_keyed(found[name], site_key) for name in sorted(found))
    return Evals(keyed, tuple(absent), frozenset(found) - needed_sets, articles)


def _names(names: Iterable[str]) -> list[str]:
    try:
        return [one for name in names for one in ([name] if name not in suites() else expanded([name]))]
    except EvalSetError as error:
        raise UsageError(error.message, error.hint) from None


def _looked_for(name: str, roots: Sequence[Folder]) -> list[tuple[EvalSet, FoundSet | None]]:
    """The sets that a name stands for, each with where it was found."""
    try:
        folder = _place_of(name, roots)
        if folder is not None:
            one = evalset_in(folder)
            if one is None:
                raise UsageError(f"--against {name}: the files that its evalset.yaml names are not there", "")
            return [(one.evalset, one)]
        return [_found_under(own, roots) for own in expanded([name])]
    except EvalSetError as error:
        raise UsageError(error.message, error.hint) from None
    except CorpusError as error:
        raise UsageError(str(error), "") from None


def _found_under(name: str, roots: Sequence[Folder]) -> tuple[EvalSet, FoundSet | None]:
    evalset = known(name)
    one = find_evalset(evalset, roots)
    return (evalset if one is None else one.evalset), one


def _is_place(name: str) -> bool:
    """Whether a name is written as a path or URL."""
    return "/" in name or name.startswith(".")


def _place_of(name: str, roots: Sequence[Folder]) -> Folder | None:
    """The folder that is meant: at the path, or, of a set that is not registered, under one of the roots or here."""
    if _is_place(name):
        return folder_of(name, "--against")
    if name in registry() or name in suites():
        return None
    places = [*(root.inside(name) for root in roots), folder_of(name, "--against")]
    return next((place for place in places if is_described(place)), None)


def _keyed(found: FoundSet, site_key: bytes | None) -> FoundSet:
    if not found.corpus.card.keyed:
        return found
    if site_key is None:
        raise UsageError(
            f"eval set {found.evalset.name} holds identifiers that may only be stored keyed",
            "pass --id-key FILE with your site's secret key, the one that the data was built with",
        )
    return found.keyed_under(site_key)
