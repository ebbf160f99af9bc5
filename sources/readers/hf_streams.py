"""Data files that `datasets` itself streams: compressed ones, text, and those whose config says how to read them.

They are read from where they lie, through the corpus's own folder: of a repository of the hub at its commit, with the
token of the environment, and nothing is downloaded whole or cached on disk.
"""

import itertools
import tempfile
from collections.abc import Iterator
from typing import Any

import blake3
import orjson

from sources.readers.expected import expect_columns
from sources.readers.hf_files import mounted
from sources.readers.hf_library import datasets_library
from sources.readers.hf_sets import streamed_by
from sources.readers.ranges import check_unchanged, found, framed, sealed, surroundings
from sources.records import (
    FRAGMENT_BYTES,
    FRAGMENT_RECORDS,
    ChangedInputError,
    Corpus,
    CorpusError,
    Fragment,
    Record,
    Unreadable,
)
from sources.storage import StoreError

Row = tuple[dict[str, Any], bytes]
"""A row, and the JSON that stands for it in digests."""


def plan_streamed(corpus: Corpus, path: str) -> Iterator[Fragment]:
    """Cut a file at 4,096 rows or some 16 MiB of JSON; a fragment's digest is of its rows.

    Raises:
        CorpusError: `datasets` cannot read the file to its end, or it lacks a mapped column.
    """
    stat = found(corpus, path)
    held: list[bytes] = []
    row = size = 0
    for number, (values, text) in enumerate(_rows(corpus, path, 0)):
        if number == 0:
            expect_columns(corpus, path, values)
        if held and (len(held) == FRAGMENT_RECORDS or size + len(text) > FRAGMENT_BYTES):
            yield _fragment(corpus, path, row, held, size)
            row, held, size = number, [], 0
        held.append(text)
        size += len(text)
    if found(corpus, path) != stat:
        raise ChangedInputError(f"{corpus.shown(path)}: changed while the build was planned; run it again")
    if held:
        yield _fragment(corpus, path, row, held, size)


def read_streamed(corpus: Corpus, fragment: Fragment) -> Iterator[Record | Unreadable]:
    """Yield one record a row. The process goes on in the stream where it stands; else it begins anew, and skips.

    Raises:
        ChangedInputError: the file or its rows are not the planned ones any more.
    """
    check_unchanged(corpus, fragment)
    stream = _taken_up(corpus, fragment)
    rows = list(itertools.islice(stream, fragment.records))
    if _digest(corpus, fragment.path, fragment.first_row, [text for _, text in rows]) != fragment.digest:
        raise ChangedInputError(f"{corpus.shown(fragment.path)}: changed since the build was planned; run it again")
    _open.clear()
    _open[_place(corpus, fragment, fragment.first_row + fragment.records)] = stream
    for number, (values, _) in enumerate(rows, fragment.first_row):
        yield Record(str(number), values)


_open: dict[tuple[Any, ...], Iterator[Row]] = {}
"""The stream that this process read last, by where it stands."""


def _taken_up(corpus: Corpus, fragment: Fragment) -> Iterator[Row]:
    held = _open.pop(_place(corpus, fragment, fragment.first_row), None)
    return held if held is not None else _rows(corpus, fragment.path, fragment.first_row)


def _place(corpus: Corpus, fragment: Fragment, row: int) -> tuple[Any, ...]:
    return corpus.root, fragment.path, fragment.file_stamp, str(corpus.card.options), row


def _rows(corpus: Corpus, path: str, first: int) -> Iterator[Row]:
    """The rows of a file from a number on.

    Raises:
        CorpusError: `datasets` cannot read it; what it says may quote the file and is not repeated.
    """
    try:
        for values in _streamed(corpus, path).skip(first):
            yield values, orjson.dumps(values, default=str, option=orjson.OPT_NON_STR_KEYS)
    except (CorpusError, StoreError):
        raise
    except Exception as error:  # noqa: BLE001 - a parser of others: whatever it raises, the file is not read
        raise CorpusError(
            f"{corpus.shown(path)}: `datasets` cannot read it as its repository says ({type(error).__name__}):"
            " download it again, or give its path and the reader of its form"
        ) from None


def _streamed(corpus: Corpus, path: str) -> Any:
    module, settings = streamed_by(corpus)
    if module != "csv":
        return _loaded(corpus, path, module, settings)
    settings = {"keep_default_na": False, **settings}
    first = next(iter(_loaded(corpus, path, module, settings)), None)
    if first is None:
        return _loaded(corpus, path, module, settings)
    library = datasets_library()  # without types its parser guesses them: 007 would be 7, as in no plain CSV
    texts = library.Features({name: library.Value("string") for name in first})
    return _loaded(corpus, path, module, {**settings, "features": texts})


def _loaded(corpus: Corpus, path: str, module: str, settings: dict[str, Any]) -> Any:
    files = {"train": [f"{mounted(corpus.root)}/{path}"]}
    with tempfile.TemporaryDirectory(prefix="curate-") as place:  # of locks: nothing that is read is kept
        return datasets_library().load_dataset(
            module, data_files=files, split="train", streaming=True, cache_dir=place, **settings
        )


def _digest(corpus: Corpus, path: str, first: int, rows: list[bytes]) -> str:
    named = corpus.identity.name("path", path).encode("utf-8", "surrogatepass")
    return sealed(corpus, blake3.blake3(framed(named, str(first).encode(), surroundings(corpus, path), *rows)))


def _fragment(corpus: Corpus, path: str, first: int, rows: list[bytes], size: int) -> Fragment:
    stat = found(corpus, path)
    return Fragment(
        path=path,
        digest=_digest(corpus, path, first, rows),
        first_row=first,
        records=len(rows),
        size=size,
        file_size=stat.size,
        file_stamp=stat.stamp,
    )
