"""The pictures of an eval set, by the names that its items have them under."""

from functools import cached_property

from dedup.evalsets.locating import FoundSet
from dedup.evalsets.reading import plan_items, raw_uris
from sources.readers.registry import reader_named
from sources.records import Fragment, PictureReader
from sources.uris import inner_name


class EvalPictures:
    """Opens pictures of one set. Its records are read once, when the first picture is asked for."""

    def __init__(self, found: FoundSet) -> None:
        self.found = found

    def open(self, uri: str) -> bytes:
        """The bytes of the picture that an item of the set names.

        Raises:
            FileNotFoundError: no item names it, or it is not there.
            OSError: it cannot be read.
            sources.pictures.PictureError: it lies in an archive and cannot be unpacked.
        """
        place = self._places.get(uri)
        if place is None:
            raise FileNotFoundError("no such picture in the eval set")
        fragment, raw = place
        corpus = self.found.corpus
        reader = reader_named(corpus.card.reader)
        if inner_name(fragment.path, raw) is not None and isinstance(reader, PictureReader):
            return reader.open_picture(corpus, fragment, raw)
        return corpus.root.read(raw)

    @cached_property
    def _places(self) -> dict[str, tuple[Fragment, str]]:
        """Stored name -> the fragment of a record that names the picture, and its raw uri."""
        places: dict[str, tuple[Fragment, str]] = {}
        for fragment in plan_items(self.found):
            for uri, raw in raw_uris(self.found, fragment).items():
                places.setdefault(uri, (fragment, raw))
        return places
