"""Where the encoded frames of a DICOM file are, found without decoding any."""

from typing import Any, BinaryIO, cast

from pydicom.encaps import get_frame, parse_basic_offsets, parse_fragments

from sources.pictures.picture import PictureError
from sources.schema import Reason

_MOST_FRAGMENTS = 1_000_000


class EncapsulatedFrames:
    """The frames of encapsulated pixels (PS3.5 section A.4), by number.

    Every fragment is located once, so frame 5,000 costs what frame 0 does.
    """

    def __init__(self, file: BinaryIO, offset: int, frames: int, extended: Any = None) -> None:
        """Locate the fragments after the basic offset table, which starts at `offset` of the file.

        Raises:
            PictureError: there are fewer fragments than frames.
            ValueError: the fragments are broken.
        """
        self._file, self._offset, self._frames, self._extended = file, offset, frames, extended
        file.seek(offset)
        self._basic = parse_basic_offsets(cast("Any", file))
        count, self._fragments = parse_fragments(cast("Any", file))
        if not frames <= count <= _MOST_FRAGMENTS:
            raise PictureError(Reason.IMAGE_UNDECODABLE, f"{frames} frames in {count} fragments")

    def frame(self, number: int) -> bytes:
        """The bytes of one encoded frame."""
        if len(self._fragments) == self._frames:
            return self._fragment(self._fragments[number])
        self._file.seek(self._offset)
        return get_frame(
            cast("Any", self._file), number, number_of_frames=self._frames, extended_offsets=self._extended
        )

    def _fragment(self, offset: int) -> bytes:
        """The value of the item at `offset`: four bytes of tag, four of length."""
        self._file.seek(offset + 4)
        length = int.from_bytes(self._file.read(4), "little")
        return self._file.read(length)
