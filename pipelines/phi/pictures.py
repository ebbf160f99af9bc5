"""Pictures in the flow of a build: looked at once for identifiers, decided about, and treated as they are written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from filters.burned_in import Box
from filters.gallery import image_id_of
from filters.ocr import StartError
from filters.phi_decision import TREATMENTS, Phi
from filters.phi_pictures import PHI_IMAGES, Examination, masked
from filters.verdicts import all_kept
from pipelines.bisect import FATAL_ERRORS
from pipelines.counts import tally
from pipelines.errors import CurateError, UsageError
from pipelines.flow import Flow
from pipelines.phi.review import load_review
from pipelines.recipe import Recipe
from pipelines.session import Session, locate
from pipelines.steps import own_fingerprint
from pipelines.view import View, alive_rows, kept_rows, numbered, read_samples, rows_table
from pipelines.work import Commit, key_of
from sources.pictures import open_picture
from sources.pictures.metadata import without_metadata
from sources.pictures.panels import FIRST_PANEL
from sources.pictures.rendering import encode_png
from sources.records import ChangedInputError, Corpus

FOUND, TREATED = "phi_images", "phi_treatments"
"""Parts of a fragment: what was found in its pictures, and what is done about it."""


@dataclass(frozen=True)
class Privacy:
    """The step on pictures: how they are looked at, and how it is decided."""

    step: Phi
    examination: Examination


def privacy_of(recipe: Recipe, corpora: Iterable[Corpus]) -> Privacy | None:
    """The step, where the recipe has it and a source is covered by it; reads the review file.

    Raises:
        UsageError: the review file cannot be used.
    """
    settings = recipe.steps.phi
    if not any(settings.covers(corpus) for corpus in corpora):
        return None
    examination = Examination(
        metadata=settings.metadata != "keep",
        writing=settings.burned_in_text != "keep",
        reading=settings.ocr if settings.ocr != "auto" else "none",
        timeout_s=settings.ocr_timeout_s,
        verify=settings.burned_in_text != "keep",
    )
    return Privacy(Phi(settings.metadata, settings.burned_in_text, load_review(settings.review)), examination)


def screen_pictures(flow: Flow, privacy: Privacy) -> None:
    """Look at the pictures of every covered source that are still wanted, and decide."""
    looks = [LookTask(privacy.examination, view, number) for number, view in enumerate(flow.views)]
    found = flow.each(privacy.examination.name, looks)
    flow.views = [view.with_parts(**commit.parts) for view, commit in zip(flow.views, found, strict=True)]
    flow.decide_with(
        privacy.step.name, [RuleTask(privacy.step, view, number) for number, view in enumerate(flow.views)]
    )


@dataclass(frozen=True)
class LookTask:
    """Looks at the pictures of one fragment. `attempt` counts the workers it has killed."""

    examination: Examination
    view: View
    number: int
    attempt: int = 0

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{self.examination.name} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit PHI_IMAGES: a row per distinct picture of the samples still kept; none of a source not covered."""
        work, view, examination = session.work, self.view, self.examination
        covered = session.recipe.steps.phi.covers(session.corpora[view.corpus])
        asked = _asked(session, view) if covered else {}
        limits = session.recipe.steps.measure.limits
        key = key_of(own_fingerprint(examination), covered, view.digests(("images",)), repr(limits))
        found = work.find(examination.name, key)
        if found is not None:
            return found
        rows: list[dict[str, Any]] = []
        if asked:
            located = locate(session, view.corpus, view.fragment, self.attempt)
            with located.opening([(uri, 0) for _, (uri, _) in asked.items()]) as open_image:
                for image_id, (uri, frame) in asked.items():
                    data = open_image(uri)
                    if image_id_of(data, frame) != image_id:
                        raise ChangedInputError(_CHANGED.format(located.corpus.name))
                    rows.append(_examined(examination, image_id, data, frame, limits))
        return work.put(examination.name, key, {FOUND: pa.Table.from_pylist(rows, schema=PHI_IMAGES)})

    def again(self) -> "LookTask":
        """The task after it killed a worker."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class RuleTask:
    """Decides about the samples of one fragment."""

    step: Phi
    view: View
    number: int

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{self.step.name} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `verdicts`, `alive` and TREATMENTS."""
        work, view, step = session.work, self.view, self.step
        key = key_of(own_fingerprint(step), view.digests(("images",), FOUND))
        found = work.find(step.name, key)
        if found is not None:
            return found
        rows = alive_rows(work, view)
        examined = work.read(view.parts[FOUND])
        if examined.num_rows:
            verdicts, treatments = step.decide(read_samples(work, view, rows, step.columns), examined)
        else:
            verdicts, treatments = all_kept(len(rows)), TREATMENTS.empty_table()
        tables = {
            "verdicts": numbered(rows, verdicts),
            "alive": rows_table(kept_rows(rows, verdicts)),
            TREATED: treatments,
        }
        return work.put(step.name, key, tables, {"counts": tally(len(rows), 0, verdicts)})


def treatments_of(session: Session, view: View) -> dict[str, dict[str, Any]]:
    """What is done to the fragment's pictures as they are written, by image id."""
    if TREATED not in view.parts:
        return {}
    return {row["image_id"]: row for row in session.work.read(view.parts[TREATED]).to_pylist()}


def treated(session: Session, data: bytes, frame: int, treatment: Mapping[str, Any]) -> bytes:
    """The bytes of a picture as the shard holds them, once it was treated.

    Only one that is covered, or whose file cannot be taken apart, is stored anew: as PNG of 8 bits.
    """
    if not treatment["anew"] and frame < FIRST_PANEL:  # a panel is not the file that it was cut from
        return without_metadata(data)
    picture = open_picture(data, session.recipe.steps.measure.limits).frame(frame)
    boxes = [Box(*box) for box in treatment["boxes"]]
    try:
        return encode_png(masked(picture, boxes))
    except ValueError:  # boxes are checked as it is decided, but for pictures whose pixels were not looked at
        raise UsageError(_OUTSIDE, "boxes are [left, top, right, bottom] in pixels of the picture") from None


_START = "run python -c 'import rapidocr_onnxruntime' here; give workers more memory; or set steps.phi.ocr: none"
_OUTSIDE = "steps.phi.review: a box lies outside the picture that it is to cover"
_CHANGED = "source {}: a picture changed while the build was running; run the same command again"


def _asked(session: Session, view: View) -> dict[str, tuple[str, int]]:
    """The distinct pictures of the samples still kept: id -> where it is, and which frame."""
    rows = alive_rows(session.work, view)
    images = read_samples(session.work, view, np.asarray(rows), ("images",))["images"].to_pylist()
    return {
        image["image_id"]: (image["uri"], image["frame"])
        for of_sample in images
        for image in of_sample or ()
        if image["image_id"] is not None
    }


def _examined(examination: Examination, image_id: str, data: bytes, frame: int, limits: Any) -> dict[str, Any]:
    """A row of PHI_IMAGES; of a picture on which this fails one that says so, which is then quarantined."""
    try:
        return examination.examine(image_id, data, frame, limits)
    except StartError as error:
        raise CurateError(f"steps.phi: {error}", _START) from None
    except FATAL_ERRORS:
        raise
    except Exception:  # noqa: BLE001 - a file may hold anything: its samples are quarantined, the others go on
        empty: dict[str, Any] = {"metadata": None, "boxes": [], "container": None, "said": False, "left_over": False}
        return {"image_id": image_id, "problem": "error", "width": None, "height": None, **empty}
