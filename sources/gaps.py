"""Holes in a series of numbered archives or shards: what an interrupted download leaves."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from sources.other_packings import PACKINGS
from sources.records import Corpus
from sources.storage import Folder
from sources.storage.member_index import ARCHIVES, is_compressed, stem_of
from sources.storage.packed import PackedFolder

NAMED = 5
"""Absent numbers that are told; of more the count."""
MIN_FILES = 3
"""Of a series whose names do not say how many there are."""
NEARLY_WHOLE = 0.9
"""Share of its numbers from which such a series lacks what is not there. Archives by case and chosen shards have holes
as published; what a download that was interrupted leaves is mostly there: the choice is our own."""
_PACKINGS = ("", ".gz", *PACKINGS)
_SHARDS = (*ARCHIVES, *(f".{form}{end}" for form in ("arrow", "parquet", "jsonl", "ndjson") for end in _PACKINGS))
"""Ends of the names of files that hold many records each, so that a number in one counts files."""
_TABLES = tuple(f".{form}{end}" for form in ("json", "csv", "tsv", "txt") for end in _PACKINGS)
"""Of files that may as well be one record each: there a number counts files where the name says so."""
_XML = (".xml", ".xml.gz")
_ENDS = (*_SHARDS, *_TABLES, *_XML)
_OF = re.compile(r"(?<![0-9])([0-9]+)[-_]of[-_]([0-9]+)(?![0-9])")
_YEAR, _MONTH, _DAY = "(?:19|20)[0-9]{2}", "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_DATE = re.compile(f"(?<![0-9])(?:{_YEAR}([-_.]?){_MONTH}\\1{_DAY}|{_YEAR}[-_.]{_MONTH})(?![0-9])")
"""A day, or a month whose year stands apart: of these some may be absent."""
_LAST_NUMBER = re.compile(r"([A-Za-z]*)[-_. ]*([0-9]+)[^0-9]*\Z")
_PUBMED = re.compile(r"pubmed[0-9]{2}n\Z")
"""Before the number in the files of PubMed's baseline, of XML, which elsewhere is a document a file."""
_PARTS = frozenset({"part", "parts", "shard", "chunk"})
_COUNTED_BY_OTHERS = (
    "p pt pat patient s sub subj subject case study series scan exam volume vol video slide id v ver version release"
    " fold year"
)
_NO_PARTS = frozenset(_COUNTED_BY_OTHERS.split())
"""Words before a number that counts something else, of which some may be absent from the corpus as published."""


@dataclass(frozen=True)
class Gap:
    """What a series of files lacks: how many of them, and that in words, which name no file of a keyed corpus."""

    absent: int
    detail: str
    sure: bool
    """Whether files are surely absent; else perhaps, as where numbers count cases."""


@dataclass
class _Series:
    """Files whose names differ in one number alone."""

    folder: Folder
    total: int | None
    """How many there are, where their names say so."""
    texts: dict[int, str] = field(default_factory=dict)
    """Number -> how it is written."""
    first: str = ""
    """Path of one of them, and where in it the number is."""
    place: tuple[int, int] = (0, 0)

    def written(self, number: int) -> str:
        """A number as the names would have it."""
        widths = {len(text) for text in self.texts.values()}
        return str(number).zfill(widths.pop() if len(widths) == 1 else 0)

    def lies_there(self, number: int) -> bool:
        """Whether the file of a number is there, with any hash in its name, or the folder that it was unpacked to."""
        begin, stop = self.place
        path = self.first[:begin] + self.written(number) + self.first[stop:]
        if self.folder.stat(path) is not None or self.folder.has_folder(stem_of(path)):
            return True
        of = _OF.match(path, begin)
        return of is not None and bool(self.folder.glob([f"{path[: of.end()]}-*{_end_of(path)}"]))


def gaps(corpus: Corpus) -> list[Gap]:
    """What the corpus's numbered archives and files of records lack, a series at a time, in the order of their names.

    Where names say `-of-N`, that is all that is not there of N. Elsewhere it is what lies between the first and the
    last number, if there are three files or more, over half of the numbers are there, and the first is 0 or 1 or
    has leading zeros: ids and years are no such series. It is sure of the first, of series that are nearly whole and
    of single holes. A series of which an absent file lies on the disk, and was not taken, was chosen and lacks none.
    """
    found: dict[tuple[str, str, int | None], _Series] = {}
    for folder, path in _files(corpus):
        _sort_in(found, folder, path)
    told = (_gap(corpus, series) for _, series in sorted(found.items(), key=lambda item: item[1].first))
    return [gap for gap in told if gap is not None]


def _files(corpus: Corpus) -> Iterator[tuple[Folder, str]]:
    """The record files and the archives that are read, each with the folder that its path is under."""
    yield from ((corpus.root, path) for path in corpus.files)
    if isinstance(corpus.root, PackedFolder):
        archives = (archive.path for archive in corpus.root.archives if not is_compressed(archive.path))
        yield from ((corpus.root.holder, path) for path in archives)


def _sort_in(found: dict[tuple[str, str, int | None], _Series], folder: Folder, path: str) -> None:
    """Add a file to its series, if its name is one of a series."""
    end = _end_of(path)
    if end is None:
        return
    start = path.rfind("/") + 1
    stem = path[start : len(path) - len(end)]
    of = _OF.search(stem)
    if of is not None:
        total, place = int(of[2]), of.span(1)
    else:
        last = _LAST_NUMBER.search(_DATE.sub(lambda date: "~" * len(date[0]), stem))
        if last is None or not _counts_files(end, last[1].lower(), stem[: last.start(2)]):
            return
        total, place = None, last.span(2)
    begin, stop = start + place[0], start + place[1]
    # what follows `-of-N` may be a hash of the content, as the hub wrote it for years
    key = (path[:begin], end if total is not None else path[stop:], total)
    series = found.setdefault(key, _Series(folder, total, first=path, place=(begin, stop)))
    series.texts.setdefault(int(path[begin:stop]), path[begin:stop])


def _end_of(path: str) -> str | None:
    """The end of a name that may be one of a series."""
    lowered = path.lower()
    return next((end for end in _ENDS if lowered.endswith(end)), None)


def _counts_files(end: str, word: str, before: str) -> bool:
    """Whether a number counts files, by the end of the name, the word at the number and all that is before it."""
    if end in _XML:
        return _PUBMED.fullmatch(before.lower()) is not None
    return word not in _NO_PARTS and (end not in _TABLES or word in _PARTS)


def _gap(corpus: Corpus, series: _Series) -> Gap | None:
    """What a series lacks, or None."""
    there = series.texts
    numbers = _numbers_of(series)
    absent = (len(numbers) if series.total is None else series.total) - len(there)
    if absent <= 0 or not numbers:
        return None
    named = list(islice((number for number in numbers if number not in there), NAMED))
    if any(series.lies_there(number) for number in named):
        return None
    # nobody's id is told: without a total, numbers of a keyed corpus might be some
    shown = [] if series.total is None and corpus.identity.keyed else [series.written(number) for number in named]
    more = "" if absent == len(shown) else f" and {absent - len(shown)} more"
    which = f" ({', '.join(shown)}{more})" if shown else ""
    of = "between them" if series.total is None else f"of {series.total}"
    verb = "is" if absent == 1 else "are"
    detail = f"{corpus.shown(series.first)} and files numbered like it: {absent} {of} {verb} not there{which}"
    sure = series.total is not None or absent == 1 or len(there) >= NEARLY_WHOLE * len(numbers)
    cause = "perhaps an interrupted download" + ("" if sure else ", if they were published and are wanted")
    return Gap(absent, f"{detail}: {cause}", sure)


def _numbers_of(series: _Series) -> range:
    """The numbers that surely are of the series; none where it cannot be told, or nothing says that it is one."""
    there = series.texts
    low, high = min(there), max(there)
    if series.total is not None:
        if high > series.total:
            return range(0)
        return range(0 if low == 0 else 1, series.total + (high == series.total))
    padded = len({len(text) for text in there.values()}) == 1 and any(text.startswith("0") for text in there.values())
    is_series = len(there) >= MIN_FILES and (low <= 1 or padded) and 2 * len(there) > high - low + 1
    return range(low, high + 1) if is_series else range(0)
