"""Probes of an audit: planted in memory, looked up by what looks the data up, and only what became of them is kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from dedup.decontamination.assemble import Wordings, wordings_of
from dedup.decontamination.calibration.choosing import ItemTexts, chosen_texts, in_turns
from dedup.decontamination.calibration.outcomes import table_of
from dedup.decontamination.calibration.picture_probes import (
    Protected,
    chosen_pictures,
    pair_leaks,
    picture_decoys,
    picture_leaks,
)
from dedup.decontamination.calibration.reach import reach_table
from dedup.decontamination.calibration.settings import CalibrationSettings
from dedup.decontamination.calibration.text_probes import text_outcomes
from dedup.decontamination.pictures import KnownParts
from pipelines.audit.flow import Indexes
from pipelines.audit.pictures import SIDE, EvalOpener
from pipelines.bisect import Failure, bisect
from pipelines.session import Session
from pipelines.work import Commit, Part, Work, key_of

Rows = list[dict[str, Any]]

VERSION = 3
REACH_VERSION = 1
PICTURES = pa.schema([pa.field("picture", pa.int32(), nullable=False), pa.field("decoy", pa.bool_(), nullable=False)])
"""Planned pictures: to be planted, or to be looked up as they are."""
DECOYS = 4
"""Pictures that are looked up as decoys for each one that is planted: that costs a thirtieth."""
TEXTS_AT_ONCE = 200
FIGURE = 3
"""Pictures beside a planted one in a figure."""


@dataclass(frozen=True)
class Protection:
    """What probes are made of and looked up in."""

    items: Part
    pictures: Part
    indexes: Indexes
    modality: str
    """Of the data's pictures: it chooses the threshold."""
    settings: CalibrationSettings
    about_pictures: tuple[str, ...] = ()
    """Sets whose pictures are not all there."""

    @property
    def digests(self) -> list[Any]:
        """What every outcome depends on."""
        own = [
            self.items.digest,
            self.pictures.digest,
            self.modality,
            self.settings.model_dump(mode="json"),
            self.about_pictures,
        ]
        return [VERSION, *own, self.indexes.texts.digests, self.indexes.pictures.digests]

    def wordings(self, work: Work) -> Wordings:
        """What the items' questions are able to say."""
        items = work.read(self.items, ["eval_set", "question"])
        return wordings_of(items, work.read(self.pictures, ["items"]), self.about_pictures)

    def protected(self, session: Session) -> tuple[Protected, EvalOpener]:
        """The eval sets' pictures."""
        assert session.evals is not None
        work, parts = session.work, self.indexes.pictures
        opener = EvalOpener(work, self.pictures, parts.max_pixels, session.evals)
        items = work.read(self.items, ["eval_set", "groups"])
        known = KnownParts(parts.loaded(work), opener)
        return Protected(known, work.read(self.pictures), items, self.modality, SIDE), opener


@dataclass(frozen=True)
class PlanProbesTask:
    """Chooses what is planted."""

    protection: Protection

    @property
    def label(self) -> str:
        """What is made."""
        return "probes"

    def run(self, session: Session) -> Commit:
        """Commit `texts` (PLAN) and `pictures` (PICTURES)."""
        work, node = session.work, "audit_probes_plan"
        key = key_of(node, self.protection.digests)
        found = work.find(node, key)
        if found is not None:
            return found
        settings = self.protection.settings
        index = self.protection.indexes.texts.loaded(work)
        texts = chosen_texts(index, work.read(self.protection.items), self.protection.wordings(work), settings)
        tables = {"texts": texts, "pictures": self._pictures(session)}
        return work.put(node, key, tables)

    def _pictures(self, session: Session) -> pa.Table:
        protected, _ = self.protection.protected(session)
        settings, ids = self.protection.settings, [row["image_id"] for row in protected.listed]
        order = in_turns([protected.eval_set(number) for number in range(len(ids))], ids, settings.seed)
        planted = chosen_pictures(protected, order, settings.pictures)
        shown = chosen_pictures(protected, order, DECOYS * settings.pictures)
        columns = [[*planted, *shown], [False] * len(planted) + [True] * len(shown)]
        return pa.table(
            [pa.array(column, field.type) for column, field in zip(columns, PICTURES, strict=True)], PICTURES
        )


@dataclass(frozen=True)
class ReachTask:
    """Tells of which items probes can be made."""

    protection: Protection

    @property
    def label(self) -> str:
        """What is made."""
        return "reach of the probes"

    def run(self, session: Session) -> Commit:
        """Commit `reach` (REACH)."""
        work, node = session.work, "audit_probes_reach"
        key = key_of(node, REACH_VERSION, self.protection.digests)
        found = work.find(node, key)
        if found is not None:
            return found
        items, pictures = work.read(self.protection.items), work.read(self.protection.pictures)
        texts = ItemTexts.of(self.protection.indexes.texts.loaded(work), self.protection.wordings(work))
        told = self.protection.indexes.pictures.loaded(work).pictures
        informative = told.filter(told["informative"])["picture"].to_pylist()
        return work.put(node, key, {"reach": reach_table(items, pictures, informative, texts)})


@dataclass(frozen=True)
class TextProbesTask:
    """Plants the texts `first` to `stop` of a plan."""

    protection: Protection
    plan: Part
    first: int
    stop: int

    @property
    def label(self) -> str:
        """First text."""
        return f"audit_text_probes {self.first}"

    def run(self, session: Session) -> Commit:
        """Commit `outcomes`."""
        work, node = session.work, "audit_text_probes"
        key = key_of(node, self.protection.digests, self.plan.digest, self.first, self.stop)
        found = work.find(node, key)
        if found is not None:
            return found
        plan = work.read(self.plan).slice(self.first, self.stop - self.first).to_pylist()
        index, wordings = self.protection.indexes.texts.loaded(work), self.protection.wordings(work)
        items = work.read(self.protection.items)

        def look(start: int, stop: int) -> Rows:
            return text_outcomes(index, items, wordings, plan[start:stop], self.protection.settings.seed)

        return _committed(work, node, key, look, len(plan))


@dataclass(frozen=True)
class PictureProbesTask:
    """Plants some pictures in every way, each also with its question."""

    protection: Protection
    planted: tuple[tuple[int, tuple[int, ...]], ...]
    """Pictures, each with those that stand beside it in a figure."""

    @property
    def label(self) -> str:
        """First picture."""
        return f"audit_picture_probes {self.planted[0][0]}"

    def run(self, session: Session) -> Commit:
        """Commit `outcomes`."""
        work, node = session.work, "audit_picture_probes"
        key = key_of(node, self.protection.digests, self.planted)
        found = work.find(node, key)
        if found is not None:
            return found
        protected, opener = self.protection.protected(session)
        texts = self.protection.indexes.texts.loaded(work), self.protection.wordings(work)
        items, seed = work.read(self.protection.items), self.protection.settings.seed

        def look(start: int, stop: int) -> Rows:
            rows: Rows = []
            for picture, others in self.planted[start:stop]:
                rows += picture_leaks(protected, picture, others, seed, opener)
                item = items.slice(protected.listed[picture]["items"][0], 1).to_pylist()[0]
                rows += pair_leaks(protected, picture, item, texts, seed, opener)
            return rows

        return _committed(work, node, key, look, len(self.planted))


@dataclass(frozen=True)
class PictureDecoysTask:
    """Looks pictures of the eval sets up that must not be taken for others."""

    protection: Protection
    shown: tuple[int, ...]

    @property
    def label(self) -> str:
        """First picture."""
        return f"audit_picture_decoys {self.shown[0]}"

    def run(self, session: Session) -> Commit:
        """Commit `outcomes`."""
        work, node = session.work, "audit_picture_decoys"
        key = key_of(node, self.protection.digests, self.shown)
        found = work.find(node, key)
        if found is not None:
            return found
        protected, opener = self.protection.protected(session)

        def look(start: int, stop: int) -> Rows:
            return [row for picture in self.shown[start:stop] for row in picture_decoys(protected, picture, opener)]

        return _committed(work, node, key, look, len(self.shown))


def _committed(work: Work, node: str, key: str, look: Callable[[int, int], Rows], count: int) -> Commit:
    """Commit the outcomes; probes on which the search itself failed are the fact `failed`."""
    rows, failed = [], 0
    for piece in bisect(partial(look), count):
        if isinstance(piece.result, Failure):
            failed += piece.stop - piece.start
        else:
            rows += piece.result
    return work.put(node, key, {"outcomes": table_of(rows)}, {"failed": failed})


def picture_tasks(protection: Protection, plan: pa.Table, at_once: int) -> list[PictureProbesTask | PictureDecoysTask]:
    """The tasks of planned pictures, a few each: one that is killed costs those."""
    planted = [row["picture"] for row in plan.to_pylist() if not row["decoy"]]
    shown = [row["picture"] for row in plan.to_pylist() if row["decoy"]]
    beside = [
        (picture, tuple(other for other in _after(planted, number) if other != picture)[:FIGURE])
        for number, picture in enumerate(planted)
    ]
    leaks = [PictureProbesTask(protection, tuple(some)) for some in _chunks(beside, at_once)]
    decoys = [PictureDecoysTask(protection, tuple(some)) for some in _chunks(shown, at_once * 8)]
    return [*leaks, *decoys]


def text_tasks(protection: Protection, plan: Part) -> list[TextProbesTask]:
    """The tasks of planned texts."""
    firsts = range(0, plan.rows, TEXTS_AT_ONCE)
    return [TextProbesTask(protection, plan, first, min(first + TEXTS_AT_ONCE, plan.rows)) for first in firsts]


def _after(planted: Sequence[int], number: int) -> list[int]:
    return [*planted[number + 1 :], *planted[:number]][:FIGURE]


def _chunks(rows: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [rows[at : at + size] for at in range(0, len(rows), size)]
