"""Near-duplicate pictures: the items are the rows of a fragment's images table."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from dedup.images import SERIES, SERIES_GROUPS, NearImage, Pair
from dedup.verify_pictures import Prepared, prepare
from filters.gallery import image_id_of
from filters.statistics import grey_of
from pipelines.errors import CurateError
from pipelines.near.kind import AGAIN, ITEM, OUTCOMES, Opens
from pipelines.session import Session
from pipelines.view import View, read_samples
from sources.pictures import Limits, PictureError, thumbnail_only
from sources.pictures.picture import CtWindows

NAME = "near_picture"
VERSION = 5
SIDE = 1024
"""Pixels that a reduced decode leaves at least: twice of what verification compares at."""
PREPARED = 64
"""Pictures held ready: about 2 MB each."""


@dataclass(frozen=True)
class Pictures:
    """Distinct pictures, nominated by fingerprints and verified on their pixels."""

    step: NearImage
    max_pixels: int
    ct_windows: CtWindows = "header"

    name = NAME
    opens_pictures = True
    tells_further = True

    def parameters(self) -> dict[str, Any]:
        """The step's, with its version."""
        return {
            "version": [VERSION, self.step.version],
            "max_pixels": self.max_pixels,
            **({} if self.ct_windows == "header" else {"ct_windows": self.ct_windows}),
            **self.step.picture_parameters(),
        }

    def inputs(self, view: View) -> list[str]:
        """The images table, which of its pictures other fragments measured first, where they lie, and the samples."""
        measured = [view.parts[name].digest for name in ("images", "images_followers", "links")]
        return [*measured, *(part.digest for part in view.samples)]

    def bands(self, session: Session, view: View) -> pa.Table:
        """BAND_KEYS of the pictures; one that another fragment measured first is only told by its pixels."""
        images = _measured(session, view)
        repeated = session.work.read(view.parts["images_followers"])["row"].to_numpy()
        return self.step.picture_keys(images, repeated)

    def contents(self, session: Session, view: View, rows: npt.NDArray[np.int32]) -> pa.Table:
        """ITEM, what fingerprints say, and `uri` and `frame` of the picture under its fragment's corpus."""
        images = _measured(session, view).take(pa.array(rows))
        shown = _shown(session.work.read(view.parts["links"], ["images"]))
        uris, frames = zip(*(shown[image_id] for image_id in images["image_id"].to_pylist()), strict=True)
        table = pa.table([self.step.picture_ids(images), self.step.picture_order(images)], schema=ITEM)
        for name in self.step.picture_columns:
            table = table.append_column(images.schema.field(name), images[name])
        return table.append_column("uri", pa.array(uris, pa.string())).append_column(
            "frame", pa.array(frames, pa.int32())
        )

    def verify(self, ours: pa.Table, theirs: pa.Table, here: Opens | None, where: Sequence[Opens]) -> pa.Table:
        """By pixels, where fingerprints do not decide alone; what cannot be decoded for that is no duplicate.

        Laying one picture on the other is not the same as the other on the one: the smaller id is always laid on the
        larger, so that the order of fragments does not matter.
        """
        assert here is not None
        opened = _Opened(Limits(max_pixels=self.max_pixels, ct_windows=self.ct_windows))
        outcomes = []
        for row, other, there in zip(ours.to_pylist(), theirs.to_pylist(), where, strict=True):
            (one, its), (two, others) = sorted([(row, here), (other, there)], key=lambda side: str(side[0]["image_id"]))
            pair = self.step.compared(one, two)
            if pair.verdict is None:
                a, b = opened.prepared(its, one), opened.prepared(others, two)
                pair = UNREADABLE if a is None or b is None else self.step.verified(pair, a, b)
            detail = None if pair.detail is None else orjson.dumps(pair.detail).decode()
            outcomes.append(
                {"accepted": pair.verdict == "duplicate", "score": pair.score, "cause": pair.cause, "detail": detail}
            )
        return pa.Table.from_pylist(outcomes, schema=OUTCOMES)


UNREADABLE = Pair("different", 0.0, "unreadable")


class _Opened:
    """The pictures that one task compares, each opened once as long as it is held ready."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ready: OrderedDict[str, Prepared | None] = OrderedDict()

    def prepared(self, located: Opens, picture: Mapping[str, Any]) -> Prepared | None:
        """The picture ready to be compared, None where it cannot be decoded for that.

        Raises:
            CurateError: it is gone, or another one. That is no outcome: it would be believed when the picture is back.
        """
        image_id = picture["image_id"]
        if image_id not in self._ready:
            self._ready[image_id] = self._prepared(located, picture)
            if len(self._ready) > PREPARED:
                self._ready.popitem(last=False)
        self._ready.move_to_end(image_id)
        return self._ready[image_id]

    def _prepared(self, located: Opens, picture: Mapping[str, Any]) -> Prepared | None:
        frame = picture["frame"]
        try:
            data = located.open(picture["uri"])
            if image_id_of(data, frame) != picture["image_id"]:
                raise CurateError("a picture changed while the build was running", AGAIN)
            return prepare(grey_of(thumbnail_only(data, frame, self._limits, SIDE)))
        except PictureError:
            return None


def _measured(session: Session, view: View) -> pa.Table:
    """IMAGES of the fragment, and as `serial` whether a picture of CT or MR is of a sample whose series is known."""
    images = session.work.read(view.parts["images"])
    serial = np.zeros(len(images), bool)
    if SERIES.intersection(images["modality"].unique().to_pylist()):
        rows = np.arange(sum(part.rows for part in view.samples), dtype=np.int32)
        samples = read_samples(session.work, view, rows, ("images", "groups"))
        known = {
            ref["image_id"]
            for refs, groups in zip(samples["images"].to_pylist(), samples["groups"].to_pylist(), strict=True)
            if SERIES_GROUPS.intersection(group["kind"] for group in groups or ())
            for ref in refs or ()
        }
        serial = np.array([image_id in known for image_id in images["image_id"].to_pylist()], bool)
    return images.append_column("serial", pa.array(serial))


def _shown(links: pa.Table) -> dict[str, tuple[str, int]]:
    """image_id -> where one of the samples that name it finds it."""
    return {
        ref["image_id"]: (ref["uri"], ref["frame"])
        for refs in links["images"].to_pylist()
        for ref in refs or ()
        if ref["image_id"] is not None
    }
