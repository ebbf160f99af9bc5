"""Near-duplicate texts: the items are a fragment's kept samples, as far as the step compares them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

import blake3
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from dedup.fingerprints import WEAKEST_QUALITY
from dedup.guards import ACCEPTED, VERDICTS
from dedup.order import survivor_order
from dedup.text import NearText, comparable_texts, verify_texts
from pipelines.near.kind import ITEM, OUTCOMES, Opens
from pipelines.session import Session
from pipelines.view import View, alive_rows, read_samples
from pipelines.work import Work
from sources.schema import SAMPLES

COLUMNS = ("sample_id", "source", "access", "task", "turns", "images", "question", "groups", "language")
VERSION = 7
ENGLISH_OR_NOT_STATED = r"(?i)^\s*(en([-_].*)?|eng|english|und|unknown)?\s*$"
MOSTLY_OTHER_LETTERS = 1.5
"""Bytes a character in UTF-8, from which on a text without a stated language is not English."""
QUESTION = 0.6
"""Similarity of questions that may be one: guards see to it that what differs are function words."""
SAME = VERDICTS[ACCEPTED]
SUBJECTS = ("patient", "study")
ANSWERS = "near_picture_answers"
FURTHER = "near_picture_further"
MOST_SALTS = 8
"""Under how many combinations of originals a sample sends its bands: most pictures have one original, a few two."""
PICTURES = "pictures"
"""Cause of pairs that nothing but their pictures tells apart: `pipelines/near/settle.py` looks at those again."""


@dataclass(frozen=True)
class Texts:
    """Samples without pictures, compared by their texts."""

    name: str
    step: NearText
    sources: tuple[str, ...]
    """In the recipe's order."""

    opens_pictures = False
    tells_further = False

    def parameters(self) -> dict[str, Any]:
        """The step's, with its version and that of what is compared here."""
        return {"version": [VERSION, self.step.version], **self.step.parameters()}

    def inputs(self, view: View) -> list[str]:
        """The samples that are kept, and which place their source has."""
        return [*view.digests(COLUMNS), str(view.corpus)]

    def bands(self, session: Session, view: View) -> pa.Table:
        """BAND_KEYS of the samples that have no pictures, but for reports of which nobody knows whose they are."""
        rows, samples = self._samples(session.work, view)
        salts, known = _subjects(samples)
        bare = np.flatnonzero(~_with_pictures(samples) & known)
        some = samples if len(bare) == len(rows) else samples.take(pa.array(bare))
        return self._bands(some, rows[bare], None, salts[bare])

    def contents(self, session: Session, view: View, rows: npt.NDArray[np.int32]) -> pa.Table:
        """ITEM, `text` and `question` as they are compared, and whether the text is in a language without guards."""
        samples = read_samples(session.work, view, rows, COLUMNS)
        digits = bytes.fromhex("".join(samples["sample_id"].to_pylist()))
        ids = pa.FixedSizeBinaryArray.from_buffers(ITEM.field("id").type, len(rows), [None, pa.py_buffer(digits)])
        order = survivor_order(samples, self._images(session.work, view), self.sources)
        table = pa.table([ids, pa.array(order)], schema=ITEM)
        table = table.append_column("text", comparable_texts(samples)).append_column("question", _questions(samples))
        return table.append_column("foreign", _foreign(samples["language"], table["text"]))

    def verify(self, ours: pa.Table, theirs: pa.Table, here: Opens | None, where: Sequence[Opens]) -> pa.Table:  # noqa: ARG002
        """By exact comparison of the texts; where there are questions, they must be near-duplicates by themselves.

        Two answers may be alike and answer different questions: what cancer is, asked of the lung and of the breast.
        The guards know English: texts in other languages must not differ in any token.
        """
        compared = _compared(ours["text"], theirs["text"], self.step.jaccard)
        asked = _compared(ours["question"], theirs["question"], min(self.step.jaccard, QUESTION))
        questions = pc.or_(_equal(ours, theirs, "question"), pc.equal(asked["verdict"], SAME))
        foreign = pc.or_(ours["foreign"], theirs["foreign"])
        unchanged = pc.and_(pc.equal(compared["edits"], 0), _equal(ours, theirs, "question"))
        causes = compared["verdict"]
        for holds, cause in (
            (questions, "question"),
            (pc.or_(pc.invert(foreign), unchanged), "language"),
            (self._same_pictures(ours, theirs), PICTURES),
        ):
            causes = pc.if_else(pc.and_(pc.equal(causes, SAME), pc.invert(holds)), cause, causes)
        accepted = pc.equal(causes, SAME)
        facts = zip(compared["jaccard"].to_pylist(), compared["edits"].to_pylist(), strict=True)
        details = [f'{{"jaccard":{round(jaccard, 4)},"edits":{edits}}}' for jaccard, edits in facts]
        causes = pc.if_else(accepted, pa.scalar(None, pa.string()), causes)
        return pa.table([accepted, compared["jaccard"], causes, pa.array(details, pa.string())], schema=OUTCOMES)

    def _same_pictures(self, ours: pa.Table, theirs: pa.Table) -> pa.Array:  # noqa: ARG002
        return pa.array(np.ones(len(ours), bool))

    def _samples(self, work: Work, view: View) -> tuple[npt.NDArray[np.int32], pa.Table]:
        rows = alive_rows(work, view)
        return rows, read_samples(work, view, rows, COLUMNS)

    def _bands(
        self,
        samples: pa.Table,
        rows: npt.NDArray[np.int32],
        images: pa.Table | None,
        salt: npt.NDArray[np.uint64] | None,
    ) -> pa.Table:
        order = survivor_order(samples, images, self.sources)
        return self.step.keys_of_texts(comparable_texts(samples), order, rows, salt)

    def _images(self, work: Work, view: View) -> pa.Table | None:  # noqa: ARG002
        return None


@dataclass(frozen=True)
class PictureTexts(Texts):
    """Samples with pictures: they meet where all their pictures are copies of the same ones."""

    def inputs(self, view: View) -> list[str]:
        """Also what pictures are copies of."""
        return [*super().inputs(view), *(view.parts[name].digest for name in ("images", ANSWERS, FURTHER))]

    def bands(self, session: Session, view: View) -> pa.Table:
        """BAND_KEYS of the samples with pictures, salted by what their pictures are copies of.

        Where a picture is a copy of several, or of one that has another original, they are sent under each. Samples
        with a picture of too little information are sent under none: it is as well anybody else's.
        """
        rows, samples = self._samples(session.work, view)
        shown = np.flatnonzero(_with_pictures(samples) & _informative(session.work, view, samples))
        some = samples.take(pa.array(shown))
        originals, further = originals_of(session.work, view), _further_of(session.work, view)
        salts = [_salts(refs, originals, further) for refs in some["images"].to_pylist()]
        places = np.repeat(np.arange(len(some)), [len(own) for own in salts])
        repeated = some if len(places) == len(some) else some.take(pa.array(places))
        salt = np.array([one for own in salts for one in own], np.uint64)
        return self._bands(repeated, rows[shown][places], self._images(session.work, view), salt)

    def contents(self, session: Session, view: View, rows: npt.NDArray[np.int32]) -> pa.Table:
        """Also `pictures`, as JSON: of each its id, its pixels' hash, its original, and its row among IMAGES."""
        table = super().contents(session, view, rows)
        images = session.work.read(view.parts["images"], ["image_id", "pixel_hash"])
        names = images["image_id"].to_pylist()
        pixels, places = dict(zip(names, images["pixel_hash"].to_pylist(), strict=True)), _places_of(names)
        originals = originals_of(session.work, view)
        refs = read_samples(session.work, view, rows, ("images",))["images"].to_pylist()
        shown = [
            orjson.dumps([(name, pixels[name], originals.get(name), places[name]) for name in own])
            for own in ([ref["image_id"] for ref in of_one] for of_one in refs)
        ]
        return table.append_column("pictures", pa.array(shown, pa.binary()))

    def _same_pictures(self, ours: pa.Table, theirs: pa.Table) -> pa.Array:
        """Whether each picture of the one is known to be that of the other: being copies of a third is less."""
        pairs = zip(ours["pictures"].to_pylist(), theirs["pictures"].to_pylist(), strict=True)
        return pa.array([_verified(orjson.loads(one), orjson.loads(other)) for one, other in pairs], pa.bool_())

    def _images(self, work: Work, view: View) -> pa.Table:
        return work.read(view.parts["images"], ["image_id", "width", "height"])


Shown = tuple[str, str | None, str | None, int]
"""A picture: its id, its pixels' hash, its original, and its row among its fragment's IMAGES."""


def _verified(ours: Sequence[Shown], theirs: Sequence[Shown]) -> bool:
    return len(ours) == len(theirs) and not doubtful(ours, theirs)


def doubtful(ours: Sequence[Shown], theirs: Sequence[Shown]) -> list[tuple[Shown, Shown]]:
    """Place by place: the pictures that are not the same file or pixels, and of which none is the other's original."""
    return [pair for pair in zip(ours, theirs, strict=False) if not _copies(*pair)]


def _copies(one: Shown, other: Shown) -> bool:
    (ours, our_pixels, our_original, _), (theirs, their_pixels, their_original, _) = one, other
    same = ours == theirs or (our_pixels is not None and our_pixels == their_pixels)
    return same or ours == their_original or theirs == our_original


def _foreign(languages: pa.ChunkedArray, texts: pa.ChunkedArray) -> pa.Array:
    """Whether a text is in a language that the guards do not know: it says so, or is mostly in other letters."""
    stated = pc.fill_null(pc.invert(pc.match_substring_regex(languages, ENGLISH_OR_NOT_STATED)), False)  # noqa: FBT003
    letters = pc.divide(pc.binary_length(texts).cast(pa.float64()), pc.max_element_wise(pc.utf8_length(texts), 1))
    return pc.or_(stated, pc.greater(letters, MOSTLY_OTHER_LETTERS)).combine_chunks()


def _equal(ours: pa.Table, theirs: pa.Table, name: str) -> pa.Array:
    return pc.equal(ours[name], theirs[name]).combine_chunks()


def _compared(ours: pa.ChunkedArray, theirs: pa.ChunkedArray, jaccard: float) -> pa.Table:
    return verify_texts(ours.combine_chunks(), theirs.combine_chunks(), jaccard)


def _questions(samples: pa.Table) -> pa.Array:
    """The questions in their normal form, empty where there is none."""
    count = len(samples)
    turns = pa.nulls(count, SAMPLES.field("turns").type)
    task = pa.repeat(pa.scalar("caption"), count)  # of a prompted task the question and the answers are compared
    return comparable_texts(pa.table({"task": task, "turns": turns, "question": samples["question"]}))


def _subjects(samples: pa.Table) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """What else must be equal for two texts to be compared, and whether that is known.

    Normal reports of different patients are alike without being copies of one another: a report meets only those of
    its own patient (or study, where patients are not told), and none where neither is told. 0 for other tasks.
    """
    salts, told = np.zeros(len(samples), np.uint64), np.ones(len(samples), bool)
    reports = np.flatnonzero(pc.equal(samples["task"], "report").to_numpy())
    for place, groups in zip(reports.tolist(), samples["groups"].take(pa.array(reports)).to_pylist(), strict=True):
        known = {group["kind"]: group["id"] for group in groups or ()}
        subject = [(kind, known[kind]) for kind in SUBJECTS if kind in known][:1]
        told[place] = bool(subject)
        salts[place] = _hash_of([samples["source"][place].as_py(), subject])
    return salts, told


def originals_of(work: Work, view: View) -> dict[str, str]:
    """image_id -> id of the picture that it is a copy of, for those that are one."""
    ids = work.read(view.parts["images"], ["image_id"])["image_id"]
    answers = work.read(view.parts[ANSWERS], ["row", "leader"])
    copies = ids.take(answers["row"]).to_pylist()
    return dict(zip(copies, (leader.hex() for leader in answers["leader"].to_pylist()), strict=True))


def _further_of(work: Work, view: View) -> dict[str, list[str]]:
    """image_id -> ids of the further pictures under which it meets copies of its own."""
    ids = work.read(view.parts["images"], ["image_id"])["image_id"]
    found: dict[str, list[str]] = {}
    for pair in work.read(view.parts[FURTHER]).to_pylist():
        found.setdefault(ids[pair["row"]].as_py(), []).append(pair["other"].hex())
    return found


def _places_of(names: list[str]) -> dict[str, int]:
    return {name: row for row, name in enumerate(names)}


def _salts(refs: list[dict[str, Any]], originals: Mapping[str, str], further: Mapping[str, Sequence[str]]) -> list[int]:
    """64 bits of a hash of the pictures, each as the one that it is a copy of; some of every choice, all different."""
    names = [ref["image_id"] for ref in refs]
    choices = product(*((originals.get(name, name), *further.get(name, ())) for name in names))
    return [_hash_of(list(chosen)) for chosen in islice(choices, MOST_SALTS)]


def _hash_of(value: Any) -> int:
    return int.from_bytes(blake3.blake3(orjson.dumps(value)).digest(8), "little")


def _informative(work: Work, view: View, samples: pa.Table) -> npt.NDArray[np.bool_]:
    """Whether all pictures of a sample hold enough to be told apart from others."""
    images = work.read(view.parts["images"], ["image_id", "pdq_quality"])
    enough = pc.greater_equal(pc.fill_null(images["pdq_quality"], 0), WEAKEST_QUALITY)
    usable = set(images["image_id"].filter(enough).to_pylist())
    refs = samples["images"].to_pylist()
    return np.array([all(ref["image_id"] in usable for ref in own or ()) for own in refs], bool)


def _with_pictures(samples: pa.Table) -> npt.NDArray[np.bool_]:
    shown: npt.NDArray[np.bool_] = pc.greater(pc.fill_null(pc.list_value_length(samples["images"]), 0), 0).to_numpy()
    return shown
