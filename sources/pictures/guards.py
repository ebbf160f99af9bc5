"""What stands around every call into a codec: its errors are the picture's, its noise is nobody's."""

import errno
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageFile

from sources.pictures.picture import Limits, PictureError
from sources.schema import Reason

_HOUSE = str(Path(__file__).resolve().parent.parent.parent) + os.sep
_LIBRARIES = f"{os.sep}site-packages{os.sep}"
_NOT_THE_SYSTEM = frozenset({None, errno.EINVAL})
"""Error numbers of the OSErrors that bad bytes cause: codecs give none, and EINVAL is a seek to a bad offset."""
_NOISY_LOGGERS = ("PIL", "pydicom", "openjpeg", "rle", "pylibjpeg", "pypdf")


@contextmanager
def codec_errors(what: str) -> Iterator[None]:
    """Silence a codec's warnings, and turn whatever it raises on bad bytes into IMAGE_UNDECODABLE.

    The detail is `what` and the exception's type: its message may quote the content. To be wrapped around calls
    into libraries only. An AttributeError or NameError that comes from a line of this project, an ImportError, a
    MemoryError and an error of the system (no permission, a disk that fails) are never the picture's fault: they
    pass.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (PictureError, ImportError, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise PictureError(Reason.IMAGE_BOMB, f"{what}: more pixels than allowed") from None
    except Exception as error:
        if isinstance(error, NameError | AttributeError) and _raised_here(error):
            raise
        if isinstance(error, OSError) and error.errno not in _NOT_THE_SYSTEM:
            raise
        raise PictureError(Reason.IMAGE_UNDECODABLE, f"{what}: {type(error).__name__}") from None


def _raised_here(error: BaseException) -> bool:
    """Whether the innermost line is one of this project."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    file = trace.tb_frame.f_code.co_filename if trace is not None else ""
    return file.startswith(_HOUSE) and _LIBRARIES not in file


@contextmanager
def pillow_within(limits: Limits) -> Iterator[None]:
    """Run Pillow with our pixel limit as its own, whatever others set, and restore theirs.

    Pillow also checks sizes that the header does not tell (tiles, frames of a GIF): over `max_pixels` it warns,
    over twice that it raises; here the warning is an error too.
    """
    pixels, truncated = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = limits.max_pixels, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = pixels, truncated


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Drop what native code writes to file descriptor 2: it may quote what it read.

    Python's own `sys.stderr` goes through the same descriptor, so only single codec calls belong in here.
    """
    kept = os.dup(2)
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
        finally:
            os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def silence_loggers() -> None:
    """Switch off the loggers of decoding libraries: they log file names and header values."""
    for name in _NOISY_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
