"""The pictures of one fragment: each file opened once, each frame that is asked for measured once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import blake3
import orjson

from filters.batches import Batches
from filters.measurer import AnyMeasurer, PictureMeasurer
from filters.statistics import grey_image, pixel_hash, statistics_of
from sources.pictures import Limits, OpenedPicture, Picture, PictureError, open_picture
from sources.pictures.panels import FIRST_PANEL, figure_panels
from sources.schema import Reason
from sources.storage import TooLargeError, is_absence

ID_DIGITS = 32
SMALL_SIDE = 128
"""Pixels that a reduced decode leaves at least: twice the thumbnail's side."""


def image_id_of(data: bytes, frame: int) -> str:
    """The identity of a picture: BLAKE3 of the source bytes and the frame number as 8 little-endian bytes."""
    return blake3.blake3(data).update(frame.to_bytes(8, "little")).hexdigest()[:ID_DIGITS]


def made_sample_id(parent_id: str, frame: int) -> str:
    """The identity of a sample made of a frame (or panel): BLAKE3 of its parent's and the frame number."""
    return blake3.blake3(parent_id.encode()).update(frame.to_bytes(8, "little")).hexdigest()[:ID_DIGITS]


@dataclass(frozen=True)
class Wanted:
    """A picture that a sample names, and which frames of it: one by number, or by policy.

    `split`: a compound figure's panels instead of the figure, where nothing says that it is one scan.
    """

    uri: str | None
    frames: int | Literal["first", "middle", "each"]
    split: bool = False


@dataclass(frozen=True)
class Problem:
    """Why a picture cannot be had. `detail` holds no content and no path."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class Shown:
    """What became of one frame that was wanted: its number and id, or a problem."""

    frame: int | None
    image_id: str | None = None
    problem: Problem | None = None


class Gallery:
    """Measures pictures and remembers what became of each; `images` are the IMAGES rows so far."""

    def __init__(
        self, limits: Limits, card_modality: str, *, full_size: bool, measurers: Sequence[AnyMeasurer] = ()
    ) -> None:
        """`full_size` False decodes at reduced scale where that saves work, and leaves `pixel_hash` null.

        What `measurers` find goes into their columns; those of measurers that are not there are null. Where one of
        them needs every pixel, nothing is decoded at reduced scale.
        """
        self._limits, self._card_modality, self._full_size = limits, card_modality, full_size
        self._measurers = tuple(other for other in measurers if not isinstance(other, PictureMeasurer))
        self._models = tuple(other for other in measurers if isinstance(other, PictureMeasurer))
        self._whole = full_size or any(other.whole for other in measurers)
        self._rows: dict[str, dict[str, Any]] = {}
        self._shown: dict[Wanted, list[Shown]] = {}

    @property
    def images(self) -> list[dict[str, Any]]:
        """One row per distinct picture, in order of first appearance."""
        return list(self._rows.values())

    def shown(self, wanted: Wanted) -> list[Shown]:
        """What became of a picture that was visited: at least one entry."""
        return self._shown[wanted]

    def visit(self, wanted: Sequence[Wanted], open_image: Callable[[str], bytes]) -> None:
        """Open each file once and measure the frames of it that are wanted.

        Raises:
            OSError: a file is there and cannot be read now.
        """
        by_uri: dict[str | None, dict[Wanted, None]] = {}
        for one in wanted:
            by_uri.setdefault(one.uri, {})[one] = None
        with Batches(self._models) as batches:
            for uri, of_uri in by_uri.items():
                self._shown.update(self._visit_file(uri, list(of_uri), open_image, batches))

    def _visit_file(
        self, uri: str | None, wanted: list[Wanted], open_image: Callable[[str], bytes], batches: Batches
    ) -> Iterator[tuple[Wanted, list[Shown]]]:
        try:
            data = _read(uri, open_image)
            picture = open_picture(data, self._limits)
        except PictureError as error:
            for one in wanted:
                yield one, [_failed(one.frames if isinstance(one.frames, int) else None, error)]
            return
        for one in wanted:
            yield one, list(self._frames(data, picture, one, batches))

    def _frames(self, data: bytes, picture: OpenedPicture, wanted: Wanted, batches: Batches) -> Iterator[Shown]:
        """The frames wanted. Where the first of `each` fails, the file is bad: the others are not tried."""
        header = picture.header
        try:
            if wanted.frames == "each":
                self._limits.check_frames(header.frames, header.width, header.height, len(data))
        except PictureError as error:
            yield _failed(0, error)
            return
        for position, number in enumerate(self._panels(picture, wanted) or _numbers(wanted, header.frames)):
            shown = self._frame(data, picture, number, batches)
            yield shown
            if shown.problem is not None and not position:
                return

    def _panels(self, picture: OpenedPicture, wanted: Wanted) -> range | None:
        """The frame numbers of the panels of a figure that is to be split; None where it is none."""
        known = {self._card_modality, picture.modality} != {"unknown"}
        if not wanted.split or known or picture.header.frames > 1:
            return None
        try:
            found = len(figure_panels(grey_image(picture.frame(0))))
        except PictureError:
            return None  # whoever asks for the picture itself is told
        return range(FIRST_PANEL, FIRST_PANEL + found) if found else None

    def _frame(self, data: bytes, opened: OpenedPicture, number: int, batches: Batches) -> Shown:
        image_id = image_id_of(data, max(number, 0))
        if image_id not in self._rows:
            try:
                picture = opened.frame(number) if self._whole else opened.small_frame(number, SMALL_SIDE)
            except PictureError as error:
                return _failed(number, error)
            row = self._rows[image_id] = self._row(image_id, picture, len(data))
            batches.add(row, picture)
        return Shown(number, image_id)

    def _row(self, image_id: str, picture: Picture, size: int) -> dict[str, Any]:
        statistics = statistics_of(picture)
        modality, origin = self._modality(picture)
        return {
            "image_id": image_id,
            "pixel_hash": pixel_hash(picture) if self._full_size else None,
            "width": picture.width,
            "height": picture.height,
            "bit_depth": picture.bit_depth,
            "channels": picture.channels,
            "format": picture.format,
            "frames": picture.frames,
            "bytes": size,
            "thumbnail": statistics.thumbnail,
            "mean": statistics.mean,
            "std": statistics.std,
            "minimum": statistics.minimum,
            "maximum": statistics.maximum,
            "entropy": statistics.entropy,
            "modality": modality,
            "modality_from": origin,
            "facts": orjson.dumps(dict(picture.facts)).decode() if picture.format == "dicom" else None,
            "flags": [],
            **{
                name: value
                for other in self._measurers
                for name, value in other.measure(statistics.small, statistics.grey).items()
            },
        }

    def _modality(self, picture: Picture) -> tuple[str, str]:
        """The header's word before the card's, and where it came from."""
        if picture.modality != "unknown":
            return picture.modality, "dicom"
        return self._card_modality, "none" if self._card_modality == "unknown" else "card"


def _read(uri: str | None, open_image: Callable[[str], bytes]) -> bytes:
    """The bytes of a file.

    Raises:
        PictureError: IMAGE_MISSING, no such file; IMAGE_BOMB, it is too large to be read.
        OSError: it is there and cannot be read now (no permission, a disk that fails): not the picture's fault.
    """
    if not uri:
        raise PictureError(Reason.IMAGE_MISSING, "no file is named")
    try:
        return open_image(uri)
    except TooLargeError as error:
        raise PictureError(Reason.IMAGE_BOMB, error.detail) from None
    except OSError as error:
        if not is_absence(error):
            raise
        raise PictureError(Reason.IMAGE_MISSING, f"cannot be opened: {type(error).__name__}") from None


def frame_word(frame: int) -> str:
    """How a frame is called in the key of a sample that was made of it."""
    return str(frame) if frame < FIRST_PANEL else f"panel{frame - FIRST_PANEL + 1}"


def _numbers(wanted: Wanted, frames: int) -> range:
    if isinstance(wanted.frames, int):
        return range(wanted.frames, wanted.frames + 1)
    if wanted.frames == "each":
        return range(frames)
    number = frames // 2 if wanted.frames == "middle" else 0
    return range(number, number + 1)


def _failed(frame: int | None, error: PictureError) -> Shown:
    return Shown(frame, problem=Problem(error.reason, error.detail))
