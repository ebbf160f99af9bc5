"""One way in for every format: check the size, tell the format by content, read the header."""

from sources.pictures.formats import sniff
from sources.pictures.picture import Header, Limits, OpenedPicture, Picture, PictureError
from sources.pictures.raster import Raster
from sources.schema import Reason

SMALL_SIDE = 128
"""Pixels that a reduced decode leaves at least: twice the thumbnail's side."""


def open_picture(data: bytes, limits: Limits | None = None) -> OpenedPicture:
    """Read the header of a file; no pixel is decoded.

    Raises:
        PictureError: IMAGE_UNDECODABLE (no format that is read here, or a broken header), IMAGE_BOMB (more bytes
            or pixels than allowed), IMAGE_MISSING (a DICOM file without pixel data).
    """
    limits = limits or Limits()
    if not data:
        raise PictureError(Reason.IMAGE_UNDECODABLE, "empty file")
    if len(data) > limits.max_bytes:
        raise PictureError(Reason.IMAGE_BOMB, f"{len(data)} bytes, more than {limits.max_bytes} are allowed")
    name = sniff(data)
    if name is None:
        raise PictureError(Reason.IMAGE_UNDECODABLE, "not a known picture format")
    if name == "dicom":
        from sources.dicom.picture import DicomPicture

        return DicomPicture(data, limits)
    return Raster(data, name, limits)


def probe(data: bytes, limits: Limits | None = None) -> Header:
    """What the file says of itself. Raises as `open_picture`."""
    return open_picture(data, limits).header


def decode(data: bytes, frame: int = 0, limits: Limits | None = None) -> Picture:
    """Decode one frame at full size and depth.

    Raises:
        PictureError: as `open_picture`, or the frame cannot be decoded, or there is none of that number.
    """
    return open_picture(data, limits).frame(frame)


def thumbnail_only(data: bytes, frame: int = 0, limits: Limits | None = None, side: int = SMALL_SIDE) -> Picture:
    """Decode at reduced scale where the codec can (JPEG), for work that needs `side` pixels only.

    Raises:
        PictureError: as `decode`.
    """
    return open_picture(data, limits).small_frame(frame, side)
