import io
import os
import signal
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from filters.gallery import image_id_of
from filters.phi_pictures import Examination
from pipelines.isolation import KILLS_BEFORE_ISOLATION
from pipelines.phi.pictures import Asked, LookTask, in_none_of, looked_at
from pipelines.session import Located
from pipelines.view import View
from pipelines.work import Part
from sources.cards import Card, Layout
from sources.identity import Identity
from sources.pictures import Limits
from sources.readers.registry import reader_named
from sources.records import ChangedInputError, Corpus, Fragment
from sources.storage import LocalFolder

LOOK = Examination(writing=False, reading="none", timeout_s=60, verify=False)


class Deadly(Examination):
    """A decoder that dies on a picture of one size, and refuses one of another."""

    def examine(self, image_id: str, data: bytes, frame: int, limits: Limits) -> dict[str, Any]:
        size = Image.open(io.BytesIO(data)).size
        if size == (13, 13):
            os.kill(os.getpid(), signal.SIGKILL)
        if size == (11, 11):
            raise ValueError("Adaeze Okonkwo")
        return super().examine(image_id, data, frame, limits)


def ward(folder: Path, sides: list[int]) -> tuple[Located, list[Asked]]:
    asked = []
    for number, side in enumerate(sides):
        Image.fromarray(np.full((side, side), number, np.uint8)).save(folder / f"{number}.png")
        asked.append(Asked(image_id_of((folder / f"{number}.png").read_bytes(), 0), f"{number}.png", 0))
    card = Card(name="ward", reader="image_folder", task="caption", access="open", layout=Layout(files=("*.png",)))
    corpus = Corpus("ward", LocalFolder(folder), card, Identity("ward"), ())
    return Located(corpus, Fragment("", "d"), reader_named("image_folder")), asked


def test_a_picture_that_kills_its_decoder_costs_itself_and_is_not_taken_for_seen(tmp_path: Path) -> None:
    located, asked = ward(tmp_path, [8, 9, 13, 10, 11, 12])
    deadly = Deadly(**{name: getattr(LOOK, name) for name in LOOK.__dataclass_fields__})
    rows = looked_at(deadly, located, asked, Limits(), KILLS_BEFORE_ISOLATION)
    assert [row["image_id"] for row in rows] == [one.image_id for one in asked]
    assert [row["problem"] for row in rows] == [None, None, "error", None, "error", None]
    assert rows[2]["metadata"] is None
    assert "Okonkwo" not in repr(rows)


def test_looking_apart_and_at_once_give_the_same_rows(tmp_path: Path) -> None:
    located, asked = ward(tmp_path, [8, 9, 10])
    assert looked_at(LOOK, located, asked, Limits(), 0) == looked_at(
        LOOK, located, asked, Limits(), KILLS_BEFORE_ISOLATION
    )


def test_a_picture_that_changed_since_it_was_measured_ends_the_build(tmp_path: Path) -> None:
    located, asked = ward(tmp_path, [8, 9])
    (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes())
    with pytest.raises(ChangedInputError, match="ward: a picture changed"):
        looked_at(LOOK, located, asked, Limits(), 0)


def test_a_worker_has_time_for_every_picture_of_a_full_fragment() -> None:
    view = View(0, Fragment("a", "d"), samples=(Part("p", "d", 4096, 1),))
    assert LookTask(LOOK, view, 0).deadline_s > 4096 * 5
    assert replace(LookTask(LOOK, view, 0), attempt=1).again().attempt == 2


class Lot(list[str]):
    """Ids of the pictures of a fragment: other than a list it can be watched as it goes."""


def test_decisions_about_no_picture_are_found_without_holding_the_ids_of_all_pictures() -> None:
    lots: list[weakref.ref[Lot]] = []

    def looked() -> Iterator[Lot]:
        for number in range(100):
            one = Lot([f"{number}", f"{number + 1000}"])
            lots.append(weakref.ref(one))
            assert sum(lot() is not None for lot in lots) <= 3
            yield one

    assert in_none_of(frozenset({"7", "1099", "gone"}), looked()) == {"gone"}
