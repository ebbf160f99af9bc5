"""The compressed pixels of a PNG file, inflated only to see where they end."""

import struct
import zlib

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type (PNG, third edition, 11.2.1)."""
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Adam7: first column and row, and steps between columns and rows."""
_PIECE = 1 << 16


class PixelStream:
    """The zlib stream of the IDAT chunks, of the picture that an IHDR of 13 bytes describes.

    At most 64 KiB are inflated at a time, and no more than the picture has. A damaged stream holds nothing.

    Raises:
        KeyError: the colour type is none.
    """

    def __init__(self, header: bytes) -> None:
        width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
        bits = depth * _CHANNELS[colour]
        passes = _PASSES if interlaced else ((0, 0, 1, 1),)
        self._left = 0
        for column, row, across, down in passes:
            columns, rows = -(-(width - column) // across), -(-(height - row) // down)
            if columns > 0 and rows > 0:
                self._left += rows * (1 + -(-columns * bits // 8))
        self._inflating = zlib.decompressobj()

    def holds(self, piece: bytes) -> bool:
        """Whether the next piece is of the stream and of the picture to its last byte."""
        view = memoryview(piece)  # slices: zlib copies what it leaves of its input, each time it is asked
        return all(self._holds(view[start : start + _PIECE]) for start in range(0, len(view), _PIECE))

    def _holds(self, piece: bytes | memoryview) -> bool:
        while piece and not self._inflating.eof:
            try:
                pixels = self._inflating.decompress(piece, _PIECE)
            except zlib.error:
                return False
            self._left -= len(pixels)
            if self._left < 0:
                return False
            piece = self._inflating.unconsumed_tail
        return not piece and not self._inflating.unused_data
