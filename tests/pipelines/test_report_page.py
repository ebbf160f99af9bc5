import base64
import io
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from PIL import Image

from pipelines.report.breakdown import by, losses, named
from pipelines.report.charts import PANEL, histogram, stacked
from pipelines.report.examples import SHOWN, SHOWN_KEPT, TURN_CHARACTERS, excerpt
from pipelines.report.page import CONTRACTS, PAGE, write_page
from pipelines.report.survey import EDGES, Survey
from pipelines.run_document import answer_of
from pipelines.work import Work
from sources.storage import LocalFolder
from tests.pipelines.report_runs import Made, MadeRun, Picture, random_samples

SECRET = "Mrs Example of 5 Any Street"


def page_of(run: MadeRun, **answer: Any) -> str:
    folder = LocalFolder(run.place)
    write_page(Work(folder), {"missing": [], **answer_of(run.run, ()), **answer})
    return folder.read(PAGE).decode()


def lost(number: int, **more: Any) -> Made:
    return Made(f"{number:032x}", step="exact", verdict="drop", reason="exact.text", **more)


def test_every_sample_that_is_shown_has_its_command_and_its_text(tmp_path: Path) -> None:
    picture = Picture("a" * 32)
    samples = [Made("1" * 32, text="A round opacity.", images=(picture.image_id,)), lost(2, text="The same again.")]
    html = page_of(MadeRun(tmp_path / "my run", [samples], [[picture]]).write())
    for sample in samples:
        assert f"curate why &#39;{tmp_path}/my run&#39; {sample.sample_id}" in html
        assert sample.text in html
    assert "a kept sample has the same text" in html
    (uri,) = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)"', html)
    assert Image.open(io.BytesIO(base64.b64decode(uri))).size == (64, 64)


@pytest.mark.parametrize("kind", ["keyed", "credentialed"])
def test_no_text_and_no_picture_of_a_source_that_may_tell_of_people_is_on_the_page(tmp_path: Path, kind: str) -> None:
    picture = Picture("a" * 32)
    samples = [
        Made("1" * 32, source="ward", text=SECRET, images=(picture.image_id,)),
        lost(2, source="ward", text=SECRET, images=(picture.image_id,)),
        Made("3" * 32, source="films", text="A public text."),
    ]
    run = MadeRun(tmp_path, [samples], [[picture]], **{kind: ("ward",)}).write()
    html = page_of(run)
    assert "Mrs Example" not in html
    assert "data:image" not in html
    assert "1" * 32 in html
    assert "A public text." in html
    assert "No text and no picture is shown of ward" in html


def test_a_source_of_which_the_run_does_not_say_that_it_is_public_is_not_shown(tmp_path: Path) -> None:
    run = MadeRun(tmp_path, [[Made("1" * 32, text=SECRET)]], [[]]).write()
    del run.run["inputs"][0]["identifiers"]
    (tmp_path / "run.json").write_bytes(orjson.dumps(run.run))
    assert "Mrs Example" not in page_of(run)


def test_the_page_says_what_told_the_modality_of_how_many_pictures(tmp_path: Path) -> None:
    pictures = [Picture("a" * 32, modality_from="model"), Picture("b" * 32, modality_from="none")]
    html = page_of(MadeRun(tmp_path, [[Made("1" * 32, images=("a" * 32,))]], [pictures]).write())
    assert "It was told by nothing of 1 picture, by the model of 1 picture." in html


def test_two_pages_of_the_same_tables_are_the_same(tmp_path: Path) -> None:
    samples, pictures = random_samples(4, 120)
    run = MadeRun(tmp_path, [samples[:70], samples[70:]], [pictures, []]).write()
    first = page_of(run)
    LocalFolder(tmp_path).delete(PAGE)
    assert page_of(run) == first


def test_a_reason_shows_a_few_examples_and_the_sources_take_turns(tmp_path: Path) -> None:
    many = [lost(number, source="films") for number in range(1, 40)]
    few = [lost(number, source="notes") for number in range(100, 102)]
    kept = [Made(f"{number:032x}") for number in range(200, 260)]
    html = page_of(MadeRun(tmp_path, [[*many, *few, *kept]], [[]]).write())
    assert html.count('<div class="sample dropped">') == SHOWN
    assert html.count('<div class="sample kept">') == SHOWN_KEPT
    for number in (1, 2, 100, 101):
        assert f" {number:032x}</code>" in html


def test_nothing_kept_is_said_in_words(tmp_path: Path) -> None:
    html = page_of(MadeRun(tmp_path, [[lost(1)]], [[]]).write())
    assert "Nothing was kept." in html


def test_a_run_of_no_sample_at_all_has_a_page(tmp_path: Path) -> None:
    html = page_of(MadeRun(tmp_path, [], []).write())
    assert "There is no sample." in html
    assert "No picture was read." in html


def test_sources_that_were_not_found_are_named(tmp_path: Path) -> None:
    assert "roco, slake" in page_of(MadeRun(tmp_path, [[lost(1)]], [[]]).write(), missing=["roco", "slake"])


def test_contracts_are_shown_with_the_rows_that_break_them(tmp_path: Path) -> None:
    run = MadeRun(tmp_path, [[Made("1" * 32)]], [[]]).write()
    row = {"expectation": "expect_column_values_to_be_unique", "column": "sample_id", "source": None}
    held = {**row, "severity": "critical", "success": True, "unexpected": 0, "examples": []}
    broken = {
        **row,
        "column": "language",
        "severity": "warning",
        "success": False,
        "unexpected": 7,
        "examples": ["f" * 32],
    }
    gates = [{"gate": "samples", "rows": 1, "expectations": [held, broken]}]
    LocalFolder(tmp_path).write(CONTRACTS, orjson.dumps({"ok": True, "gates": gates}))
    html = page_of(run)
    assert "All contracts hold." in html
    assert "Not met at the gate samples" in html
    assert "f" * 32 in html
    assert "contracts/index.html" not in html


def test_the_page_of_a_cleaned_run_stays_as_it_was(tmp_path: Path) -> None:
    run = MadeRun(tmp_path, [[Made("1" * 32)]], [[]]).write()
    page_of(run)
    (tmp_path / PAGE).write_text("as it was")
    assert page_of(run) == "as it was"


def test_the_page_stays_small_whatever_the_number_of_reasons_sources_and_licences(tmp_path: Path) -> None:
    pictures = [Picture(f"{number:032x}") for number in range(1, 400)]
    samples = [
        Made(f"{number:032x}", source=f"source_{number % 60}", license=f"LicenseRef-{number}", language=f"l{number}",
             text="word " * 500, images=(f"{number % 399 + 1:032x}",), step="exact", verdict="drop",
             reason=f"other.reason_{number % 80}")
        for number in range(4000)
    ]  # fmt: skip
    html = page_of(MadeRun(tmp_path, [samples], [pictures]).write())
    assert len(html) < 1_500_000
    assert "others" in html


def test_long_tails_are_one_row_that_holds_what_is_left() -> None:
    survey = Survey()
    survey.groups["license"] = {f"l{number:02}": [number, 1, 2, 0] for number in range(40)}
    rows = by(survey, "license")
    assert rows[-1].name == "28 others"
    assert sum(row.given for row in rows) == sum(sum(counts[:3]) for counts in survey.groups["license"].values())
    assert [row.given for row in rows[:-1]] == sorted((row.given for row in rows[:-1]), reverse=True)


def test_a_value_that_a_record_made_up_is_cut_to_a_short_line() -> None:
    survey = Survey()
    survey.groups["language"] = {"x" * 10_000: [1, 0, 0, 0], "a\u202eb\n": [1, 0, 0, 0], "\u200b": [1, 0, 0, 0]}
    assert sorted(row.name for row in by(survey, "language")) == ["(blank)", "a b", "x" * 47 + "…"]


def test_losses_name_the_sources_they_cost_most() -> None:
    survey = Survey()
    survey.groups["source"] = {"a": [5, 3, 0, 0], "b": [0, 2, 0, 0]}
    survey.losses = [("exact.text", "exact", "dropped", "a", 3), ("exact.text", "exact", "dropped", "b", 2)]
    (row,) = losses(survey, {"exact.text": "a kept sample has the same text"})
    assert (row.samples, row.share, row.words) == (5, 50, "a kept sample has the same text")
    assert row.sources.replace("\u00a0", " ") == "a 3 · b 2"


def test_only_the_largest_few_are_named() -> None:
    text = named({"a": 1, "b": 5, "c": 3, "d": 2, "e": 1000}).replace("\u00a0", " ")
    assert text == "e 1,000 · b 5 · c 3 · 2 more 3"


def test_a_bar_shows_the_least_loss_and_never_overflows() -> None:
    bar = stacked(999_998, 1, 1, 1_000_000)
    assert min(bar.dropped, bar.quarantined) >= 0.5
    assert bar.kept + bar.dropped + bar.quarantined <= 100
    assert stacked(0, 0, 0, 0).kept == 0


def test_the_bars_of_a_histogram_are_as_high_as_their_counts() -> None:
    drawn = histogram({"16": [10, 0], "64": [5, 2], "23": [1, 1]}, "tokens")
    assert drawn is not None
    kept, gone = drawn.panels
    assert [bar.height for bar in kept.bars] == [PANEL, PANEL / 10, PANEL / 2]
    assert [bar.height for bar in gone.bars] == [PANEL / 2, PANEL]
    assert [bar.words for bar in kept.bars][1] == "23 to 31 tokens: 1 kept"
    assert [label for _, label in drawn.labels] == ["16", "32", "64"]
    assert all(bar.x >= 0 and bar.x + bar.width <= drawn.width for panel in drawn.panels for bar in panel.bars)
    assert histogram({}, "tokens") is None


def test_a_histogram_over_everything_there_can_be_stays_readable() -> None:
    drawn = histogram({str(edge): [1, 1] for edge in EDGES.tolist()}, "px")
    assert drawn is not None
    assert len(drawn.labels) <= 9


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<image>\nWhat   is\tthis?", "What is this?"),
        ("left\u202eright\u0007", "left right"),
        ("x" * 5000, "x" * (TURN_CHARACTERS - 1) + "…"),
        ("<image><image>", ""),
    ],
)
def test_an_excerpt_is_one_short_line_without_control_characters(text: str, shown: str) -> None:
    assert excerpt(text) == shown
