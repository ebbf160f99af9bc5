"""Ordinary pictures, decoded by Pillow to what a viewer shows, at full depth where the format has more than 8 bits.

Not applied: EXIF orientation and colour profiles. Shards carry JPEG and PNG bytes as they are, and what is measured
must be what a trainer's reader sees in them.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from sources.pictures.codestreams import read_codestream
from sources.pictures.displayed import displayed, is_transparent
from sources.pictures.guards import codec_errors, pillow_within, silence_loggers, silent_stderr
from sources.pictures.panels import FIRST_PANEL, figure_panels
from sources.pictures.picture import (
    PANEL_FORMAT,
    Facts,
    Header,
    Limits,
    Picture,
    PictureError,
    Pixels,
    check_frame_number,
    eight_bits,
)
from sources.schema import Reason

_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "bmp": BmpImagePlugin.BmpImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "jpeg": JpegImagePlugin.JpegImageFile,
    "jpeg2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "png": PngImagePlugin.PngImageFile,
    "pnm": PpmImagePlugin.PpmImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
}
"""One plugin a format, called itself: `Image.open` would try others, among them one that runs Ghostscript."""

_FRAMED = frozenset({"gif", "tiff", "webp"})
"""Formats with frames. JPEG and PNG go into shards as they are, so each is one picture: the further images of
an MPO or animated PNG are not frames."""
_SEQUENTIAL = frozenset({"gif", "webp"})
"""Formats whose frames build on one another: frame 500 is the 501st that is decoded."""
_MOST_PAGES = 10_000
"""Pillow compares each TIFF directory's place with all before it: 10,000 take a second, a million an hour."""
_NOISY = frozenset({"tiff", "jpeg2000"})
"""Formats whose C libraries write to stderr."""
_MODE_BITS = {"1": 1, "I;16": 16, "I;16L": 16, "I;16B": 16, "I;16N": 16, "I": 32, "F": 32}
_GREY_MODES = frozenset({*_MODE_BITS, "L", "LA", "La"})
_TILE_WIDTH, _TILE_LENGTH, _BITS_PER_SAMPLE = 322, 323, 258

silence_loggers()


class Raster:
    """An ordinary picture whose header is within limits. Frames are cheapest in ascending order."""

    modality = "unknown"

    def __init__(self, data: bytes, name: str, limits: Limits) -> None:
        """Read the header of a file whose content has format `name` (of `sniff`).

        Raises:
            PictureError: the header cannot be read, or says more pixels than allowed.
        """
        self.facts: Facts = {}
        self._name, self._limits, self._data = name, limits, data
        self._check_codestream()
        with self._calling():
            self._image = self._open()
            self._check_frame_size()
            self.header = self._read_header()

    def frame(self, number: int) -> Picture:
        """As OpenedPicture promises; from `FIRST_PANEL` on, a panel of the first frame."""
        if number >= FIRST_PANEL:
            return self._panel(number - FIRST_PANEL)
        check_frame_number(number, self.header.frames)
        if self._name in _SEQUENTIAL:
            self._limits.check_frames(number + 1, self.header.width, self.header.height, len(self._data))
        with self._calling():
            if self._name in _FRAMED:
                self._image.seek(number)
            self._check_frame_size()
            self._image.load()
            return self._picture(displayed(self._image), self._image.size)

    def small_frame(self, number: int, side: int) -> Picture:
        """As OpenedPicture promises: JPEGs are decoded at 1/2, 1/4 or 1/8 of their sides."""
        if self._name != "jpeg" or number >= FIRST_PANEL:
            return self.frame(number)
        check_frame_number(number, self.header.frames)
        with self._calling():
            image = self._open()
            size = image.size
            image.draft(None, (side, side))
            image.load()
            return self._picture(displayed(image), size)

    def beneath(self) -> Image.Image | None:
        """The first frame in RGB as readers have it that drop transparency; None where nothing is transparent.

        Raises:
            PictureError: it cannot be decoded.
        """
        with self._calling():
            self._image.load()
            return self._image.convert("RGB") if is_transparent(self._image) else None

    def _panel(self, number: int) -> Picture:
        whole = self.frame(0)
        shown = whole.image or Image.fromarray(eight_bits(whole))
        panels = figure_panels(shown if shown.mode == "L" else shown.convert("L"))
        if not 0 <= number < len(panels):
            raise PictureError(Reason.IMAGE_MISSING, f"panel {number} of a figure with {len(panels)}")
        one = panels[number]
        image = None if whole.image is None else whole.image.crop((one.left, one.top, one.right, one.bottom))
        pixels = whole.pixels[one.top : one.bottom, one.left : one.right]
        size = (one.right - one.left, one.bottom - one.top)
        return Picture(pixels, *size, PANEL_FORMAT, whole.bit_depth, 1, image=image)

    def _picture(self, shown: Image.Image | Pixels, size: tuple[int, int]) -> Picture:
        image = shown if isinstance(shown, Image.Image) else None
        header = self.header
        return Picture(np.asarray(shown), *size, self._name, header.bit_depth, header.frames, image=image)

    def _open(self) -> ImageFile.ImageFile:
        return _PLUGINS[self._name](io.BytesIO(self._data), "")

    def _read_header(self) -> Header:
        width, height = self._image.size
        channels = 1 if self._image.mode in _GREY_MODES else 3
        return Header(self._name, width, height, self._bit_depth(), channels, self._count_frames())

    def _count_frames(self) -> int:
        if self._name == "tiff":
            return self._count_directories()
        return int(getattr(self._image, "n_frames", 1)) if self._name in _FRAMED else 1

    def _count_directories(self) -> int:
        """Pages of a TIFF, one after the other: asked for the number, Pillow would walk any chain to its end."""
        for number in range(1, _MOST_PAGES + 1):
            try:
                self._image.seek(number)
            except EOFError:
                self._image.seek(0)
                return number
        raise PictureError(Reason.IMAGE_BOMB, f"more than {_MOST_PAGES} pages")

    def _bit_depth(self) -> int:
        """Bits of one stored sample: PNG and TIFF say them, for the others Pillow's mode does."""
        if self._name == "png":
            return self._data[24]  # in IHDR, after signature, length, type, width and height
        if isinstance(self._image, TiffImagePlugin.TiffImageFile):
            bits = self._image.tag_v2.get(_BITS_PER_SAMPLE, 1)
            return int(bits[0] if isinstance(bits, tuple) else bits)
        return _MODE_BITS.get(self._image.mode, 8)

    def _check_frame_size(self) -> None:
        """Of the current frame; a TIFF's tiles are allocated whole, whatever the picture's size."""
        self._limits.check_size(*self._image.size)
        if isinstance(self._image, TiffImagePlugin.TiffImageFile):
            tile = [self._image.tag_v2.get(tag, 1) for tag in (_TILE_WIDTH, _TILE_LENGTH)]
            if all(isinstance(side, int) and side > 0 for side in tile):
                self._limits.check_size(*tile)

    def _check_codestream(self) -> None:
        """A JP2 file says its size twice; memory is allocated by the codestream's."""
        if self._name != "jpeg2000":
            return
        inner = read_codestream(self._data)
        if inner is None or not 1 <= inner.components <= 4:
            raise PictureError(Reason.IMAGE_UNDECODABLE, "jpeg2000: no usable codestream")
        self._limits.check_size(inner.width, inner.height)

    @contextmanager
    def _calling(self) -> Iterator[None]:
        quiet = silent_stderr() if self._name in _NOISY else nullcontext()
        with codec_errors(self._name), pillow_within(self._limits), quiet:
            yield
