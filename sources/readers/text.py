"""How a file of text begins: byte order marks, and forms that are no text in the card's encoding."""

import codecs
from dataclasses import dataclass

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


@dataclass(frozen=True)
class TextStart:
    """How a file of text begins."""

    offset: int
    """After the UTF-8 byte order mark, if there is one."""
    first: bytes
    """The first byte that is not blank; empty for a blank file."""
    first_offset: int


def text_start(corpus: Corpus, path: str) -> TextStart:
    """Look at how a file begins.

    Raises:
        CorpusError: the file is compressed, or in UTF-16 or UTF-32.
    """
    with opened(corpus, path) as file:
        head = file.read(HEAD_BYTES)
        _expect_plain_text(corpus, path, head)
        offset = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
        first_offset, rest = offset, head[offset:]
        while rest and not rest.strip():
            first_offset, rest = first_offset + len(rest), file.read(HEAD_BYTES)
    text = rest.lstrip()
    return TextStart(offset, text[:1], first_offset + len(rest) - len(text))


def _expect_plain_text(corpus: Corpus, path: str, head: bytes) -> None:
    for magic, form in _COMPRESSED.items():
        if head.startswith(magic):
            raise CorpusError(
                f"{corpus.shown(path)}: is compressed ({form}), which this version does not read; unpack it"
            )
    if head.startswith(_UTF16) or b"\0" in head[:4]:
        raise CorpusError(
            f"{corpus.shown(path)}: is UTF-16 or UTF-32; UTF-8 is expected: convert it with `iconv -f UTF-16 -t UTF-8`"
        )
