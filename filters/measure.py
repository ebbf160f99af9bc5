"""Each picture is read, decoded and measured once (`Pictures`); what follows is decided apart (`Measure`)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from filters.gallery import Gallery, Shown, Wanted, frame_word, image_id_of, made_sample_id
from filters.measurer import AnyMeasurer, PictureMeasurer
from filters.verdicts import decided, nulls_for_nan
from sources.pictures import Limits
from sources.pictures.memory import keep_freed_memory
from sources.pictures.panels import FIRST_PANEL
from sources.pictures.picture import CtWindows
from sources.schema import IMAGE_REF, IMAGES, SAMPLES, Reason, Verdict

__all__ = ["LINKS", "Measure", "Pictures", "image_id_of", "made_sample_id"]

FramePolicy = Literal["first", "middle", "each"]
OpenImage = Callable[[str], bytes]
Row = dict[str, Any]

LINKS = pa.schema(
    [
        pa.field("images", pa.list_(IMAGE_REF)),
        pa.field("problem", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
"""One row per sample, then one per made sample: its pictures with id and frame filled in; where one of them cannot
be had, the worst reason and, as JSON, which picture (from 0) and why. No detail holds content or a path."""

_WORST_FIRST = (Reason.IMAGE_UNDECODABLE, Reason.IMAGE_BOMB, Reason.IMAGE_MISSING)
"""A quarantine counts as an error, so it is never hidden behind a picture that is merely absent."""

BLANK_RANGE = 16
"""Grey levels between darkest and brightest pixel up to which a picture is blank, in levels of its own depth.

Of 1,561 pictures of 18 sets the flattest are two empty slide tiles (3 and 12 levels, one of them labelled blank);
then come a synthetic figure (34) and real tissue and blood smears (83 and more). Two fluorescence stacks use 219
to 235 of 65,536 levels: as 8 bits they would look blank, hence levels of their own depth."""


class Pictures:
    """Reads every picture of a fragment's samples once, and measures it.

    `frames` says what becomes of a picture with several: the first or the middle one is the sample's, or `each` is
    a sample of its own, the first one the sample itself. A sample of several pictures keeps the first frame of
    each. With `split`, a compound figure that is a caption's only picture becomes its panels in the same way, each
    with the whole caption and the figure's groups. Without `pixel_hash`, JPEGs are decoded at reduced scale, and
    statistics are of that. `measurers` fill columns of their own.
    """

    name = "pictures"
    version = 4
    columns = tuple(SAMPLES.names)

    def __init__(
        self,
        max_pixels: int,
        frames: FramePolicy,
        pixel_hash: bool,  # noqa: FBT001 - a recipe key
        measurers: Sequence[AnyMeasurer] = (),
        ct_windows: CtWindows = "header",
        split: bool = False,  # noqa: FBT001, FBT002 - a recipe key
    ) -> None:
        self.max_pixels = max_pixels
        self.ct_windows = ct_windows
        self.frames = frames
        self.pixel_hash = pixel_hash
        self.measurers = tuple(measurers)
        self.split = split

    @property
    def gpus(self) -> float:
        """What a worker of it needs: a GPU where a model asks for one."""
        return max((float(getattr(other, "gpus", 0.0)) for other in self.measurers), default=0.0)

    @property
    def gpus_optional(self) -> bool:
        """Whether all that ask for a GPU go without where there is none."""
        return all(getattr(other, "gpus_optional", False) for other in self.measurers if getattr(other, "gpus", 0.0))

    def parameters(self) -> dict[str, Any]:
        """Everything that the answers depend on."""
        chosen: dict[str, Any] = {"max_pixels": self.max_pixels, "frames": self.frames, "pixel_hash": self.pixel_hash}
        if self.measurers:
            chosen["measurers"] = {other.name: other.version for other in self.measurers}
        if self.ct_windows != "header":
            chosen["ct_windows"] = self.ct_windows
        if self.split:
            chosen["panels"] = FIRST_PANEL
        return chosen

    def load(self) -> None:
        """Load the models. Not while pictures are opened: the hub's library is told to stay offline meanwhile.

        Raises:
            WeightsError: one cannot be loaded.
        """
        for model in self.measurers:
            if isinstance(model, PictureMeasurer):
                model.batch_size()

    def measure(self, samples: pa.Table, open_image: OpenImage, card_modality: str) -> dict[str, pa.Table]:
        """`images` (IMAGES, each once, in order of first appearance), `links` (LINKS) and `made` (SAMPLES).

        Every uri is opened once. One that `open_image` raises TooLargeError for is image.bomb; one that is not there
        (`is_absence`) is image.missing.

        Raises:
            OSError: any other of `open_image`: the file is there and cannot be read now, which is no verdict.
        """
        keep_freed_memory()
        refs = samples["images"].to_pylist()
        wanted = [
            [self._wanted(ref, alone=len(of_sample) == 1, task=task) for ref in of_sample or ()]
            for of_sample, task in zip(refs, samples["task"].to_pylist(), strict=True)
        ]
        gallery = Gallery(
            Limits(max_pixels=self.max_pixels, ct_windows=self.ct_windows),
            card_modality,
            full_size=self.pixel_hash,
            measurers=self.measurers,
        )
        gallery.visit([one for of_sample in wanted for one in of_sample], open_image)
        links, made, made_links = [], [], []
        for index, of_sample in enumerate(wanted):
            shown = [gallery.shown(one) for one in of_sample]
            links.append(_link(refs[index], of_sample, [frames[0] for frames in shown]))
            if len(shown) == 1 and len(shown[0]) > 1:
                parent = samples.slice(index, 1).to_pylist()[0]
                made += [_made(parent, frame) for frame in shown[0][1:]]
                made_links += [_link(refs[index], of_sample, [frame]) for frame in shown[0][1:]]
        return {
            "images": pa.Table.from_pylist(gallery.images, schema=IMAGES),
            "links": pa.Table.from_pylist(links + made_links, schema=LINKS),
            "made": pa.Table.from_pylist(made, schema=SAMPLES),
        }

    def _wanted(self, ref: Row, *, alone: bool, task: str) -> Wanted:
        """Which frames of a picture: the one that the sample names, else as the policy says."""
        if ref["frame"] is not None:
            return Wanted(ref["uri"], ref["frame"])
        frames = self.frames if alone or self.frames != "each" else "first"
        return Wanted(ref["uri"], frames, split=self.split and alone and task == "caption")


class Measure:
    """Decides from what was measured: pictures that cannot be had, are too small or blank, and empty samples."""

    name = "measure"
    version = 1
    reads = ("links", "images")
    columns = ("turns",)

    def __init__(self, min_side_px: int = 64, blank_range: int = BLANK_RANGE) -> None:
        self.min_side_px = min_side_px
        self.blank_range = blank_range

    def parameters(self) -> dict[str, Any]:
        """Everything that the answers depend on."""
        return {"min_side_px": self.min_side_px, "blank_range": self.blank_range}

    def decide(self, samples: pa.Table, facts: Mapping[str, pa.Table]) -> pa.Table:
        """One verdict a sample, in order; of several pictures the smallest and the flattest one count.

        The score is the smaller side in pixels, or the range of grey levels. What cannot be decoded is quarantined,
        everything else dropped; a sample without turns says nothing, whatever its pictures.
        """
        links = facts["links"]
        sides, ranges = _extremes(links["images"], facts["images"])
        problems = np.array(links["problem"].to_pylist(), object)
        broken = np.array([problem is not None for problem in problems], bool)
        small = ~broken & (sides < self.min_side_px)
        blank = ~broken & ~small & (ranges <= self.blank_range)
        turns = pc.fill_null(pc.list_value_length(samples["turns"]), 0).to_numpy()
        empty = ~broken & ~small & ~blank & (turns == 0)
        reasons = problems
        reasons[small], reasons[blank], reasons[empty] = (
            Reason.IMAGE_TOO_SMALL, Reason.IMAGE_BLANK, Reason.RECORD_EMPTY,
        )  # fmt: skip
        verdicts = np.full(len(samples), Verdict.KEEP, object)
        verdicts[broken | small | blank | empty] = Verdict.DROP
        verdicts[reasons == Reason.IMAGE_UNDECODABLE] = Verdict.QUARANTINE
        scores = np.select([small, blank], [sides, ranges], np.nan)
        thresholds = np.select([small, blank], [self.min_side_px, self.blank_range], np.nan)
        return nulls_for_nan(decided(verdicts, reasons, scores, thresholds, links["detail"].to_pylist()))


def _link(refs: list[Row] | None, wanted: list[Wanted], shown: list[Shown]) -> Row:
    """A LINKS row."""
    images = [
        {"image_id": frame.image_id, "uri": one.uri, "frame": frame.frame}
        for one, frame in zip(wanted, shown, strict=True)
    ]
    problems = [(index, frame.problem) for index, frame in enumerate(shown) if frame.problem is not None]
    if not problems:
        return {"images": None if refs is None else images, "problem": None, "detail": None}
    index, problem = min(problems, key=lambda found: _WORST_FIRST.index(found[1].reason))
    detail = orjson.dumps({"image": index, "detail": problem.detail}).decode()
    return {"images": images, "problem": problem.reason.value, "detail": detail}


def _made(parent: Row, shown: Shown) -> Row:
    """The sample that another frame or panel of its parent's picture makes."""
    frame = shown.frame
    assert frame is not None, "only a file that cannot be opened has no frame, and it makes no sample"
    return {
        **parent,
        "sample_id": made_sample_id(parent["sample_id"], frame),
        "source_key": f"{parent['source_key']}@{frame_word(frame)}",
        "parent_id": parent["sample_id"],
        "images": [{**parent["images"][0], "frame": frame}],
    }


def _extremes(links: pa.ChunkedArray, images: pa.Table) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """For each sample the smallest side and the smallest range of its measured pictures; infinite without any."""
    smallest = np.full(len(links), np.inf)
    flattest = np.full(len(links), np.inf)
    sample = pc.list_parent_indices(links).to_numpy()
    ids = pc.struct_field(pc.list_flatten(links), "image_id")
    found = pc.index_in(ids, value_set=images["image_id"].combine_chunks())
    known = found.is_valid().to_numpy()
    sample, row = sample[known], pc.drop_null(found).to_numpy()
    sides = np.minimum(images["width"].to_numpy(), images["height"].to_numpy())
    np.minimum.at(smallest, sample, sides[row])
    np.minimum.at(flattest, sample, _own_range(images)[row])
    return smallest, flattest


def _own_range(images: pa.Table) -> npt.NDArray[np.float64]:
    """Range of grey levels, of 256 or of as many as the picture's own depth has (up to 65,536)."""
    bits = np.clip(images["bit_depth"].to_numpy(), 8, 16)
    spread = images["maximum"].to_numpy().astype(np.float64) - images["minimum"].to_numpy()
    own: npt.NDArray[np.float64] = np.round(spread * (2.0**bits - 1) / 255, 3)
    return own
