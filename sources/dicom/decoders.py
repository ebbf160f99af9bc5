"""One decoder for each kind of encoded frame: the safest permissively licensed one that reads it.

| frames | decoder |
|---|---|
| uncompressed, any byte order | pydicom |
| RLE | pylibjpeg-rle (Rust) |
| JPEG of 8 bits (baseline, extended, progressive) | Pillow |
| JPEG of 12 bits, lossless JPEG | python-gdcm |
| JPEG-LS | pyjpegls |
| JPEG 2000, HTJ2K | pylibjpeg-openjpeg |

GDCM aborts on some broken input, so it runs in a process of its own and gets only what no other decoder reads.
Which decoder a JPEG frame goes to is told by the frame, not by the transfer syntax around it. The GDCM plugin of
pydicom refuses 12 bits; GDCM itself decodes them.
"""

import io
from functools import lru_cache, wraps
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy.typing as npt
from PIL import JpegImagePlugin
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels.common import PhotometricInterpretation
from pydicom.pixels.decoders.base import DecodeFunction, Decoder, DecodeRunner, get_decoder

from sources.dicom.gdcm_process import gdcm_samples
from sources.pictures.codestreams import JPEG_LS, LOSSLESS_JPEG, Codestream, read_codestream
from sources.pictures.picture import Limits, PictureError
from sources.schema import Reason

JPEG = frozenset(uid.UID(f"1.2.840.10008.1.2.4.{number}") for number in (50, 51, 52, 53, 54, 55, 56, 57, 70))
"""All processes of ITU-T T.81 that ever had a transfer syntax; 52 to 56 are retired."""
_LOSSLESS_JPEG_SYNTAXES = frozenset({uid.JPEGLossless, uid.JPEGLosslessSV1})
JPEG_LS_SYNTAXES = frozenset(uid.JPEGLSTransferSyntaxes)
JPEG_2000 = frozenset(uid.JPEG2000TransferSyntaxes)
ENCAPSULATED = JPEG | JPEG_LS_SYNTAXES | JPEG_2000 | {uid.RLELossless}

DECODER_DEPENDENCIES = dict.fromkeys(ENCAPSULATED, ("python-gdcm", "pylibjpeg-openjpeg", "pylibjpeg-rle"))
"""Asked for by pydicom of a module with decoding functions."""

_PACKAGE_MODULES = {
    "pillow": "PIL",
    "pydicom": "pydicom",
    "pyjpegls": "jpeg_ls",
    "pylibjpeg-openjpeg": "openjpeg",
    "pylibjpeg-rle": "rle",
    "python-gdcm": "gdcm",
}
_PLUGIN_MODULES = {
    "gdcm_frame": "gdcm",
    "jpeg_ls_frame": "jpeg_ls",
    "openjpeg_frame": "openjpeg",
    "pillow_frame": "PIL",
    "rle_frame": "rle",
}


def decoders_by_syntax() -> list[tuple[str, tuple[str, ...]]]:
    """Every image transfer syntax that pydicom knows, by name, and the installed packages that decode it here."""
    known = [*uid.AllTransferSyntaxes, *sorted(JPEG)]
    rows = {syntax.name: _packages(syntax) for syntax in dict.fromkeys(known)}
    return [(name, tuple(package for package in needed if _installed(package))) for name, needed in rows.items()]


def _packages(syntax: uid.UID) -> tuple[str, ...]:
    if not syntax.is_encapsulated:
        return ("pydicom",)
    if syntax in _LOSSLESS_JPEG_SYNTAXES:
        return ("python-gdcm",)
    if syntax in JPEG:
        return ("pillow", "python-gdcm")
    if syntax in JPEG_LS_SYNTAXES:
        return ("pyjpegls",)
    if syntax in JPEG_2000:
        return ("pylibjpeg-openjpeg",)
    return ("pylibjpeg-rle",) if syntax == uid.RLELossless else ()


def _installed(package: str) -> bool:
    return find_spec(_PACKAGE_MODULES[package]) is not None


def is_available(syntax: str) -> bool:
    """Asked by pydicom of a module with decoding functions."""
    return syntax in ENCAPSULATED


def decode_native(
    pixels: memoryview, index: int, options: dict[str, Any], *, implicit: bool, little: bool
) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """One frame of uncompressed pixels: samples as stored or RGB, and what pydicom says of them."""
    syntax = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
    return get_decoder(syntax if little else uid.ExplicitVRBigEndian).as_array(pixels, index=index, **options)


def decode_frame(
    frame: bytes, syntax: uid.UID, options: dict[str, Any], limits: Limits
) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """One encoded frame, as `decode_native` answers.

    Raises:
        PictureError: the codestream is of another size than the header, or of more pixels than allowed.
    """
    codestream = _checked_codestream(frame, syntax, options, limits)
    decoder = _decoder(syntax, _plugin(syntax, codestream))
    try:
        return decoder.as_array(encapsulate([frame]), index=0, **{**options, "number_of_frames": 1})
    except _NotTheFrame as fault:
        raise fault.error from None


def _checked_codestream(frame: bytes, syntax: uid.UID, options: dict[str, Any], limits: Limits) -> Codestream | None:
    """What the frame says of itself: codecs allocate by that, so it must agree with the checked header."""
    if syntax == uid.RLELossless:
        return None
    codestream = read_codestream(frame)
    if codestream is None:
        raise PictureError(Reason.IMAGE_UNDECODABLE, f"{syntax.name}: no codestream")
    limits.check_size(codestream.width, codestream.height)
    size = (codestream.width, codestream.height, codestream.components)
    if size != (options["columns"], options["rows"], options["samples_per_pixel"]):
        raise PictureError(Reason.IMAGE_UNDECODABLE, f"{syntax.name}: the codestream is not of the header's size")
    return codestream


def _plugin(syntax: uid.UID, codestream: Codestream | None) -> str:
    """The name of the decoding function."""
    if codestream is None:
        return "rle_frame"
    if syntax in JPEG_2000:
        return "openjpeg_frame"
    if codestream.process == JPEG_LS:
        return "jpeg_ls_frame"
    if codestream.precision == 8 and codestream.process != LOSSLESS_JPEG:
        return "pillow_frame"
    return "gdcm_frame"


@lru_cache(maxsize=64)
def _decoder(syntax: uid.UID, plugin: str) -> Decoder:
    """The machinery of pydicom around one decoding function, without touching the decoders that pydicom shares.

    Raises:
        ImportError: the codec is not installed.
    """
    import_module(_PLUGIN_MODULES[plugin])
    decoder = Decoder(syntax)
    decoder.add_plugin(plugin, (__name__, plugin))
    return decoder


_END_OF_IMAGE = b"\xff\xd9"
"""Appended to JPEG-LS frames: CharLS looks for the next marker, and takes 5 seconds to find that a truncated frame
has none."""
_RUST_PANIC = "PanicException"
"""What a failed check of pylibjpeg-rle raises; its class derives from BaseException and cannot be imported."""


class _NotTheFrame(BaseException):
    """An error that no frame can cause. pydicom catches every Exception of a plugin; this passes it."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def _plugin_function(function: DecodeFunction) -> DecodeFunction:
    """A decoding function whose own errors surface."""

    @wraps(function)
    def decode(frame: bytes, runner: DecodeRunner) -> bytes | bytearray:
        try:
            return function(frame, runner)
        except (AttributeError, ImportError, MemoryError, NameError) as error:
            raise _NotTheFrame(error) from error
        except BaseException as error:
            if type(error).__name__ == _RUST_PANIC:
                raise ValueError("the decoder gave up") from None
            raise

    return decode


@_plugin_function
def pillow_frame(frame: bytes, runner: DecodeRunner) -> bytes:
    """8-bit JPEG, without colour transform unless the codestream asks for one: pydicom does that."""
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(frame), "")
    if runner.samples_per_pixel != 1 and "adobe_transform" not in image.info:
        image.draft("YCbCr", image.size)
    runner.set_option("bits_allocated", 8)
    return image.tobytes()


@_plugin_function
def jpeg_ls_frame(frame: bytes, runner: DecodeRunner) -> bytearray:
    """JPEG-LS, lossless and near-lossless."""
    import jpeg_ls

    pixels, info = jpeg_ls.decode_pixel_data(frame + _END_OF_IMAGE)
    by_plane = info["components"] > 1 and info["interleave_mode"] == 0
    runner.set_option("planar_configuration", int(by_plane))
    _set_container(runner, info["bits_per_sample"])
    return bytearray(pixels)


@_plugin_function
def openjpeg_frame(frame: bytes, runner: DecodeRunner) -> bytearray:
    """JPEG 2000 and HTJ2K; colour comes out as RGB."""
    from openjpeg.utils import decode_pixel_data

    pixels = decode_pixel_data(frame, version=2)
    if runner.photometric_interpretation in {PhotometricInterpretation.YBR_ICT, PhotometricInterpretation.YBR_RCT}:
        runner.set_option("photometric_interpretation", PhotometricInterpretation.RGB)
    _set_container(runner, runner.get_option("j2k_precision", runner.bits_stored))
    return bytearray(pixels)


@_plugin_function
def rle_frame(frame: bytes, runner: DecodeRunner) -> bytearray:
    """RLE (PackBits), one plane after the other."""
    from rle.utils import decode_pixel_data

    runner.set_option("planar_configuration", 1)
    options: dict[str, Any] = {name: getattr(runner, name) for name in ("rows", "columns", "bits_allocated")}
    return bytearray(decode_pixel_data(frame, version=2, **options))


@_plugin_function
def gdcm_frame(frame: bytes, runner: DecodeRunner) -> bytes:
    """Lossless JPEG and 12-bit JPEG."""
    names = (
        "rows", "columns", "samples_per_pixel", "bits_allocated", "bits_stored", "pixel_representation",
        "planar_configuration",
    )  # fmt: skip
    layout = {name: getattr(runner, name) for name in names}
    layout["photometric_interpretation"] = str(runner.photometric_interpretation)
    layout["transfer_syntax"] = str.__str__(runner.transfer_syntax)
    return gdcm_samples(frame, layout)


def _set_container(runner: DecodeRunner, precision: int) -> None:
    """Tell pydicom the width of a decoded sample: by the codestream's precision, not by Bits Allocated."""
    runner.set_option("bits_allocated", 8 if precision <= 8 else 16 if precision <= 16 else 32)
