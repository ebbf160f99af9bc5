"""What the page shows of both sides of a finding: the sample's text and pictures, and the eval item's."""

import base64
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from pipelines.audit.flow import Found
from pipelines.audit.protect import Protected
from pipelines.private import Hidden, private_among
from pipelines.session import Located, Session, locate
from pipelines.view import View, read_samples
from sources.pictures import Limits, PictureError, eight_bits, thumbnail_only
from sources.storage import TooLargeError, is_absence

SIDE_PX, QUALITY = 232, 72
"""Longer side of a picture on the page, and its JPEG quality: about 8 kB."""
DECODED_PX = 256
_SAMPLE = ("sample_id", "source", "turns", "question", "answer", "meta", "license", "access", "groups", "images")
_ITEM = ("eval_set", "eval_id", "question", "options", "answer", "rationale", "context", "text", "license", "access",
         "groups", "images")  # fmt: skip
CREDENTIALED = "credentialed"


@dataclass(frozen=True)
class Side:
    """One side of a finding.

    `hidden`: it may tell of people, so neither text nor pixels are shown, and none are here.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    """Field -> text, of all fields that a span may name."""
    license: str = ""
    access: str = ""
    groups: tuple[tuple[str, str], ...] = ()
    hidden: bool = True


@dataclass(frozen=True)
class Shown:
    """A picture as a page can hold it."""

    uri: str
    """`data:` URI of a JPEG."""
    width: int
    height: int


class Sides(Protocol):
    """Both sides of findings, by their ids."""

    def sample(self, sample_id: str) -> Side | None:
        """The sample's side; None where it is not known."""
        ...

    def item(self, eval_set: str, eval_id: str) -> Side | None:
        """The item's side; None where it is not known."""
        ...

    def sample_picture(self, sample_id: str, image_id: str) -> Shown | None:
        """A picture of a sample; None where it is hidden or cannot be opened."""
        ...

    def item_picture(self, eval_set: str, eval_id: str, image_id: str) -> Shown | None:
        """A picture of an item; None where it is hidden or cannot be opened."""
        ...


class AuditedSides:
    """The sides of the findings of an audit that was just made, read from what it committed."""

    def __init__(self, session: Session, views: Sequence[View], protected: Protected, found: Found,
                 samples: Collection[str], hidden: Hidden) -> None:  # fmt: skip
        """`samples`: the ids that will be asked for; `hidden`: what is known to be shown on no page."""
        self._session, self._protected, self._hidden = session, protected, hidden
        self._private = hidden.sources | private_among(session.corpora)
        wanted = pa.array(sorted(samples), pa.string())
        self._rows: dict[str, tuple[View, dict[str, Any]]] = {}
        for view, part in zip(views, found.strongest, strict=True):
            if part.rows:
                rows = np.unique(session.work.read(part, ["row"])["row"].to_numpy()).astype(np.int32)
                ids = read_samples(session.work, view, rows, ("sample_id",))["sample_id"]
                rows = rows[pc.is_in(ids, wanted).to_numpy()]
                for row in read_samples(session.work, view, rows, _SAMPLE).to_pylist():
                    self._rows[row["sample_id"]] = view, row
        items = session.work.read(protected.items, list(_ITEM)).to_pylist()
        self._items = {(row["eval_set"], row["eval_id"]): row for row in items}
        pictures = session.work.read(protected.pictures).to_pylist()
        self._pictures = {row["image_id"]: row for row in pictures}
        self._private_sets = private_among(protected.session.corpora)
        self._located: dict[tuple[str, int], Located] = {}

    def sample(self, sample_id: str) -> Side | None:
        """As Sides promises."""
        if sample_id not in self._rows:
            return None
        view, row = self._rows[sample_id]
        texts = {f"turns.{number}": turn["text"] or "" for number, turn in enumerate(row["turns"] or ())}
        texts |= {name: row[name] for name in ("question", "answer", "meta") if row[name]}
        return _side(row, texts, hidden=self._is_private(view, row))

    def item(self, eval_set: str, eval_id: str) -> Side | None:
        """As Sides promises."""
        row = self._items.get((eval_set, eval_id))
        if row is None:
            return None
        names = ("question", "answer", "context", "rationale", "text")
        texts = {name: row[name] for name in names if row[name]}
        return _side(row, texts, hidden=row["access"] == CREDENTIALED or eval_set in self._private_sets)

    def sample_picture(self, sample_id: str, image_id: str) -> Shown | None:
        """As Sides promises."""
        if sample_id not in self._rows:
            return None
        view, row = self._rows[sample_id]
        ref = next((ref for ref in row["images"] or () if ref["image_id"] == image_id), None)
        if ref is None or image_id in self._hidden.pictures or self._is_private(view, row):
            return None
        return self._open("data", self._session, view.corpus, view, ref["uri"], ref["frame"])

    def item_picture(self, eval_set: str, eval_id: str, image_id: str) -> Shown | None:
        """As Sides promises."""
        side, row = self.item(eval_set, eval_id), self._pictures.get(image_id)
        if side is None or side.hidden or row is None or image_id in self._hidden.pictures:
            return None
        view = self._protected.views[row["fragment"]]
        return self._open("evals", self._protected.session, view.corpus, view, row["uri"], row["frame"])

    def _is_private(self, view: View, row: Mapping[str, Any]) -> bool:
        read_as = self._session.corpora[view.corpus].name
        return row["access"] == CREDENTIALED or not self._private.isdisjoint({read_as, row["source"]})

    def _open(self, side: str, session: Session, corpus: int, view: View, uri: str, frame: int | None) -> Shown | None:
        key = side, id(view)
        if key not in self._located:
            self._located[key] = locate(session, corpus, view.fragment)
        try:
            data = self._located[key].open(uri)
        except (TooLargeError, PictureError):
            return None
        except OSError as error:
            if not is_absence(error):
                raise
            return None
        return shown(data, frame or 0, session.recipe.steps.measure.max_pixels)


def shown(data: bytes, frame: int, max_pixels: int) -> Shown | None:
    """A picture as a small JPEG in its colours; None where it cannot be decoded."""
    try:
        picture = thumbnail_only(data, frame, Limits(max_pixels=max_pixels), DECODED_PX)
    except PictureError:
        return None
    image = Image.fromarray(eight_bits(picture))
    image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return Shown(f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}", *image.size)


def _side(row: Mapping[str, Any], texts: Mapping[str, str], *, hidden: bool) -> Side:
    groups = tuple((group["kind"], group["id"]) for group in row["groups"] or ())
    return Side({} if hidden else texts, row["license"], row["access"], groups, hidden)
