import base64
import io
import re
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from filters.phi_decision import Decision, Phi
from filters.phi_pictures import PHI_IMAGES, Examination
from pipelines.phi import page
from pipelines.phi.page import BLOCKS, PAGE, write_review
from pipelines.phi.pictures import FOUND, RuleTask, _unseen
from pipelines.session import Session
from pipelines.view import View
from sources.storage import LocalFolder
from tests.pipelines.phi.wards import Ward

LOOK = Examination(writing=True, reading="none", timeout_s=60, verify=True)
STEP = Phi("strip", "quarantine")


class Mined(LocalFolder):
    """A folder in which whoever opens one picture is lost, as with one that kills its decoder."""

    deadly = "./1.png"

    def read(self, path: str) -> bytes:
        if path == self.deadly:
            pytest.fail("a picture that kills was opened")
        return super().read(path)


def quarantined(ward: Ward, deadly: int | None, step: Phi = STEP) -> tuple[Session, View, list[str]]:
    """All pictures of the ward, looked at and quarantined, the `deadly` one because it killed who looked."""
    session, view = ward.measured(list(range(ward.number)))
    images = session.work.read(view.parts["links"], ["images"])["images"].to_pylist()
    ids = [of_sample[0]["image_id"] for of_sample in images]
    rows = [
        _unseen(image_id)
        if number == deadly
        else LOOK.examine(
            image_id, (ward.folder / f"{number}.png").read_bytes(), 0, session.recipe.steps.measure.limits
        )
        for number, image_id in enumerate(ids)
    ]
    found = ward.work.put("phi_pictures", repr(ids), {FOUND: pa.Table.from_pylist(rows, schema=PHI_IMAGES)})
    view = view.with_parts(**found.parts)
    decided = RuleTask(step, view, 0).run(session)
    return session, view.with_verdicts(step.name, decided.parts["verdicts"]), ids


def sections(run: LocalFolder) -> dict[str, str]:
    """The page, picture by picture."""
    html = run.read(PAGE).decode()
    return {
        match[1]: match[0] for match in re.finditer(r'<section class="one" id="(\w+)">.*?</section>', html, re.DOTALL)
    }


def test_a_picture_that_kills_who_decodes_it_is_named_on_the_page_and_not_opened_again(tmp_path: Path) -> None:
    ward = Ward(tmp_path, [160, 170, 180])
    session, view, ids = quarantined(ward, deadly=1)
    mined = replace(session, corpora=(replace(session.corpora[0], root=Mined(ward.folder)),))
    run = LocalFolder(tmp_path / "run")
    write_review(mined, [view], run)
    told = sections(run)
    assert list(told) == ids
    assert "cannot be shown" in told[ids[1]]
    assert "could not be read: error" in told[ids[1]]
    assert "data:image" not in told[ids[1]]
    assert all("data:image/jpeg" in told[image_id] for image_id in (ids[0], ids[2]))


def test_the_folder_of_these_tests_tells_when_the_deadly_picture_is_opened(tmp_path: Path) -> None:
    ward = Ward(tmp_path, [160, 170])
    session, view, _ = quarantined(ward, deadly=None)
    mined = replace(session, corpora=(replace(session.corpora[0], root=Mined(ward.folder)),))
    with pytest.raises(pytest.fail.Exception, match="was opened"):
        write_review(mined, [view], LocalFolder(tmp_path / "run"))


def test_a_picture_that_is_gone_or_another_by_now_is_not_shown(tmp_path: Path) -> None:
    ward = Ward(tmp_path, [160, 170, 180])
    session, view, ids = quarantined(ward, deadly=None)
    (ward.folder / "0.png").unlink()
    ward.picture("2.png", 190)
    run = LocalFolder(tmp_path / "run")
    write_review(session, [view], run)
    told = sections(run)
    assert ["cannot be shown" in told[image_id] for image_id in ids] == [True, False, True]


def test_what_was_found_is_covered_on_the_page(tmp_path: Path) -> None:
    ward = Ward(tmp_path, [160])
    session, view, ids = quarantined(ward, deadly=None)
    run = LocalFolder(tmp_path / "run")
    write_review(session, [view], run)
    match = re.search(r"base64,([A-Za-z0-9+/=]+)", sections(run)[ids[0]])
    assert match is not None
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(match[1]))).convert("L"))
    assert np.asarray(Image.open(ward.folder / "0.png")).max() == 255  # the letters
    assert shown.max() < 200


def test_the_first_are_shown_and_all_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_SHOWN", 2)
    ward = Ward(tmp_path, [160, 170, 180])
    session, view, ids = quarantined(ward, deadly=None)
    run = LocalFolder(tmp_path / "run")
    write_review(session, [view, view], run)
    assert list(sections(run)) == ids[:2]
    assert "6 pictures of" in run.read(PAGE).decode()
    write_review(session, [], run)
    assert run.stat(PAGE) is None


class Lot(dict[str, dict[str, Any]]):
    """Pictures of a fragment: other than a dict it can be watched as it goes."""


def test_of_many_quarantined_pictures_a_fragment_at_a_time_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lots: list[weakref.ref[Lot]] = []
    most = 0

    def many(*_: object) -> Iterator[tuple[None, Lot]]:
        nonlocal most
        for number in range(300):
            one = Lot({f"{number:032x}": {}})
            lots.append(weakref.ref(one))
            most = max(most, sum(lot() is not None for lot in lots))
            yield None, one

    monkeypatch.setattr(page, "_quarantined", many)
    monkeypatch.setattr(page, "_shown", lambda *_: [])
    ward = Ward(tmp_path, [160])
    session, _ = ward.measured([0])
    write_review(session, [], LocalFolder(tmp_path / "run"))
    assert b"300 pictures of" in LocalFolder(tmp_path / "run").read(PAGE)
    assert most <= 3


def test_what_a_reviewer_wants_covered_and_could_not_be_is_shown_as_blocks(tmp_path: Path) -> None:
    ward = Ward(tmp_path, [160])
    *_, ids = quarantined(ward, deadly=None)
    off = ((500, 500, 600, 600),)
    step = Phi("strip", "quarantine", {ids[0]: Decision(ids[0], "mask", "M. Reviewer", "a face", off)})
    session, view, _ = quarantined(ward, deadly=None, step=step)
    run = LocalFolder(tmp_path / "run")
    write_review(session, [view], run)
    match = re.search(r"base64,([A-Za-z0-9+/=]+)", sections(run)[ids[0]])
    assert match is not None
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(match[1]))).convert("L"), int)
    side = len(shown) // BLOCKS
    assert max(np.ptp(shown[y : y + side, x : x + side][2:-2, 2:-2]) for x in (0, 100) for y in (0, 100)) < 8
