"""Pictures in the flow of a build: looked at once for identifiers, decided about, and treated as they are written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from filters.burned_in import Box
from filters.gallery import image_id_of
from filters.ocr import StartError
from filters.phi_decision import TREATMENTS, Phi
from filters.phi_pictures import PHI_IMAGES, Examination, masked
from filters.verdicts import all_kept
from pipelines.bisect import FATAL_ERRORS, Failure, bisect
from pipelines.counts import tally
from pipelines.engines.attempts import TASK_S
from pipelines.errors import CurateError, UsageError
from pipelines.flow import Flow
from pipelines.isolation import isolated, reach
from pipelines.phi.review import load_review
from pipelines.phi.seen import remember, seen
from pipelines.recipe import Recipe
from pipelines.session import Located, Session, locate
from pipelines.steps import own_fingerprint
from pipelines.view import View, alive_rows, kept_rows, numbered, read_samples, rows_table
from pipelines.work import Commit, key_of
from sources.pictures import Limits, open_picture
from sources.pictures.metadata import turned_as, without_metadata
from sources.pictures.panels import FIRST_PANEL
from sources.pictures.rendering import encode_png
from sources.records import ChangedInputError, Corpus

FOUND, TREATED = "phi_images", "phi_treatments"
"""Parts of a fragment: what was found in its pictures, and what is done about it."""
PICTURE_S = 10.0
"""For one picture, of a worker's time: the reader takes one to five seconds on a busy machine."""


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
    review = load_review(settings.review) if settings.enabled else {}
    if not review and not any(settings.covers(corpus) for corpus in corpora):
        return None
    examination = Examination(
        writing=settings.burned_in_text != "keep",
        reading=settings.ocr if settings.ocr != "auto" else "none",
        timeout_s=settings.ocr_timeout_s,
        verify=settings.burned_in_text != "keep",
    )
    return Privacy(Phi(settings.metadata, settings.burned_in_text, review), examination)


def screen_pictures(flow: Flow, privacy: Privacy) -> None:
    """Look at the pictures of every covered source that are still wanted, and decide.

    Also at those that a decision names, whatever their source. Decisions that name none are told.
    """
    named = frozenset(privacy.step.review)
    looks = [LookTask(privacy.examination, view, number, named) for number, view in enumerate(flow.views)]
    found = flow.each(privacy.examination.name, looks)
    flow.views = [view.with_parts(**commit.parts) for view, commit in zip(flow.views, found, strict=True)]
    flow.decide_with(
        privacy.step.name, [RuleTask(privacy.step, view, number) for number, view in enumerate(flow.views)]
    )
    work = flow.session.work
    looked = (work.read(view.parts[FOUND], ["image_id"])["image_id"].to_pylist() for view in flow.views if named)
    unused = sorted(in_none_of(named, looked))
    if unused:
        flow.reporter.say(_UNUSED.format(len(unused), ", ".join(unused[:MOST_TOLD])))


def in_none_of(named: frozenset[str], looked: Iterable[Sequence[str]]) -> set[str]:
    """The pictures that are in none of the lots; of these one is held at a time."""
    left = set(named)
    for lot in looked:
        left.difference_update(lot)
    return left


@dataclass(frozen=True)
class Asked:
    """A picture that is to be looked at, and where it is."""

    image_id: str
    uri: str
    frame: int


@dataclass(frozen=True)
class LookTask:
    """Looks at the pictures of one fragment. `attempt` counts the workers it has killed."""

    examination: Examination
    view: View
    number: int
    named: frozenset[str] = frozenset()
    """Pictures that a decision names: they are looked at in any source."""
    attempt: int = 0

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{self.examination.name} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit PHI_IMAGES: a row per distinct picture of the samples still kept; none of a source not covered."""
        work, view, examination = session.work, self.view, self.examination
        covered = session.recipe.steps.phi.covers(session.corpora[view.corpus])
        asked = _pictures_of(session, view, alive_rows(work, view)) if covered or self.named else []
        asked = asked if covered else [one for one in asked if one.image_id in self.named]
        limits = session.recipe.steps.measure.limits
        key = key_of(
            own_fingerprint(examination), covered, view.digests(("images",)), repr(limits), *_only(asked, covered)
        )
        found = work.find(examination.name, key)
        if found is not None:
            return found
        rows = self._rows(session, asked, limits) if asked else []
        return work.put(examination.name, key, {FOUND: pa.Table.from_pylist(rows, schema=PHI_IMAGES)})

    def _rows(self, session: Session, asked: Sequence[Asked], limits: Limits) -> list[dict[str, Any]]:
        """A row of each picture: of those that were looked at before, what was said then."""
        view, examination = self.view, self.examination
        known = seen(session, view, examination, limits)
        unseen = [one for one in asked if one.image_id not in known]
        if unseen:
            located = locate(session, view.corpus, view.fragment, self.attempt)
            new = looked_at(examination, located, unseen, limits, self.attempt)
            known |= {row["image_id"]: row for row in new}
            there = {one.image_id for one in _pictures_of(session, view, _all_rows(view))}
            remember(session, view, examination, limits, list(known.values()), there)
        return [known[one.image_id] for one in asked]

    @property
    def deadline_s(self) -> float:
        """A worker that has not answered by then hangs: reading takes seconds a picture."""
        return TASK_S + PICTURE_S * sum(part.rows for part in self.view.samples)

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
        anew = encode_png(masked(picture, boxes))
    except ValueError:  # boxes are checked as it is decided, but for pictures whose pixels were not looked at
        raise UsageError(_OUTSIDE, "boxes are [left, top, right, bottom] in pixels of the picture") from None
    return anew if frame >= FIRST_PANEL else turned_as(anew, data)


_START = "run python -c 'import rapidocr_onnxruntime' here; give workers more memory; or set steps.phi.ocr: none"
_UNUSED = (
    "warning: steps.phi.review: {} decisions are about no picture that came to this step (mistyped, gone, or taken out "
    "before): {}"
)
MOST_TOLD = 3
_OUTSIDE = "steps.phi.review: a box lies outside the picture that it is to cover"
_CHANGED = "source {}: a picture changed while the build was running; run the same command again"


def _only(asked: Sequence[Asked], covered: object) -> list[str]:
    """Of a source that is not covered, which of its pictures are looked at."""
    return [] if covered else [one.image_id for one in asked]


def _all_rows(view: View) -> npt.NDArray[np.int32]:
    """Of samples that are dropped, too."""
    return np.arange(sum(part.rows for part in view.samples), dtype=np.int32)


def _pictures_of(session: Session, view: View, rows: npt.NDArray[np.int32]) -> list[Asked]:
    """The distinct pictures of these samples."""
    images = read_samples(session.work, view, rows, ("images",))["images"].to_pylist()
    found = {
        image["image_id"]: Asked(image["image_id"], image["uri"], image["frame"])
        for of_sample in images
        for image in of_sample or ()
        if image["image_id"] is not None
    }
    return list(found.values())


def looked_at(
    examination: Examination, located: Located, asked: Sequence[Asked], limits: Limits, attempt: int
) -> list[dict[str, Any]]:
    """Rows of PHI_IMAGES, in order.

    Once three workers were killed, pictures are looked at apart: one that kills, or takes ten minutes, costs itself.

    Raises:
        ChangedInputError: a picture is not the one that was measured.
        CurateError: the reader of writing does not start.
    """
    rows = []
    look = isolated(partial(_some_looked_at, examination, located, asked, limits), attempt)
    for piece in bisect(look, len(asked)):
        lost = [_unseen(one.image_id) for one in asked[piece.start : piece.stop]]
        rows += lost if isinstance(piece.result, Failure) else piece.result
    return rows


def _some_looked_at(
    examination: Examination, located: Located, asked: Sequence[Asked], limits: Limits, start: int, stop: int
) -> list[dict[str, Any]]:
    rows = []
    with located.opening([(one.uri, 0) for one in asked[start:stop]]) as open_image:
        for one in asked[start:stop]:
            reach(one.image_id)
            data = open_image(one.uri)
            if image_id_of(data, one.frame) != one.image_id:
                raise ChangedInputError(_CHANGED.format(located.corpus.name))
            rows.append(_examined(examination, one, data, limits))
    reach(None)
    return rows


def _examined(examination: Examination, one: Asked, data: bytes, limits: Limits) -> dict[str, Any]:
    """A row of PHI_IMAGES; of a picture on which this fails one that says so, which is then quarantined."""
    try:
        return examination.examine(one.image_id, data, one.frame, limits)
    except StartError as error:
        raise CurateError(f"steps.phi: {error}", _START) from None
    except FATAL_ERRORS:
        raise
    except Exception:  # noqa: BLE001 - a file may hold anything: its samples are quarantined, the others go on
        return _unseen(one.image_id)


def _unseen(image_id: str) -> dict[str, Any]:
    """The row of a picture on which looking failed, or which killed who looked."""
    empty: dict[str, Any] = {"metadata": None, "boxes": [], "container": None, "said": False, "left_over": False}
    return {"image_id": image_id, "problem": "error", "width": None, "height": None, **empty}
