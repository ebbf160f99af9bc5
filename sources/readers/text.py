"""How a file of text begins: byte order marks, and forms that are no text in the card's encoding."""

import codecs

from sources.readers.ranges import opened
from sources.records import Corpus, CorpusError

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "zip",
}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
HEAD_BYTES = 65_536


def text_start(corpus: Corpus, path: str) -> tuple[int, bytes]:
    """Where the text of a file begins (after a UTF-8 byte order mark), and its first non-blank byte.

    Raises:
        CorpusError: the file is compressed, or in UTF-16 or UTF-32.
    """
    with opened(corpus, path) as file:
        head = file.read(HEAD_BYTES)
    for magic, form in _COMPRESSED.items():
        if head.startswith(magic):
            raise CorpusError(
                f"{corpus.shown(path)}: is compressed ({form}), which this version does not read; unpack it"
            )
    if head.startswith(_UTF16) or b"\0" in head[:4]:
        raise CorpusError(
            f"{corpus.shown(path)}: is UTF-16 or UTF-32; UTF-8 is expected: convert it with"
            " `iconv -f UTF-16 -t UTF-8`"
        )
    start = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    return start, head[start:].lstrip()[:1]
