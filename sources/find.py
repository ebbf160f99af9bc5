"""Where a corpus lies: its card's layout, tried under the data roots."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product
from pathlib import Path

from sources.cards import Card, Layout
from sources.identity import Identity, storable
from sources.other_packings import PACKINGS, expect_unpacked
from sources.readers.registry import expect_options, reader_named
from sources.records import Corpus, CorpusError
from sources.storage import (
    BucketFolder,
    FileStat,
    Folder,
    InventoryFolder,
    StoreError,
    folder_at,
    is_url,
    with_listing,
)
from sources.storage.member_index import is_compressed, is_packed, stem_of
from sources.storage.packed import PackedFolder, archives_in, packed
from sources.storage.zip_members import ArchiveError

_PICTURES = ("jpg", "jpeg", "png", "tif", "tiff", "bmp", "gif", "webp", "jp2")
DEFAULT_FILES: Mapping[str, tuple[str, ...]] = {
    "jsonl": ("**/*.jsonl",),
    "json": ("**/*.json",),
    "llava": ("**/*.json", "**/*.jsonl"),
    "csv": ("**/*.csv", "**/*.tsv"),
    "parquet": ("**/*.parquet",),
    "image_folder": tuple(f"**/*.{end}" for suffix in _PICTURES for end in (suffix, suffix.upper())),
    "medquad": ("**/*.xml",),
    "dicom": ("**/*",),
    "webdataset": ("**/*.tar", "**/*.tar.gz", "**/*.tgz"),
    "archive": ("**/*.zip", "**/*.tar", "**/*.tar.gz", "**/*.tgz"),
    "hf": tuple(
        f"**/*.{suffix}{packed}"
        for suffix in ("arrow", "parquet", "jsonl", "json", "csv", "tsv", "txt")
        for packed in ("", ".gz", *PACKINGS)
    ),
    "nxml": ("**/*.nxml", "**/*.xml"),
    "pubmed": ("**/*.xml",),
    "reports": ("**/*.txt",),
}
"""Record files of a source that names only a folder, by reader."""
ANY = ("**/*",)
READ_ARCHIVES = frozenset({"archive", "hf", "webdataset"})
"""Readers whose own files are archives, or that must see a repository whole."""


def find_corpus(
    card: Card,
    name: str,
    data_roots: Sequence[Folder],
    identity: Identity,
    path: str | None = None,
    splits: Sequence[str] | None = None,
) -> Corpus | None:
    """The first place under the data roots that has record files of the corpus, or None.

    The card's own form is looked for first, then its other ones in their order: the corpus's card is the form's.

    `path` (a recipe's) overrides the layout's folders: a folder is the corpus, anything else a glob of record
    files. `splits` (default: the card's training splits) choose files where the layout tells splits by file.

    Raises:
        CorpusError: a record file leads out of the data root (a link, or `..`), cannot be read or has a name that is
            not UTF-8, or there are none but in a packing that is not read, or `splits` names one that there is not, or
            the card has an option that its reader lacks.
    """
    for form in card.all_forms:
        expect_options(form)
    forms = _with_patterns(card, name, splits)
    for data_root in data_roots:
        for form, patterns in forms:
            if path is not None and is_packed(path) and form.reader not in READ_ARCHIVES:
                continue
            for folder, globs in _candidates(form, data_root, patterns, path):
                corpus = _corpus_at(form, name, folder, identity, globs)
                if corpus is not None:
                    return corpus
    found = _packed_corpus(forms, name, data_roots, identity, path)
    if found is None:
        for data_root, (form, patterns) in product(data_roots, forms):
            for folder, globs in _candidates(form, data_root, patterns, path):
                expect_unpacked(form, name, folder, [*chain.from_iterable(globs.values())])
    return found


def _packed_corpus(
    forms: Sequence[tuple[Card, "Globs"]], name: str, data_roots: Sequence[Folder], identity: Identity, path: str | None
) -> Corpus | None:
    """The corpus where its record files are in archives: those in its folder, or one that is called like it.

    Raises:
        CorpusError: such an archive cannot be read.
    """
    nested = False
    for data_root in data_roots:
        for form, patterns in forms:
            if form.reader in READ_ARCHIVES or isinstance(data_root, PackedFolder):
                continue
            for place, archives, holder, globs in _archived(form, data_root, patterns, path):
                try:
                    folder = packed(place, archives, holder)
                    corpus = _corpus_at(form, name, folder, identity, globs)
                except ArchiveError as error:
                    raise _unreadable(form, name, error) from None
                if corpus is not None:
                    return corpus
                nested = nested or (isinstance(folder, PackedFolder) and folder.has_nested)
    if nested:
        raise CorpusError(f"{name}: its archive holds archives, which are not looked into: unpack the outer one")
    return None


def _unreadable(card: Card, name: str, error: ArchiveError) -> CorpusError:
    told = "an archive cannot be read: test it with `unzip -t` or `tar -t`" if card.keyed else str(error)
    return CorpusError(f"{name}: {told}")


def _archived(
    card: Card, data_root: Folder, patterns: "Globs", path: str | None
) -> Iterator[tuple[Folder, list[FileStat], Folder, "Globs"]]:
    """Folders that archives would be unpacked to, each with these archives, where they lie, and what to look for."""
    if path is not None:
        yield from _archived_at(card, data_root, patterns, path)
        return
    there = data_root.names()
    for root in card.layout.roots:
        if root == ".":
            continue
        folder = data_root.inside(root)
        called = [
            stat for name in there if is_packed(name) and stem_of(name) == root and (stat := data_root.stat(name))
        ]
        inside = archives_in(folder) if Path(root).parts[0] in there else []
        yield from ((folder, found, at, patterns) for found, at in ((called, data_root), (inside, folder)) if found)
    if Path(data_root.place).name.partition("@")[0].lower() in {Path(root).name.lower() for root in card.layout.roots}:
        yield from ((data_root, found, data_root, patterns) for found in [archives_in(data_root)] if found)


def _archived_at(
    card: Card, data_root: Folder, patterns: "Globs", path: str
) -> Iterator[tuple[Folder, list[FileStat], Folder, "Globs"]]:
    """What `path` of a recipe names: an archive, a glob in one (`notes.zip/*.jsonl`), or a folder that holds some."""
    segments = path.split("/")
    number = next((number for number, segment in enumerate(segments) if is_packed(segment)), None)
    elsewhere = is_url(path) or Path(path).is_absolute()
    if number is None:
        folder = _placed(card, path, data_root) if elsewhere else data_root.inside(path)
        found = archives_in(folder)
        if found:
            yield folder, found, folder, _in_folder(card, patterns, path)
        return
    above, name, rest = "/".join(segments[:number]), segments[number], "/".join(segments[number + 1 :])
    holder = _placed(card, above or "/", data_root) if elsewhere else data_root.inside(above or ".")
    stat = holder.stat(name)
    if stat is not None:
        yield (
            holder.inside(stem_of(name)),
            [stat],
            holder,
            {None: (rest,)} if rest else _in_folder(card, patterns, path),
        )


Globs = dict[str | None, tuple[str, ...]]
"""Split, or None where files do not tell it -> globs of record files."""


def _patterns(card: Card, splits: Sequence[str]) -> Globs | None:
    """What to look for of a form, or None where its files lack one of the splits."""
    files = card.layout.files
    if not isinstance(files, dict):
        return {None: files}
    if any(split not in files for split in splits):
        return None
    return {split: globs for split, globs in files.items() if split in splits or not splits}


def _with_patterns(card: Card, name: str, splits: Sequence[str] | None) -> list[tuple[Card, Globs]]:
    """The forms that have the splits.

    Raises:
        CorpusError: none has all of them; says so where several forms have them between them.
    """
    taken = card.training_splits if splits is None else splits
    found = [(form, patterns) for form in card.all_forms if (patterns := _patterns(form, taken)) is not None]
    if found:
        return found
    known = {split for form in card.all_forms for split in form.layout.files if isinstance(form.layout.files, dict)}
    unknown = next((split for split in taken if split not in known), None)
    if unknown is None:
        raise CorpusError(
            f"{name}: its splits {', '.join(taken)} are published in different forms, which one source cannot take"
            " together: take one of them, and add a source of another name (`reader`, `path`, `fields`) for the rest"
        )
    nearest = difflib.get_close_matches(unknown, sorted(known), 1, 0.0)[0]
    raise CorpusError(f"{name}: no split {unknown!r}; did you mean {nearest!r}? There are {', '.join(sorted(known))}")


def _candidates(card: Card, data_root: Folder, patterns: Globs, path: str | None) -> Iterator[tuple[Folder, Globs]]:
    """Folders to look in, each with what to look for. Links must stay under the data root, or an own place's folder."""
    if path is None:
        for folder in _corpus_folders(card.layout, data_root):
            yield folder, patterns
    elif is_url(path) or Path(path).is_absolute():
        yield from _own_place(card, patterns, path, data_root)
    elif data_root.has_folder(path):
        yield data_root.inside(path), _in_folder(card, patterns, path)
    else:
        yield data_root, {None: (Path(path).as_posix(),)}


def _own_place(card: Card, patterns: Globs, path: str, data_root: Folder) -> Iterator[tuple[Folder, Globs]]:
    """A path or URL that no data root says anything of, but for its inventory: a folder, or a glob of record files."""
    anchor = path.partition("*")[0].partition("?")[0].rpartition("/")[0]
    folder = _placed(card, path, data_root)
    if folder.exists():
        yield folder, _in_folder(card, patterns, path)
        return
    yield _placed(card, anchor or "/", data_root), {None: (path[len(anchor) :].lstrip("/"),)}


def _placed(card: Card, place: str, data_root: Folder) -> Folder:
    try:
        return _inventoried(folder_at(place), data_root)
    except ValueError as error:
        raise CorpusError(f"{card.name}: path: {error}") from None


def _inventoried(folder: Folder, data_root: Folder) -> Folder:
    """The folder, listed by the data root's inventory where that speaks of it."""
    if isinstance(data_root, InventoryFolder) and isinstance(folder, BucketFolder) and data_root.lists(folder):
        return data_root.beside(folder)
    return folder


def _in_folder(card: Card, patterns: Globs, path: str) -> Globs:
    return {None: DEFAULT_FILES.get(card.reader, ANY)} if card.layout.files == (path,) else patterns


def _corpus_folders(layout: Layout, data_root: Folder) -> Iterator[Folder]:
    """The layout's folders under a data root, then the root itself where it is one of them by name."""
    there = set(data_root.names())  # asked once: most corpora of a recipe are not there at all
    for root in layout.roots:
        if root == "." or Path(root).parts[0] in there:
            yield data_root.inside(root)
    names = {Path(root).name.lower() for root in layout.roots}
    if Path(data_root.place).name.partition("@")[0].lower() in names:  # a repository of the hub ends in @COMMIT
        yield data_root


def _listed(card: Card, name: str, folder: Folder, patterns: Sequence[str]) -> list[FileStat]:
    """The files that match, every one of them readable by its name."""
    try:
        files, escaping = folder.listing(patterns)
    except StoreError:
        raise
    except OSError as error:
        raise CorpusError(f"{name}: a file or folder in {folder.place} cannot be read ({error.strerror})") from None
    if escaping:
        link = "a file or folder" if card.keyed else f"{storable(escaping[0])} in {folder.place}"
        raise CorpusError(
            f"{name}: {link} leads out of the data root; copy what it leads to, or give the folder it leads to as"
            " --data"
        )
    paths = [stat.path for stat in files]
    misnamed = next((path for path in paths if storable(path) != path), None)
    if misnamed is not None and reader_named(card.reader).unit == "file":
        file = "a record file" if card.keyed else f"{storable(misnamed)} (the % are not in it) in {folder.place}"
        raise CorpusError(f"{name}: the name of {file} is not UTF-8: rename it")
    return files


def _corpus_at(card: Card, name: str, folder: Folder, identity: Identity, globs: Globs) -> Corpus | None:
    if not folder.exists():
        return None
    split_of: dict[str, str | None] = {}
    listed: dict[str, FileStat] = {}
    compressed: dict[str, FileStat] = {}
    reads_them = card.reader in READ_ARCHIVES or isinstance(folder, PackedFolder)
    for split, patterns in globs.items():
        looked_for = patterns if reads_them else _also_compressed(patterns)
        unpacks = not reads_them and any(map(is_compressed, looked_for))
        for stat in _listed(card, name, folder, looked_for):
            path = stat.path
            if unpacks and is_compressed(path):
                path = path.removesuffix(".gz")
                compressed.setdefault(path, stat)
            split_of.setdefault(path, split)
            listed[stat.path] = stat
    if not split_of:
        return None
    splits = {path: split for path, split in split_of.items() if split is not None}
    known = _known(card, name, folder, list(listed.values()))
    root = _with_archives(card, name, folder, known, [stat for path, stat in compressed.items() if path not in listed])
    corpus = Corpus(name, root, card, identity, tuple(sorted(split_of)), splits)
    if card.reader == "hf" and isinstance(folder, InventoryFolder):
        from sources.readers.hf_sets import with_repository  # it needs `datasets`, which takes a second to import

        return with_repository(corpus)
    return corpus


def _also_compressed(patterns: Sequence[str]) -> list[str]:
    """The patterns, and those of the same files in gzip."""
    plain = [pattern.removesuffix(".gz") if is_compressed(pattern) else pattern for pattern in patterns]
    own = [pattern for pattern in plain if pattern in patterns]
    return [*own, *(f"{pattern}.gz" for pattern in plain if is_compressed(f"{pattern}.gz"))]


def _with_archives(card: Card, name: str, folder: Folder, known: Folder, compressed: Sequence[FileStat]) -> Folder:
    """The folder, with what is in its files in gzip, and in the archives that its card names.

    Raises:
        CorpusError: one of them cannot be read.
    """
    if isinstance(folder, PackedFolder):
        return known
    try:
        archives = _listed(card, name, folder, card.layout.archives) if card.layout.archives else []
        return packed(known, [*compressed, *archives])
    except ArchiveError as error:
        raise _unreadable(card, name, error) from None


def _known(card: Card, name: str, folder: Folder, stats: Sequence[FileStat]) -> Folder:
    """The folder as planning sees it: a request for each file of a bucket would take hours.

    Raises:
        CorpusError: an inventory is out of date. Files of folders that are the records are compared when they are read.
    """
    if not isinstance(folder, BucketFolder):
        return folder
    if isinstance(folder, InventoryFolder) and reader_named(card.reader).unit == "file":
        changed = folder.changed(stats)
        if changed:
            file = "a record file" if card.keyed else storable(changed[0])
            raise CorpusError(
                f"{name}: {file} is not what the inventory says, or not there any more ({len(changed)} such); make a"
                " new inventory"
            )
    return with_listing(folder, stats)
