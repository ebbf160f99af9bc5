"""Pictures in any format, DICOM included: probed before they are decoded, decoded as they are displayed."""

from sources.pictures.formats import sniff
from sources.pictures.opening import decode, open_picture, probe, thumbnail_only
from sources.pictures.picture import Header, Limits, OpenedPicture, Picture, PictureError, eight_bits
from sources.pictures.rendering import render

__all__ = [
    "Header",
    "Limits",
    "OpenedPicture",
    "Picture",
    "PictureError",
    "decode",
    "eight_bits",
    "open_picture",
    "probe",
    "render",
    "sniff",
    "thumbnail_only",
]
