"""A DICOM file as a picture: its header checked, its frames decoded and displayed one by one."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from sources.dicom.decoders import ENCAPSULATED, decode_frame, decode_native
from sources.dicom.display import displayed_colour, displayed_palette, grey_display
from sources.dicom.facts import dicom_modality, header_facts
from sources.dicom.frames import EncapsulatedFrames
from sources.dicom.header import PixelElement, read_header, syntax_name
from sources.dicom.layout import GREY, PALETTE, pixel_layout
from sources.pictures.guards import codec_errors, pillow_within, silent_stderr
from sources.pictures.picture import Facts, Header, Limits, Picture, PictureError, Pixels, check_frame_number
from sources.schema import Reason

_COLOUR_PROBE_STEP = 16
_WITHOUT_PIXELS = {
    "SR": "a structured report",
    "DOC": "an encapsulated document",
    "PR": "a presentation state",
    "KO": "a selection of other files",
    "REG": "a registration",
    "PLAN": "a plan",
    "RTPLAN": "a plan",
    "RTSTRUCT": "contours",
    "ANN": "annotations",
    **dict.fromkeys(("ECG", "EEG", "EMG", "EOG", "HD", "EPS", "AU", "RESP"), "a waveform"),
}
"""What a file is, by its modality, that has no pixels to display."""


class DicomPicture:
    """A DICOM file with pixels, whose header is within limits."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        """Read the header.

        Raises:
            PictureError: IMAGE_MISSING where there are no pixels to display (reports, plans, contours, waveforms,
                directories, and segmentations, whose pixels are labels), IMAGE_UNDECODABLE or IMAGE_BOMB else.
        """
        self._limits, self._data = limits, data
        self._source = read_header(io.BytesIO(data), len(data), limits)
        self._syntax = syntax_name(self._source.syntax)
        self.facts: Facts = header_facts(self._source.dataset)
        self.modality = dicom_modality(self.facts)
        self._element = self._pixel_element()
        with codec_errors("dicom header"):
            self._layout = pixel_layout(self._source.dataset, self._element)
        limits.check_size(self._layout.columns, self._layout.rows)
        self.header = self._header()
        with codec_errors(self._syntax):
            self._frames = self._encoded_frames() if self._element.length is None else None
            self._native = self._native_pixels() if self._element.length is not None else memoryview(b"")

    def frame(self, number: int) -> Picture:
        """As OpenedPicture promises."""
        check_frame_number(number, self.header.frames)
        with codec_errors(self._syntax):
            stored, kind = self._decode(number)
            pixels = self._displayed(stored, kind, number)
        header = self.header
        return Picture(
            pixels, header.width, header.height, "dicom", header.bit_depth, header.frames, self.modality, self.facts
        )

    def small_frame(self, number: int, side: int) -> Picture:  # noqa: ARG002 - no codec here decodes smaller
        """As OpenedPicture promises."""
        return self.frame(number)

    def _pixel_element(self) -> PixelElement:
        """The pixels, if they are a picture in a form that is decoded here."""
        element, syntax = self._source.pixels, self._source.syntax
        if element is None:
            kind = _WITHOUT_PIXELS.get(str(self.facts.get("Modality", "")))
            raise PictureError(Reason.IMAGE_MISSING, f"no pixel data: {kind}" if kind else "no pixel data")
        if self.facts.get("Modality") == "SEG":
            raise PictureError(Reason.IMAGE_MISSING, "no pixel data to display: a segmentation")
        encapsulated = element.length is None
        if encapsulated and syntax not in ENCAPSULATED:
            raise PictureError(Reason.IMAGE_UNDECODABLE, f"{self._syntax}: no decoder")
        if not encapsulated and syntax and syntax in ENCAPSULATED:
            raise PictureError(Reason.IMAGE_UNDECODABLE, f"{self._syntax}: pixels that are not encapsulated")
        return element

    def _header(self) -> Header:
        layout = self._layout
        channels = 1 if layout.kind in GREY else 3
        depth = layout.bits or layout.bits_allocated
        return Header("dicom", layout.columns, layout.rows, depth, channels, layout.frames)

    def _encoded_frames(self) -> EncapsulatedFrames:
        file = io.BytesIO(self._data)
        return EncapsulatedFrames(file, self._element.offset, self._layout.frames, self._source.extended_offsets)

    def _native_pixels(self) -> memoryview:
        """The value of uncompressed pixels, which must hold every frame that the header promises."""
        expected, element = self._layout.native_bytes, self._element
        length = min(element.length or 0, 2 * expected)
        inflated = self._source.inflated
        if inflated is None:
            pixels = memoryview(self._data)[element.offset : element.offset + length]
        else:
            inflated.allow(element.offset + length)
            inflated.seek(element.offset)
            pixels = memoryview(inflated.read(length))
        if len(pixels) < expected:
            raise PictureError(
                Reason.IMAGE_UNDECODABLE, f"{self._syntax}: {len(pixels)} bytes of pixels, {expected} expected"
            )
        return pixels

    def _decode(self, number: int) -> tuple[npt.NDArray[Any], str]:
        """The stored samples of a frame, colour as RGB, and their photometric interpretation."""
        options = self._layout.decoder_options()
        if self._frames is not None:
            frame = self._frames.frame(number)
            with silent_stderr(), pillow_within(self._limits):
                stored, said = decode_frame(frame, self._source.syntax, options, self._limits)
        else:
            stored, said = decode_native(
                self._native, number, options, implicit=self._source.implicit, little=self._source.little_endian
            )
        return stored, str(said["photometric_interpretation"])

    def _displayed(self, stored: npt.NDArray[Any], kind: str, number: int) -> Pixels:
        dataset, little, bits = self._source.dataset, self._source.little_endian, self._layout.bits
        if kind in GREY:
            display = grey_display(dataset, number, bits=bits, little_endian=little)
            if self._limits.ct_windows != "header" and self.modality == "ct" and display.rescaled:
                return display.by_windows(stored, self._limits.ct_windows)
            return display.of(stored)
        if kind == PALETTE:
            return _grey_if_equal(displayed_palette(stored, dataset, bits=bits, little_endian=little))
        if kind != "RGB":
            raise PictureError(Reason.IMAGE_UNDECODABLE, f"{self._syntax}: {kind} that did not become RGB")
        return _grey_if_equal(displayed_colour(stored, bits))


def _grey_if_equal(pixels: Pixels) -> Pixels:
    """Drop two of three equal channels. A few sampled pixels tell colour pictures apart at no cost."""
    for step in (_COLOUR_PROBE_STEP, 1):
        probe = pixels[::step, ::step]
        if not (probe == probe[..., :1]).all():
            return pixels
    return np.ascontiguousarray(pixels[..., 0])
