import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
import pytest

from benchmarks.planted import TRANSFORMS, cropped, longest
from dedup.decontamination.grades import Grade
from dedup.decontamination.pictures import (
    PICTURE_HITS,
    KnownParts,
    PictureHit,
    PictureIndex,
    hits_table,
    scan_picture,
)
from tests.dedup.test_fingerprints import scene
from tests.sources.test_panels import figure

Grey = npt.NDArray[np.uint8]

FILMS = Path("/work/shared/data/images/nih_films")
DICOM = Path("/work/shared/data/dicom")

CASES = {
    "jpeg20_r256": ("reencoded", "identity"), "window10_90": ("reencoded", "identity"),
    "histeq": ("reencoded", "identity"), "clahe": ("reencoded", "identity"), "invert": ("reencoded", "inverted"),
    "flip+jpeg50": ("reencoded", "mirror"), "rot10": ("reencoded", "rotate10"), "rot90": ("reencoded", "rotate90"),
    "crop40%": ("partial", "crop"), "crop60%": ("partial", "crop"), "pad_letterbox": ("reencoded", "identity"),
    "text+arrow": ("reencoded", "identity"), "subfig_1x2": ("partial", "within"),
    "crop20+r300+jpeg40+gamma": ("partial", "crop"), "flip+crop20+win": ("partial", "crop+mirror"),
}  # fmt: skip


@cache
def film(seed: int) -> Grey:
    return scene(seed, 480, 440)


@cache
def known() -> KnownParts:
    index = PictureIndex.of((seed, film(seed), f"bytes {seed}", f"pixels {seed}") for seed in range(4))
    return KnownParts(index, film)


def found(picture: Grey, image_id: str = "", pixel_hash: str | None = None) -> list[PictureHit]:
    return scan_picture(known().index, np.ascontiguousarray(picture), image_id, pixel_hash, known(), "xray")


@pytest.mark.parametrize("name", CASES)
def test_a_changed_picture_is_found_with_its_grade_and_transform(name: str) -> None:
    [hit] = found(TRANSFORMS[name](film(1), 3, [film(22), film(23), film(24)]))
    assert (hit.picture, hit.grade, hit.transform) == (1, *CASES[name])
    assert hit.score >= 0.6


def test_a_panel_of_four_is_found_where_it_lies() -> None:
    [hit] = found(TRANSFORMS["subfig_2x2"](film(2), 0, [film(22), film(23), film(24)]))
    assert (hit.picture, hit.grade) == (2, Grade.PARTIAL)
    region = json.loads(hit.evidence)["region"]
    assert region == pytest.approx([395 / 780, 5 / 780, 775 / 780, 385 / 780], abs=0.01)


def test_the_region_of_a_crop_is_told_in_both_pictures() -> None:
    evidence = json.loads(found(film(1)[120:420, 110:330])[0].evidence)
    assert evidence["region"] == pytest.approx([0, 0, 1, 1], abs=0.01)
    assert evidence["eval_region"] == pytest.approx([0.25, 0.25, 0.75, 0.875], abs=0.01)
    mirrored = json.loads(found(film(1)[120:420, 110:330][:, ::-1])[0].evidence)
    assert mirrored["eval_region"] == pytest.approx([0.25, 0.25, 0.75, 0.875], abs=0.01)
    pasted = np.full((900, 900), 90, np.uint8)
    pasted[:] = cv2.resize(film(30), (900, 900))
    pasted[200:680, 300:740] = film(1)[:, ::-1]
    whole = json.loads(found(pasted)[0].evidence)
    assert whole["region"] == pytest.approx([300 / 900, 200 / 900, 740 / 900, 680 / 900], abs=0.02)


def test_equal_bytes_and_equal_pixels_are_exact() -> None:
    for name, pixel_hash in (("bytes 3", None), ("other", "pixels 3")):
        [hit] = found(film(3), name, pixel_hash)
        assert (hit.picture, hit.grade, hit.score, hit.transform) == (3, "exact", 1.0, "identity")


def test_a_figure_of_an_eval_set_gives_away_its_panel() -> None:
    page, places = figure(2, 2, 10, 255)
    index = PictureIndex.of([(0, page, "", "")])
    top, bottom, left, right = places[2]
    panel = cv2.resize(page[top:bottom, left:right], (480, 400))
    [hit] = scan_picture(index, panel, "", None, lambda _: page, "ct")
    assert (hit.grade, json.loads(hit.evidence)["eval_region"]) == (
        "partial",
        pytest.approx(
            [left / page.shape[1], top / page.shape[0], right / page.shape[1], bottom / page.shape[0]], abs=0.02
        ),
    )


def test_a_picture_that_two_eval_sets_have_is_found_in_both() -> None:
    index = PictureIndex.of([(5, film(1), "a", ""), (9, TRANSFORMS["jpeg50"](film(1), 0, []), "b", "")])
    hits = scan_picture(index, cropped(film(1), 0.2, 3), "", None, lambda _: film(1), "xray")
    assert [hit.picture for hit in hits] == [5, 9]


def test_other_pictures_blank_ones_and_shared_banners_are_not_found() -> None:
    banner = np.full((70, 440), 255, np.uint8)
    cv2.putText(banner, "Journal of Films 12 (2019)", (8, 45), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 0, 2)
    with_banner = [np.vstack([banner, film(seed)]) for seed in (1, 31)]
    index = PictureIndex.of([(0, with_banner[0], "", ""), (1, np.zeros((300, 300), np.uint8), "black", "black")])
    for picture in (with_banner[1], film(32), np.zeros((300, 300), np.uint8), banner):
        assert scan_picture(index, picture, "black", "black", lambda _: with_banner[0], "xray") == []


def test_an_eval_picture_that_cannot_be_opened_is_no_hit_and_is_told() -> None:
    closed = KnownParts(known().index, lambda number: None if number == 1 else film(number))
    copy = film(1)[:, ::-1].copy()
    assert scan_picture(closed.index, film(2)[:, ::-1].copy(), "", None, closed, "xray")
    assert closed.unopened == set()
    assert scan_picture(closed.index, copy, "", None, closed, "xray") == []
    assert closed.unopened == {1}
    assert scan_picture(closed.index, copy, "", None, closed, "xray") == []
    assert closed.unopened == {1}


def test_the_answer_is_the_same_each_time_and_whatever_was_scanned_before() -> None:
    copy = TRANSFORMS["flip+crop20+win"](film(1), 5, [])
    fresh = KnownParts(known().index, film)
    assert found(copy) == scan_picture(known().index, copy, "", None, fresh, "xray") == found(copy)


def test_hits_are_a_table() -> None:
    hits = found(film(2)[:, ::-1], "id")
    table = hits_table(hits)
    assert table.schema == PICTURE_HITS
    assert table.to_pylist()[0]["image_id"] == "id"
    assert hits_table([]).num_rows == 0


@pytest.mark.skipif(not FILMS.exists(), reason="the shared test data is not here")
def test_films_of_other_patients_are_not_found() -> None:
    paths = sorted(FILMS.glob("*.jpg"))[:24]
    films = [longest(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), 512) for path in paths]
    patients = [path.name.split("_")[0] for path in paths]
    half = sorted(set(patients))[: len(set(patients)) // 2]
    index = PictureIndex.of((n, film, "", "") for n, film in enumerate(films) if patients[n] in half)
    ready = KnownParts(index, lambda number: films[number])
    others = [film for film, patient in zip(films, patients, strict=True) if patient not in half]
    assert len(others) >= 8
    assert [scan_picture(index, film, "", None, ready, "xray") for film in others] == [[] for _ in others]


def slices_by_study() -> dict[str, Grey]:
    """A CT slice of each study of the shared DICOM files, in a mediastinal window."""
    found: dict[str, Grey] = {}
    for path in sorted(path for path in DICOM.rglob("*") if path.is_file() and path.stat().st_size > 100_000):
        header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        if header.get("Modality") != "CT" or header.get("NumberOfFrames") or header.get("StudyInstanceUID") in found:
            continue
        try:
            stored = pydicom.dcmread(path, force=True).pixel_array.astype(float)
        except Exception:  # noqa: BLE001 - some files of this collection are broken on purpose
            continue
        units = stored * float(header.get("RescaleSlope", 1)) + float(header.get("RescaleIntercept", 0))
        if min(units.shape) >= 256:
            found[header.StudyInstanceUID] = np.clip((units + 160) / 400 * 255, 0, 255).astype(np.uint8)
    return found


@pytest.mark.skipif(not DICOM.exists(), reason="the shared test data is not here")
def test_slices_of_other_studies_are_not_found() -> None:
    slices = list(slices_by_study().values())
    assert len(slices) >= 3
    for number, own in enumerate(slices):
        index = PictureIndex.of([(number, own, "", "")])
        ready = KnownParts(index, lambda which: slices[which])
        others = [picture for other, picture in enumerate(slices) if other != number]
        assert [scan_picture(index, picture, "", None, ready, "ct") for picture in others] == [[] for _ in others]
