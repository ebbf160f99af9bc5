"""Record files in `.bz2`, `.xz` and `.zst`, which are not unpacked: said by name, because passed over they are lost.

On this machine only, where a look costs nothing: in a bucket each is a request.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import PurePosixPath

from sources.cards import Card
from sources.identity import storable
from sources.records import Corpus, CorpusError
from sources.storage import Folder, LocalFolder, base_of
from sources.storage.member_index import COMPRESSED

PACKINGS = (".bz2", ".xz", ".zst")
FOLDERS_LOOKED_AT = 1000
_FORMS = (*(form.removesuffix(".gz") for form in COMPRESSED), ".tar")


def expect_unpacked(card: Card, name: str, folder: Folder, patterns: Sequence[str]) -> None:
    """Check that a corpus that is nowhere does not lie there in such a packing.

    Raises:
        CorpusError: it does; names the first file, and the number of the others.
    """
    forms = [pattern for pattern in patterns if pattern.lower().endswith(_FORMS)]
    if card.reader == "hf" or not forms or not isinstance(folder, LocalFolder) or not folder.exists():
        return
    found = folder.glob([f"{pattern}{end}" for pattern in forms for end in PACKINGS])
    if found:
        raise CorpusError(_told(card, name, folder, [stat.path for stat in found]))


def left_packed(corpus: Corpus) -> str | None:
    """What to say of files in such a packing beside record files of the same form, or None where there are none.

    Of corpora in many folders the first 1,000 are looked at. A file that lies there unpacked, too, is not missed.
    """
    folder, card = base_of(corpus.root), corpus.card
    forms = tuple({PurePosixPath(path).suffix for path in corpus.files}.intersection(_FORMS))
    if card.reader == "hf" or not forms or not isinstance(folder, LocalFolder):
        return None
    places, read = dict.fromkeys(PurePosixPath(path).parent for path in corpus.files), set(corpus.files)
    beside = [
        str(place / one) for place in islice(places, FOLDERS_LOOKED_AT) for one in folder.inside(str(place)).names()
    ]
    found = [path for path in beside if path.endswith(PACKINGS)]
    lost = [path for path in found if (own := path.rpartition(".")[0]).endswith(forms) and own not in read]
    return _told(card, corpus.name, folder, lost) if lost else None


def _told(card: Card, name: str, folder: Folder, paths: Sequence[str]) -> str:
    first = min(paths)
    end = PurePosixPath(first).suffix
    which = f"a file in {end}" if card.keyed else f"{storable(first)} in {folder.place}"
    more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
    return f"{name}: {which}{more}: {end} is not read; unpack it, or pack single files of records with gzip"
