"""The pages of an audit as text: bounded, escaped, and of outsiders' pages nothing that is nobody's business."""

import base64
import re
from hashlib import sha256
from typing import Any

import orjson
import pytest

from dedup.decontamination.assemble import RANK
from pipelines.audit.report.evidence import LISTED, PICTURED, PICTURED_ALIKE, TOLD, in_turn, told
from pipelines.audit.report.page import VERDICTS, render
from pipelines.audit.report.public import public_document, public_sources, public_told, salt_of, salted
from tests.pipelines.audit.report.findings import QUESTION, SECRET, SETS, Made, made

SALT = salt_of(b"contamination.json")


def internal(whole: Made) -> str:
    document = whole.document()
    return render(document, told(whole.table, whole, document["accepted"]["findings"]), len(whole.rows))


def public(whole: Made) -> str:
    document = whole.document()
    found = public_told(whole.table, whole, document["accepted"]["findings"], SALT, public_sources(document))
    return render(public_document(document, SALT), found, len(whole.rows), salt=SALT)


def test_every_finding_is_on_the_page_under_its_id() -> None:
    whole = made(100)
    ids = re.findall(r'<article class="[^"]*" id="([0-9a-f]{16})"', internal(whole))
    assert sorted(ids) == sorted(row["finding_id"] for row in whole.rows)


def test_the_same_audit_gives_the_same_page() -> None:
    assert internal(made(20)) == internal(made(20))


def test_pictures_are_of_the_strongest_and_their_number_is_bounded() -> None:
    whole = made(600)
    found = told(whole.table, whole, ())
    shown = [one for one in found if one.our_picture is not None and one.our_picture.shown is not None]
    alike = [(one.eval_set, one.grade) for one in shown]
    assert max(alike.count(key) for key in alike) == PICTURED_ALIKE
    assert len(shown) <= PICTURED
    for eval_set, grade in set(alike):
        of = [one for one in found if (one.eval_set, one.grade) == (eval_set, grade)]
        lowest = min(one.score or 0 for one in shown if one in of)
        assert all((one.score or 0) <= lowest for one in of if one not in shown)


def test_findings_whose_pictures_are_on_the_page_come_first_in_their_eval_set_and_grade() -> None:
    whole = made(600)
    for row in whole.rows:
        row["score"] = 1.0
    found = told(whole.table, whole, ())
    keys = [(one.eval_set, RANK[one.grade], not one.pictured) for one in found]
    assert keys == sorted(keys)
    assert {one.pictured for one in found if one.channel == "pair"} == {True, False}


def test_one_pair_of_pictures_is_shown_once_and_referred_to() -> None:
    one = made(1).rows[0]
    other = {**one, "finding_id": "f" * 16, "score": 0.5, "sample_id": "9" * 32}
    whole = Made([one, other], {**made(1).samples, "9" * 32: made(1).sample(one["sample_id"])}, made(1).items)
    page = internal(whole)
    assert page.count("data:image/jpeg") == 2
    assert page.count(f'the same pictures as in <a class="mono" href="#{one["finding_id"]}">') == 2


def test_beyond_the_limits_findings_are_told_in_short_and_then_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.audit.report.evidence.TOLD", 30)
    monkeypatch.setattr("pipelines.audit.report.evidence.LISTED", 50)
    whole = made(80)
    page = internal(whole)
    assert page.count("<article") == 50
    assert len(re.findall(r'<article class="[^"]* brief', page)) == 20
    assert "50 of 80 findings are on this page" in page
    assert "Texts are shown of the strongest 30" in page
    assert (TOLD, LISTED) == (5000, 20_000)


def test_eval_sets_take_turns_so_that_a_large_one_hides_none() -> None:
    rows = made(40).rows
    many = [{**row, "eval_set": "large", "finding_id": f"{at:016x}"} for at, row in enumerate(made(400).rows)]
    first = in_turn(Made([*many, *rows]).table, 5)
    assert {row["eval_set"] for row in first} == {"large", *SETS}
    assert {row["grade"] for row in first} == {"exact"}


def test_text_of_the_data_stays_text() -> None:
    page = internal(made(8))
    assert "<script>document.title" not in page
    assert "&lt;script&gt;document.title" in page
    assert "{{ 7 * 7 }}" in page
    assert "\u202e" not in page


def test_the_page_allows_only_its_own_script() -> None:
    page = internal(made(1))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert not re.search(r"\son[a-z]+=", page.replace(script, ""))
    assert not re.search(r'(src|href)="(?!data:|#|shortcuts\.html)', page)


def test_keyed_and_credentialed_sides_are_not_shown() -> None:
    page = internal(made(30, hidden=True))
    assert SECRET not in page
    assert "data:image" not in page
    assert "Text and picture are not shown: they may tell of people." in page


def test_a_page_for_outsiders_has_no_text_no_pixels_no_file_names_and_no_people() -> None:
    whole = made(60)
    page = public(whole)
    words = {SECRET, "most appropriate", "patient-4711", "private/path", "Dr. Somebody", "data:image",
             "/home/someone", "example.org", "PMC123", "public anyway"}  # fmt: skip
    assert [word for word in sorted(words) if word in page] == []
    internal_page = internal(whole)
    missed = [word for word in sorted(words) if word not in internal_page]
    assert missed == ["/home/someone"]  # the others would have been found


def test_data_that_is_called_after_its_file_has_a_number_for_outsiders() -> None:
    whole = made(7)
    document = whole.document()
    document["reasons"] = ["source roco: 3 x image.undecodable", "corpus: 2 files of a form without a reader"]
    document["not_covered"] = [*document["reasons"], "of 12 pictures with several frames only the middle one"]
    told = public_document(document, SALT)
    assert (list(told["sources"]), list(told["unread"])) == (["data 1", "data 2", "data 3"], ["data 3"])
    assert (told["data"][0]["name"], told["data"][0]["sources"]) == ("data 1", ["data 1", "data 2", "data 3"])
    assert told["reasons"] == ["source data 3: 3 x image.undecodable", "data 1: 2 files of a form without a reader"]
    assert told["not_covered"] == [*told["reasons"], "of 12 pictures with several frames only the middle one"]
    assert "chatdoctor" not in public(whole)
    document["data"][0]["form"] = "shards"  # a run, whose recipe names its sources
    assert list(public_document(document, SALT)["sources"]) == ["pmc_oa", "chatdoctor", "roco"]


def test_whoever_has_the_eval_set_can_compute_the_hashes_of_a_public_page() -> None:
    page = public(made(7))
    question = f"{SECRET} {QUESTION.format(age=30, pulse=90)}"
    assert f"item question [0:{len(question)}] hash {salted(SALT, question)}" in page
    assert salted(SALT, question) != salted(salt_of(b"another audit"), question)
    assert salted(SALT, "patient-4711") in page


def test_hidden_sides_have_no_hash_on_a_public_page() -> None:
    page = public(made(7, hidden=True))
    assert "data turns.0 [" in page
    assert not re.search(r"\] hash ", page)


def test_an_audit_that_was_not_calibrated_says_so() -> None:
    whole = made(1)
    document: dict[str, Any] = {**whole.document(), "calibration": None}
    for name in ("probes", "residual", "residual_assumes"):
        document.pop(name)
    page = render(document, told(whole.table, whole, ()), 1)
    assert "Not calibrated" in page
    assert "Not calibrated" not in internal(whole)


@pytest.mark.parametrize("verdict", ["clean", "incomplete", "insensitive"])
def test_leaks_that_a_review_accepts_are_still_told(verdict: str) -> None:
    leaks = {**made(3).document(), "verdict": verdict, "reasons": []}
    none = {**made(0).document(), "verdict": verdict}
    found = told(made(3).table, made(3), ())
    for page in (render(leaks, found, 3), render(public_document(leaks, SALT), (), 3, salt=SALT)):
        assert VERDICTS[verdict][1] not in page
        assert "Items of the eval sets are in the data" in page
    assert VERDICTS[verdict][1] in render(none, (), 0)


def test_a_verdict_says_that_a_review_accepts_some_findings_or_an_audit_that_is_incomplete() -> None:
    assert "A review accepts some of the findings, but not all." in internal(made(3))
    gaps = {**made(0).document(), "reasons": ["eval set medqa is required and not there"]}
    assert "also accepts that the audit was incomplete" in render(gaps, (), 0)
    weaker = made(6).rows[5]
    assert weaker["grade"] == "same_group"
    weaker_only = {**Made([weaker]).document(), "verdict": "clean", "reasons": []}
    assert VERDICTS["clean"][1] in render(weaker_only, (), 1)


def test_provenance_is_told_without_a_sample() -> None:
    row = {"finding_id": "0" * 16, "grade": "provenance", "channel": "provenance", "eval_set": "slake", "eval_id": "",
           "sample_id": "", "source": "roco", "score": None, "transform": None,
           "evidence": orjson.dumps({"path": ["slake", "roco"]}).decode()}  # fmt: skip
    page = render(Made().document(), told(Made([row]).table, Made(), ()), 1)
    assert "slake ← roco" in page
