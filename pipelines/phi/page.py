"""`reports/phi_review.html`: the quarantined pictures, what was found in them covered, for people who decide.

The page is for the site alone: it shows pictures of sources that tell of people. Nothing of it lies in `work/`, and it
is no part of the run's identity.
"""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import orjson
from PIL import Image

from filters.burned_in import Box
from filters.gallery import image_id_of
from filters.phi_pictures import ANNOTATION, covered
from pipelines.phi.pictures import FOUND
from pipelines.report.page_templates import page_templates
from pipelines.session import Session, locate
from pipelines.view import View, read_samples
from pipelines.words import SENTENCES
from sources.pictures import PictureError, eight_bits, open_picture
from sources.records import CorpusError
from sources.schema import Verdict
from sources.storage import Folder

PAGE = "reports/phi_review.html"
STEP = "phi"
MOST_SHOWN = 200
SHOWN_SIDE = 480
_NONE = "{}"
BLOCKS = 12
"""A picture of which nothing is known that could be covered is shown as so many blocks a side."""


@dataclass(frozen=True)
class Shown:
    """One quarantined picture as the page has it. Kinds and lengths of what was found, never a value."""

    image_id: str
    samples: tuple[str, ...]
    source: str
    words: str
    found: tuple[str, ...]
    picture: str | None
    """A data URL; None where it cannot be shown."""


def write_review(session: Session, views: Sequence[View], run: Folder) -> None:
    """Write the page, or take away an old one where nothing is quarantined any more."""
    total = 0
    shown: list[Shown] = []
    for view, images in _quarantined(session, views):  # of a run there may be millions: one fragment's are held
        total += len(images)
        if len(shown) < MOST_SHOWN:
            shown += _shown(session, view, images, MOST_SHOWN - len(shown))
    if not total:
        if run.stat(PAGE) is not None:
            run.delete(PAGE)
        return
    page = page_templates().get_template("phi_review.html.j2").render(shown=shown, total=total, place=run.place)
    run.write(PAGE, page.encode())


def _quarantined(session: Session, views: Sequence[View]) -> Iterator[tuple[View, dict[str, dict[str, Any]]]]:
    """Fragments with quarantined pictures: image id -> its place, the reason, and the samples that show it."""
    for view in views:
        verdicts = dict(view.verdicts).get(STEP)
        if verdicts is None or not view.parts[FOUND].rows:
            continue
        said = [
            row
            for row in session.work.read(verdicts, ["row", "verdict", "reason", "evidence"]).to_pylist()
            if row["verdict"] == Verdict.QUARANTINE
        ]
        if not said:
            continue
        numbers = np.array([row["row"] for row in said], np.int32)
        samples = read_samples(session.work, view, numbers, ("sample_id", "images")).to_pylist()
        images: dict[str, dict[str, Any]] = {}
        for row, sample in zip(said, samples, strict=True):
            for told in orjson.loads(row["evidence"] or _NONE).get("images", ()):
                if told["verdict"] != Verdict.QUARANTINE:
                    continue
                image = sample["images"][told["image"]]
                decided = {"reason": row["reason"], "reviewed": "review" in told, "samples": []}
                entry = images.setdefault(image["image_id"], {**image, **decided})
                entry["samples"].append(sample["sample_id"])
        yield view, images


def _shown(session: Session, view: View, images: Mapping[str, dict[str, Any]], most: int) -> list[Shown]:
    found = {row["image_id"]: row for row in session.work.read(view.parts[FOUND]).to_pylist()}
    some = dict(list(images.items())[:most])
    pictures = _pictures(session, view, some, found)
    return [
        Shown(
            image_id,
            tuple(sorted(entry["samples"])),
            session.corpora[view.corpus].name,
            SENTENCES.get(entry["reason"], entry["reason"]),
            tuple(_kinds(found[image_id])),
            pictures.get(image_id),
        )
        for image_id, entry in some.items()
    ]


def _pictures(
    session: Session, view: View, images: Mapping[str, dict[str, Any]], found: Mapping[str, dict[str, Any]]
) -> dict[str, str]:
    """Data URLs of those that can be shown: a source may have changed, or gone, since it was read."""
    shown: dict[str, str] = {}
    limits = session.recipe.steps.measure.limits
    with suppress(CorpusError):
        located = locate(session, view.corpus, view.fragment)
        with located.opening([(entry["uri"], 0) for entry in images.values()]) as open_image:
            for image_id, entry in images.items():
                if found[image_id]["problem"] == "error":  # it may have killed who looked at it
                    continue
                with suppress(PictureError, OSError, KeyError, ValueError, MemoryError):
                    data = open_image(entry["uri"])
                    if image_id_of(data, entry["frame"]) == image_id:  # boxes are those of this picture
                        picture = open_picture(data, limits).frame(entry["frame"])
                        covers = not (found[image_id]["left_over"] or entry["reviewed"])
                        shown[image_id] = _data_url(eight_bits(picture), found[image_id], covers=covers)
    return shown


def _kinds(row: Mapping[str, Any]) -> Iterator[str]:
    for box in row["boxes"]:
        if box["kind"] != ANNOTATION:
            place = f"{box['left']}, {box['top']}, {box['right']}, {box['bottom']}"
            yield f"writing: {box['kind']}, {box['length']} characters at [{place}]"
    for piece in row["metadata"] or ():
        yield f"metadata: {piece['kind']}, {piece['length']} bytes"
    if row["problem"]:
        yield f"could not be read: {row['problem']}"
    if row["said"]:
        yield "its header says that there is burned-in text"
    if row["left_over"]:
        yield "something can still be read once the boxes are covered"


def _data_url(pixels: Any, row: Mapping[str, Any], *, covers: bool) -> str:
    """A small JPEG with the boxes covered and framed; as blocks where there is none, or covering does not do.

    It does not do where a reviewer wants something covered and gave no boxes that could be.
    """
    boxes = [
        Box(box["left"], box["top"], box["right"], box["bottom"]) for box in row["boxes"] if box["kind"] != ANNOTATION
    ]
    if not boxes or not covers:
        small = cv2.resize(pixels, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
        shown = cv2.resize(small, (SHOWN_SIDE // 2, SHOWN_SIDE // 2), interpolation=cv2.INTER_NEAREST)
    else:
        shown = _framed(covered(pixels, boxes), boxes)
    buffer = io.BytesIO()
    Image.fromarray(shown).save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _framed(pixels: Any, boxes: Sequence[Box]) -> Any:
    colour = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    scale = min(SHOWN_SIDE / max(colour.shape[:2]), 1.0)
    size = (max(round(colour.shape[1] * scale), 1), max(round(colour.shape[0] * scale), 1))
    shown = np.ascontiguousarray(cv2.resize(colour, size, interpolation=cv2.INTER_AREA))
    for box in boxes:
        corners = [round(edge * scale) for edge in (box.left, box.top, box.right, box.bottom)]
        cv2.rectangle(shown, (corners[0] - 2, corners[1] - 2), (corners[2] + 2, corners[3] + 2), (220, 40, 40), 1)
    return shown
