"""Record files in `.bz2`, `.xz` and `.zst`, which are not unpacked: said by name, because passed over they are lost."""

from collections.abc import Iterable, Sequence

from sources.cards import Card
from sources.identity import storable
from sources.records import CorpusError
from sources.storage import FileStat, Folder
from sources.storage.bucket_globs import is_wild
from sources.storage.member_index import COMPRESSED

PACKINGS = (".bz2", ".xz", ".zst")
_FORMS = (*(form.removesuffix(".gz") for form in COMPRESSED), ".tar")


def packed_beside(patterns: Iterable[str]) -> list[str]:
    """Globs of the files that patterns of record files would match once unpacked: one a pattern, each is a listing."""
    forms = [pattern for pattern in patterns if pattern.lower().endswith(_FORMS)]
    wild = [f"{pattern}.*" for pattern in forms if is_wild(pattern)]
    return wild + [f"{pattern}{end}" for pattern in forms if not is_wild(pattern) for end in (".gz", *PACKINGS)]


def archives_otherwise_packed(folder: Folder, roots: Iterable[str]) -> list[FileStat]:
    """The tars in a data root that are called like one of a corpus's folders, and are in such a packing."""
    names = {f"{root}.tar{end}" for root in roots for end in PACKINGS}.intersection(folder.names())
    return [stat for name in sorted(names) if (stat := folder.stat(name)) is not None]


def expect_unpacked(card: Card, name: str, folder: Folder, stats: Sequence[FileStat], read: Iterable[str] = ()) -> None:
    """Check that of files in such packings the unpacked ones are among the files that are read.

    Raises:
        CorpusError: of one there is only the packed one; names it, and the number of the others.
    """
    there = set(read)
    lost = sorted(stat.path for stat in stats if stat.path.rpartition(".")[0] not in there)
    if not lost:
        return
    end = f".{lost[0].rpartition('.')[2]}"
    which = f"a file in {end}" if card.keyed else f"{storable(lost[0])} in {folder.place}"
    more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
    raise CorpusError(f"{name}: {which}{more}: {end} is not read; unpack it, or pack single files of records with gzip")
