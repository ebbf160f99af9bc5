from typing import Any

import orjson
import pyarrow as pa
import pytest

from filters.phi_decision import Decision, Phi
from filters.phi_pictures import PHI_IMAGES
from sources.schema import SAMPLES

A, B = "a" * 32, "b" * 32


def picture(image_id: str = A, **found: Any) -> dict[str, Any]:
    row = {"image_id": image_id, "metadata": [], "boxes": [], "problem": None, "container": None, "said": False}
    return {**row, "left_over": False, "width": 64, "height": 64, **found}


def box(kind: str) -> dict[str, Any]:
    return {"left": 1, "top": 2, "right": 30, "bottom": 12, "kind": kind, "length": 9}


def decided(
    step: Phi, *pictures: dict[str, Any], shows: tuple[str, ...] = (A,)
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    row = dict.fromkeys(SAMPLES.names) | {"images": [{"image_id": one, "uri": "x", "frame": 0} for one in shows]}
    samples = pa.table({"images": pa.array([row["images"]], SAMPLES.field("images").type)})
    verdicts, treatments = step.decide(samples, pa.Table.from_pylist(list(pictures), schema=PHI_IMAGES))
    return verdicts.to_pylist()[0], treatments.to_pylist()


EXIF = {"metadata": [{"kind": "exif", "length": 120}]}


@pytest.mark.parametrize(
    ("policy", "found", "verdict", "reason"),
    [
        ("quarantine", {"boxes": [box("name")]}, "quarantine", "phi.burned_in"),
        ("quarantine", {"boxes": [box("unread")]}, "quarantine", "phi.burned_in"),
        ("quarantine", {"boxes": [box("annotation")]}, "keep", None),
        ("quarantine", {"problem": "timeout"}, "quarantine", "phi.error"),
        ("mask", {"problem": "died", "boxes": []}, "quarantine", "phi.error"),
        ("quarantine", {"said": True}, "quarantine", "phi.burned_in"),
        ("quarantine", {"said": True, "boxes": [box("annotation")]}, "keep", None),
        ("quarantine", {"problem": "error"}, "quarantine", "phi.error"),
        ("mask", {"boxes": [box("date"), box("annotation")]}, "edit", "phi.burned_in"),
        ("mask", {"boxes": [box("date")], "left_over": True}, "quarantine", "phi.burned_in"),
        ("mask", {"boxes": [box("annotation")]}, "keep", None),
        ("redact", {"boxes": [box("annotation")]}, "edit", "phi.burned_in"),
        ("keep", {"boxes": [box("name")], "problem": "timeout"}, "keep", None),
        ("keep", EXIF, "edit", "phi.header"),
    ],
)
def test_a_policy_decides_by_what_was_found(
    policy: Any, found: dict[str, Any], verdict: str, reason: str | None
) -> None:
    row, treatments = decided(Phi("strip", policy), picture(**found))
    assert (row["verdict"], row["reason"]) == (verdict, reason)
    assert bool(treatments) == (verdict == "edit")


def test_masking_covers_identifiers_and_redacting_all_writing() -> None:
    both = picture(boxes=[box("name"), {**box("annotation"), "top": 50, "bottom": 60}])
    assert [len(decided(Phi("strip", policy), both)[1][0]["boxes"]) for policy in ("mask", "redact")] == [1, 2]


def test_metadata_goes_out_of_the_file_or_with_it() -> None:
    (stripped,) = decided(Phi("strip", "keep"), picture(**EXIF))[1]
    (anew,) = decided(Phi("strip", "keep"), picture(container="ends inside a segment"))[1]
    assert (stripped["strip"], stripped["anew"]) == (True, False)
    assert (anew["strip"], anew["anew"]) == (False, True)
    assert decided(Phi("quarantine", "keep"), picture(**EXIF))[0]["reason"] == "phi.header"
    assert decided(Phi("keep", "keep"), picture(**EXIF))[0]["verdict"] == "keep"


@pytest.mark.parametrize(
    ("ruling", "boxes", "verdict", "covered"),
    [("accept", None, "keep", 0), ("mask", None, "edit", 1), ("mask", ((5, 5, 9, 9), (1, 1, 3, 3)), "edit", 2),
     ("drop", None, "drop", 0)],
)  # fmt: skip
def test_reviewers_go_before_the_policy_and_are_named(ruling: Any, boxes: Any, verdict: str, covered: int) -> None:
    word = Decision(A, ruling, "M. Reviewer", "seen", boxes)
    row, treatments = decided(Phi("strip", "quarantine", {A: word}), picture(boxes=[box("name"), box("annotation")]))
    assert row["verdict"] == verdict
    assert (len(treatments[0]["boxes"]) if treatments else 0) == covered
    assert (row["reason"] == "phi.reviewed") == (ruling == "drop")
    told = orjson.loads(row["evidence"])["images"][0]["review"]
    assert told == {"ruling": ruling, "who": "M. Reviewer", "why": "seen"}


@pytest.mark.parametrize(
    ("found", "boxes"),
    [
        ({"problem": "timeout"}, None), ({"problem": "error", "metadata": None}, None), ({"said": True}, None),
        ({"boxes": [box("annotation")]}, None), ({"boxes": [box("name")], "left_over": True}, None),
        ({"boxes": [box("unread")]}, None), ({}, None), ({"boxes": [box("name")]}, ()),
        ({"boxes": [box("name")]}, ((5, 5, 3, 3),)), ({"boxes": [box("name")]}, ((1, 1, 9, 9), (30, 10, 10, 20))),
        ({"boxes": [box("name")]}, ((70, 5, 80, 9),)),
    ],
)  # fmt: skip
def test_a_reviewers_mask_that_would_cover_nothing_or_not_do_releases_no_picture(
    found: dict[str, Any], boxes: Any
) -> None:
    for policy in ("quarantine", "mask", "keep"):
        step = Phi("strip", policy, {A: Decision(A, "mask", "M. Reviewer", "seen", boxes)})  # type: ignore[arg-type]
        row, treatments = decided(step, picture(**found))
        assert (row["verdict"], row["reason"], treatments) == ("quarantine", "phi.burned_in", [])
        assert orjson.loads(row["evidence"])["images"][0]["review"]["needs"] == "boxes"


def test_an_accepted_picture_that_nobody_could_look_at_is_stored_without_what_its_file_carries() -> None:
    step = Phi("strip", "quarantine", {A: Decision(A, "accept", "M. Reviewer", "a chart")})
    row, (treatment,) = decided(step, picture(problem="error", metadata=None))
    assert row["verdict"] == "edit"
    assert treatment["anew"]


def test_the_worst_of_a_samples_pictures_decides_and_none_of_its_pictures_is_then_treated() -> None:
    row, treatments = decided(
        Phi("strip", "quarantine"), picture(A, **EXIF), picture(B, boxes=[box("id")]), shows=(A, B)
    )
    assert row["verdict"] == "quarantine"
    assert treatments == []
    told = orjson.loads(row["evidence"])["images"]
    assert [(one["image"], one["verdict"]) for one in told] == [(0, "edit"), (1, "quarantine")]
