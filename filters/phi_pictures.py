"""Identifiers in one picture: what stands beside the pixels, and what is written on them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import pyarrow as pa

from filters import burned_in, phi_writing, second_look
from filters.burned_in import Box, Grey, writing_in
from filters.measure import Pictures
from filters.ocr import Line, OcrError, read_writing
from filters.phi_writing import Writing, judged
from filters.second_look import looked_again
from filters.statistics import grey_of
from sources.pictures import Limits, OpenedPicture, Picture, eight_bits, open_picture
from sources.pictures.metadata import ContainerError, metadata_of
from sources.pictures.raster import Raster

VERSION = 6

ANNOTATION, UNREAD = "annotation", "unread"
"""Kinds of writing that are no identifier: a scanner's, and what nothing could read."""
LONGEST_READ = 2000
"""Larger pictures are reduced before they are read: the reader would do so itself."""
SPREAD = 0.6
"""By which share of its height a box is widened before it is covered: readers cut the last letter off now and then."""

BOX = pa.struct([(name, pa.int32()) for name in ("left", "top", "right", "bottom", "length")] + [("kind", pa.string())])
PIECE = pa.struct([("kind", pa.string()), ("length", pa.int64())])
PHI_IMAGES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("metadata", pa.list_(PIECE)),
        pa.field("boxes", pa.list_(BOX)),
        pa.field("problem", pa.string()),
        pa.field("container", pa.string()),
        pa.field("said", pa.bool_()),
        pa.field("left_over", pa.bool_()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
    ]
)
"""One row per picture looked at. `metadata`: what its file carries besides pixels; `boxes`: writing, `kind` an
identifier's, `annotation` or `unread`; `problem`: why it could not be read (`timeout`, `died`, `error`); `container`:
why its metadata cannot be taken out; `said`: whether a DICOM header says that there is burned-in text; `left_over`:
whether something that identifies can still be read once the boxes are covered. Of a picture on which looking failed
`metadata` is null: nobody saw it. `width` and `height` are null where pixels were not looked at. Values are nowhere in
it."""

Reading = Literal["rapidocr", "none"]


@dataclass(frozen=True)
class Examination:
    """How pictures are looked at: `writing` False leaves pixels alone; `verify` reads them again once covered.

    Also where nothing is masked by policy: a reviewer may answer `mask`. Metadata are always looked at, which costs
    next to nothing, so that another policy on them reads no picture again.
    """

    writing: bool
    reading: Reading
    timeout_s: float
    verify: bool

    name = "phi_pictures"
    version = VERSION
    columns = ("images",)

    def parameters(self) -> dict[str, Any]:
        """Everything that the answers depend on; the time limit only of pictures that are then quarantined."""
        return {
            "writing": self.writing, "reading": self.reading, "timeout_s": self.timeout_s,
            "verify": self.verify, "detector": burned_in.VERSION, "judge": phi_writing.VERSION,
            "again": second_look.VERSION, "decoding": Pictures.version,
        }  # fmt: skip

    def examine(self, image_id: str, data: bytes, frame: int, limits: Limits) -> dict[str, Any]:
        """A row of PHI_IMAGES.

        Raises:
            PictureError: the picture does not decode any more.
            ImportError: the reader of writing is not installed.
        """
        row: dict[str, Any] = {"image_id": image_id, "metadata": [], "boxes": [], "problem": None, "container": None}
        row |= {"said": False, "left_over": False, "width": None, "height": None}
        try:
            row["metadata"] = [{"kind": one.kind, "length": one.length} for one in metadata_of(data)]
        except ContainerError as error:
            row["container"] = str(error)
        if self.writing:
            opened = open_picture(data, limits)
            picture = opened.frame(frame)
            row |= {"width": picture.width, "height": picture.height}
            said = picture.facts.get("BurnedInAnnotation") == "YES"
            row |= self._written([grey_of(picture), *_otherwise_seen(opened, picture)], said=said)
        return row

    def _written(self, sights: list[Grey], *, said: bool) -> dict[str, Any]:
        nominated = [writing_in(grey) for grey in sights]
        if not any(nominated) and not said:
            return {}
        if self.reading == "none":
            boxes = [_box(box, UNREAD, 0) for of_sight in nominated for box in of_sight]
            return {"boxes": boxes, "said": said}
        try:
            wanted = [(grey, boxes) for grey, boxes in zip(sights, nominated, strict=True) if boxes or said]
            found = [one for grey, boxes in wanted for one in written_on(grey, boxes, self.timeout_s)]
            left_over = self.verify and any(one.kind for one in found) and self._is_left_over(sights[0], found)
        except OcrError as error:
            return {"problem": "died" if str(error) == "died" else "timeout", "said": said}
        boxes = [_box(one.box, one.kind or ANNOTATION, one.length) for one in found]
        return {"boxes": boxes, "said": said, "left_over": left_over}

    def _is_left_over(self, grey: Grey, found: list[Writing]) -> bool:
        hidden = covered(grey, [one.box for one in found if one.kind])
        return any(one.kind for one in written_on(hidden, writing_in(hidden), self.timeout_s))


def written_on(grey: Grey, nominated: list[Box], timeout_s: float) -> list[Writing]:
    """What stands on a picture of H x W grey levels: the whole is read, then what was nominated and not explained.

    Raises:
        OcrError, ImportError: as `filters.ocr.read_writing`.
    """
    lines = _read(grey, timeout_s)
    return [*judged(lines), *looked_again(grey, nominated, lines, timeout_s)]


def _otherwise_seen(opened: OpenedPicture, picture: Picture) -> Iterator[Grey]:
    """The picture as readers of its stored bytes may see it, where that is not as it is displayed here.

    Shards hold PNG files as they are: some readers drop their transparency, and cut 16 bits off at 255.
    """
    if picture.format != "png" or not isinstance(opened, Raster):
        return
    beneath = opened.beneath()
    if beneath is not None:
        yield np.asarray(beneath.convert("L"))
    if picture.pixels.dtype == np.uint16:
        yield np.minimum(picture.pixels, 255).astype(np.uint8)


def covered(pixels: Any, boxes: list[Box]) -> Any:
    """A copy of 8-bit pixels (H x W or H x W x 3) in which the boxes, a little widened, are one even grey or colour.

    It is the median of what stands around a box, so that a cover is seen and shows nothing.

    Raises:
        ValueError: a box is empty, or lies outside the picture, so that nothing would be covered.
    """
    out = pixels.copy()
    for box in boxes:
        height, width = out.shape[:2]
        if not (box.left < min(box.right, width) and box.top < min(box.bottom, height)):
            raise ValueError("a box covers nothing of the picture")
        by = max(int(SPREAD * (box.bottom - box.top)), 2)
        top, bottom = max(box.top - by // 2, 0), min(box.bottom + by // 2, height)
        left, right = max(box.left - by, 0), min(box.right + by, width)
        rim = np.concatenate(
            [
                pixels[top, left:right],
                pixels[bottom - 1, left:right],
                pixels[top:bottom, left],
                pixels[top:bottom, right - 1],
            ]
        )
        out[top:bottom, left:right] = np.median(rim, axis=0).astype(np.uint8)
    return out


def masked(picture: Picture, boxes: list[Box]) -> Picture:
    """The picture at 8 bits with the boxes covered."""
    pixels = covered(eight_bits(picture), boxes)
    return Picture(
        pixels, picture.width, picture.height, picture.format, 8, picture.frames, picture.modality, picture.facts
    )


def _read(grey: Grey, timeout_s: float) -> list[Line]:
    """The writing of a picture, reduced before it is read where it is very large."""
    longest = max(grey.shape)
    if longest <= LONGEST_READ:
        return read_writing(grey, timeout_s)
    scale = LONGEST_READ / longest
    size = (max(round(grey.shape[1] * scale), 1), max(round(grey.shape[0] * scale), 1))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    height, width = grey.shape
    return [
        Line(
            Box(
                int(line.box.left / scale), int(line.box.top / scale),
                min(int(line.box.right / scale) + 1, width), min(int(line.box.bottom / scale) + 1, height),
            ),
            line.text,
            line.confidence,
        )
        for line in read_writing(small, timeout_s)
    ]  # fmt: skip


def _box(box: Box, kind: str, length: int) -> dict[str, Any]:
    return {
        "left": box.left, "top": box.top, "right": box.right, "bottom": box.bottom, "kind": kind, "length": length,
    }  # fmt: skip
