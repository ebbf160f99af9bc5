"""Where an eval set lies: its forms on disk, tried one after another under the data roots."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dedup.evalsets.described import described, is_described
from dedup.evalsets.registry import EvalSet, Form, card_of
from sources.find import find_corpus
from sources.identity import Identity
from sources.records import Corpus
from sources.storage import Folder


@dataclass(frozen=True)
class FoundSet:
    """An eval set and the files that it was found in."""

    evalset: EvalSet
    form: Form
    corpus: Corpus

    @property
    def files(self) -> tuple[str, ...]:
        """The record files that may hold evaluated items: those whose split is known to be another are left out."""
        wanted, splits = self.evalset.split, self.corpus.splits
        return tuple(path for path in self.corpus.files if not wanted or splits.get(path, wanted[0]) in wanted)

    @property
    def root(self) -> Folder:
        """The folder that its files and pictures are under."""
        return self.corpus.root

    def keyed_under(self, site_key: bytes) -> "FoundSet":
        """The set with identifiers stored under the site key: as the training data's, so that groups match."""
        return replace(self, corpus=replace(self.corpus, identity=Identity(self.evalset.name, site_key)))


def find_evalset(evalset: EvalSet, roots: Sequence[Folder]) -> FoundSet | None:
    """The first form of the set that is under the roots, or None.

    One whose files may hold evaluated items comes before one of which only other splits are there.
    A folder called like the set that holds an `evalset.yaml` comes first: it is what `curate evals fetch` made. A
    keyed set is found with its names as they are: `FoundSet.keyed_under` before its items are read.

    Raises:
        CorpusError: a record file leads out of its root, or cannot be listed.
        EvalSetError: an `evalset.yaml` is wrong.
    """
    for root in roots:
        place = root.inside(evalset.name)
        if root.has_folder(evalset.name) and is_described(place):
            own = described(place)
            found = _found(own, (place,)) if own.name == evalset.name else None
            if found is not None:
                return found
    return _found(evalset, roots)


def evalset_in(folder: Folder) -> FoundSet | None:
    """The set that a folder with an `evalset.yaml` holds; None where the files it speaks of are not there.

    Raises:
        EvalSetError: its `evalset.yaml` is absent or wrong.
        CorpusError: as `find_evalset`.
    """
    return _found(described(folder), (folder,))


def _found(evalset: EvalSet, roots: Sequence[Folder]) -> FoundSet | None:
    without_items: FoundSet | None = None
    for form in evalset.forms:
        for first in range(len(roots)):  # a corpus of the first root may be the training split alone
            corpus = find_corpus(card_of(evalset, form), evalset.name, roots[first:], Identity(evalset.name))
            if corpus is None:
                break
            found = FoundSet(evalset, form, corpus)
            if found.files:
                return found
            without_items = without_items or found
    return without_items
