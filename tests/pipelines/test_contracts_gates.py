"""The gates stop what is broken, name the rows, and let everything else pass."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

from pipelines.contracts import summaries
from pipelines.contracts.columns import Gate
from pipelines.contracts.gates import ContractError
from pipelines.contracts.summaries import BATCH_ROWS, batches
from pipelines.engines.local import LocalEngine
from pipelines.recipe import Recipe
from pipelines.view import View
from pipelines.work import Part
from sources.records import Fragment
from tests.pipelines.contract_flow import TEXT, Stopped, ingested, measured, notes, recipe_of

pytest.importorskip("great_expectations", reason="contracts need great_expectations")


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    """One worker for all tests: what it imports, it imports once."""
    engine = LocalEngine(1)
    yield engine
    engine.close()


def ids_of(stopped: Stopped, view: int = 0) -> list[str]:
    table = stopped.flow.session.work.read(stopped.flow.views[view].samples[0], ["sample_id"])
    return table["sample_id"].to_pylist()


def replaced(table: pa.Table, column: str, row: int, value: Any) -> pa.Table:
    values = table[column].to_pylist()
    values[row] = value
    return table.set_column(table.column_names.index(column), column, pa.array(values, table.schema.field(column).type))


def failures(stopped: Stopped) -> list[dict[str, Any]]:
    return [row for gate in stopped.document()["gates"] for row in gate["expectations"] if not row["success"]]


def test_sound_samples_pass_and_the_report_says_what_was_checked(engine: LocalEngine, tmp_path: Path) -> None:
    stopped = measured(engine, tmp_path, recipe_of(tmp_path, {"a": notes(6), "b": notes(5)}, {}))
    stopped.gates.ingested()
    stopped.gates.before_shards()
    rows = {report.gate: report.rows for report in stopped.gates.reports}
    assert rows == {Gate.SAMPLES: 11, Gate.IMAGES: 0, Gate.KEPT: 11}
    assert not any(report.failures for report in stopped.gates.reports)


def test_an_id_that_two_samples_share_stops_the_build_whichever_fragments_they_are_in(
    engine: LocalEngine, tmp_path: Path
) -> None:
    stopped = ingested(engine, tmp_path, recipe_of(tmp_path, {"a": notes(6), "b": notes(5)}, {}))
    shared = ids_of(stopped, 0)[2]
    stopped.tamper(stopped.flow.views[1].samples[0], lambda table: replaced(table, "sample_id", 3, shared))
    with pytest.raises(ContractError) as raised:
        stopped.gates.ingested()
    assert "contract samples: expect_column_values_to_be_unique on sample_id" in raised.value.message
    assert "for 2 of 11 rows" in raised.value.message
    assert shared in raised.value.message
    assert raised.value.status == 1
    assert failures(stopped) == [
        {
            "expectation": "expect_column_values_to_be_unique",
            "column": "sample_id",
            "source": None,
            "severity": "critical",
            "success": False,
            "unexpected": 2,
            "examples": [shared],
        }
    ]
    assert stopped.document()["ok"] is False
    assert shared in (tmp_path / "run" / "reports" / "contracts" / "samples.html").read_text()


def test_what_stands_in_place_of_an_id_is_never_shown(engine: LocalEngine, tmp_path: Path) -> None:
    stopped = ingested(engine, tmp_path, recipe_of(tmp_path, {"a": notes(3)}, {}))
    stopped.tamper(stopped.flow.views[0].samples[0], lambda table: replaced(table, "sample_id", 1, "Doe, John 1950"))
    with pytest.raises(ContractError) as raised:
        stopped.gates.ingested()
    assert "expect_column_values_to_be_in_set on id_form" in raised.value.message
    assert "(malformed)" in raised.value.message
    written = [path.read_bytes() for path in (tmp_path / "run" / "reports").rglob("*") if path.is_file()]
    assert len(written) == 3
    assert not any(b"Doe" in data for data in (raised.value.message.encode(), *written))


def test_a_value_that_is_not_allowed_is_counted_and_not_shown(engine: LocalEngine, tmp_path: Path) -> None:
    stopped = ingested(engine, tmp_path, recipe_of(tmp_path, {"a": notes(3)}, {}))
    wanted = ids_of(stopped)[2]
    stopped.tamper(stopped.flow.views[0].samples[0], lambda table: replaced(table, "task", 2, "secret name"))
    with pytest.raises(ContractError, match="expect_column_values_to_be_in_set on task") as raised:
        stopped.gates.ingested()
    assert wanted in raised.value.message
    assert "source a" in raised.value.message
    pages = [path.read_text() for path in (tmp_path / "run").rglob("reports/**/*") if path.is_file()]
    assert not any("secret name" in page for page in (raised.value.message, *pages))


@pytest.fixture
def half_grouped(tmp_path: Path) -> Recipe:
    """A card that promises patients, two records without one, and a line that is no record."""
    records = [*notes(3, who="p1"), *({"id": f"n{number}", "text": f"{TEXT} {number}"} for number in range(2))]
    card = {"fields": {"id": "id", "text": "text", "patient": "who"}, "groups": ["patient"]}
    recipe = recipe_of(tmp_path, {"cohort": records, "others": notes(2, who="p2")}, card)
    with (tmp_path / "data" / "cohort.jsonl").open("ab") as file:
        file.write(b"\n{not json\n")
    return recipe


def test_a_group_that_the_card_promises_is_missed_early_and_stops_what_would_be_written(
    engine: LocalEngine, tmp_path: Path, half_grouped: Recipe
) -> None:
    stopped = measured(engine, tmp_path, half_grouped)
    without = ids_of(stopped)[3:5]
    stopped.gates.ingested()
    (missed,) = stopped.gates.reports[0].failures
    assert (missed.rule.severity, missed.rule.source, missed.first) == ("warning", "cohort", without)
    assert missed.checked == 5, "the line that is no record counts for nothing"
    with pytest.raises(ContractError) as raised:
        stopped.gates.before_shards()
    assert "contract kept" in raised.value.message
    assert "on group_patient does not hold for 2 of 5 rows of source cohort" in raised.value.message
    assert "the card promises it" in raised.value.message
    assert {(row["source"], tuple(row["examples"])) for row in failures(stopped)} == {("cohort", tuple(without))}


def test_terms_and_tokens_outside_the_recipe_stop_the_build_before_shards(engine: LocalEngine, tmp_path: Path) -> None:
    records = [*notes(3), {"id": "long", "text": "word " * 300}]
    steps = {"license": {"access": ["noncommercial"], "forbidden": ["CC0-1.0"]}, "tokens": {"min": 5, "max": 100}}
    stopped = measured(engine, tmp_path, recipe_of(tmp_path, {"a": records}, {}, steps=steps))
    stopped.gates.ingested()
    with pytest.raises(ContractError):
        stopped.gates.before_shards()
    found = {(row["expectation"], row["column"]): row["unexpected"] for row in failures(stopped)}
    assert found == {
        ("expect_column_values_to_be_in_set", "access"): 4,
        ("expect_column_values_to_not_be_in_set", "license"): 4,
        ("expect_column_pair_values_a_to_be_greater_than_b", "tokens_max, tokens"): 1,
    }
    assert not (tmp_path / "run" / "shards").exists()


def test_a_picture_out_of_its_range_is_named_by_its_id(engine: LocalEngine, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / "data").mkdir(exist_ok=True)
        pixels = np.random.default_rng(number % 3).integers(0, 255, (80, 90), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / f"{number}.png")
    records = [{**record, "image": f"{number}.png"} for number, record in enumerate(notes(4))]
    card = {"task": "caption", "fields": {"id": "id", "text": "text", "image": "image"}}
    stopped = measured(engine, tmp_path, recipe_of(tmp_path, {"a": records}, card))
    stopped.gates.ingested()
    part = stopped.flow.views[0].parts["images"]
    image_id = stopped.flow.session.work.read(part)["image_id"][1].as_py()
    stopped.tamper(part, lambda table: replaced(table, "mean", 1, 300.0))
    with pytest.raises(ContractError, match="contract images: expect_column_values_to_be_between on mean") as raised:
        stopped.gates.before_shards()
    assert image_id in raised.value.message
    assert "for 1 of 3 rows" in raised.value.message  # the fourth picture has the bytes of the first


def test_a_warning_is_told_and_does_not_stop(
    engine: LocalEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"expect": "expect_column_values_to_be_in_set", "column": "license", "value_set": ["MIT"]}
    contracts = {"samples": [{**asked, "severity": "warning"}], "kept": [{**asked, "severity": "info"}]}
    stopped = measured(engine, tmp_path, recipe_of(tmp_path, {"a": notes(3)}, {}, contracts=contracts))
    stopped.gates.flow.reporter._console.quiet = False
    stopped.gates.ingested()
    stopped.gates.before_shards()
    assert [len(report.failures) for report in stopped.gates.reports] == [1, 0, 1]
    said = capsys.readouterr().err
    assert "warning: contract samples: expect_column_values_to_be_in_set on license does not hold for 3 of 3" in said
    assert "info: contract kept" in said


@pytest.mark.parametrize(
    ("asked", "stops"),
    [
        ({"column": "turns", "min_value": 2}, True),
        ({"column": "turns", "min_value": 2, "severity": "warning"}, False),
        ({"column": "turns", "min_value": 2, "source": "empty"}, False),
        ({"column": "turns_and_images", "min_value": 1, "mostly": 0.75}, False),
        ({"column": "group_article", "min_value": 1, "mostly": 0.75}, False),
        ({"column": "group_article", "min_value": 1, "mostly": 0.76}, True),
        ({"column": "group_article", "min_value": 1}, True),
    ],
)
def test_what_the_recipe_expects_stops_the_build_as_it_says(
    engine: LocalEngine, tmp_path: Path, asked: dict[str, Any], stops: bool
) -> None:
    records = [*notes(3, pmc="PMC1"), {"id": "x", "text": "a note of no article"}]
    card = {"fields": {"id": "id", "text": "text", "article": "pmc"}}
    contracts = {"samples": [{"expect": "expect_column_values_to_be_between", **asked}]}
    sources = {"a": records, "empty": []}
    stopped = ingested(engine, tmp_path, recipe_of(tmp_path, sources, card, contracts=contracts))
    if stops:
        with pytest.raises(ContractError, match=f"on {asked['column']} does not hold"):
            stopped.gates.ingested()
    else:
        stopped.gates.ingested()


@pytest.mark.parametrize(("source", "fewest", "stops"), [(None, 7, False), (None, 8, True), ("b", 2, True)])
def test_the_number_of_rows_is_that_of_the_run_or_of_a_source(
    engine: LocalEngine, tmp_path: Path, source: str | None, fewest: int, stops: bool
) -> None:
    asked = {"expect": "expect_table_row_count_to_be_between", "min_value": fewest}
    contracts = {"samples": [asked if source is None else {**asked, "source": source}]}
    recipe = recipe_of(tmp_path, {"a": notes(6), "b": notes(1)}, {}, contracts=contracts)
    stopped = ingested(engine, tmp_path, recipe)
    if stops:
        with pytest.raises(ContractError, match="expect_table_row_count_to_be_between on the table"):
            stopped.gates.ingested()
    else:
        stopped.gates.ingested()


def test_a_contract_that_was_checked_is_found_again_and_a_new_one_is_checked(
    engine: LocalEngine, tmp_path: Path
) -> None:
    recipe = recipe_of(tmp_path, {"a": notes(6)}, {})
    ingested(engine, tmp_path, recipe).gates.ingested()
    commits = set((tmp_path / "run" / "work" / "contracts_samples").rglob("*.json"))
    ingested(engine, tmp_path, recipe).gates.ingested()
    assert set((tmp_path / "run" / "work" / "contracts_samples").rglob("*.json")) == commits
    asked = {"expect": "expect_column_values_to_be_in_set", "column": "license", "value_set": ["MIT"]}
    changed = recipe_of(tmp_path, {"a": notes(6)}, {}, contracts={"samples": [asked]})
    with pytest.raises(ContractError):
        ingested(engine, tmp_path, changed).gates.ingested()


def test_contracts_that_are_off_check_nothing(engine: LocalEngine, tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, {"a": notes(3)}, {}, contracts={"enabled": False})
    stopped = ingested(engine, tmp_path, recipe)
    stopped.tamper(stopped.flow.views[0].samples[0], lambda table: replaced(table, "task", 2, "nothing known"))
    stopped.gates.ingested()
    stopped.gates.before_publishing(b"", {})
    assert stopped.gates.reports == []
    assert not (tmp_path / "run" / "reports").exists()


def test_what_is_found_does_not_depend_on_how_rows_are_batched(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"expect": "expect_column_values_to_be_in_set", "column": "license", "value_set": ["MIT"]}
    contracts = {"samples": [{**asked, "severity": "info"}]}
    recipe = recipe_of(tmp_path, {"a": notes(3), "b": notes(2), "c": notes(7)}, {}, contracts=contracts)
    found = []
    for rows in (BATCH_ROWS, 1):
        monkeypatch.setattr(summaries, "BATCH_ROWS", rows)
        stopped = ingested(engine, tmp_path, recipe)
        shared = ids_of(stopped, 0)[1]
        stopped.tamper(
            stopped.flow.views[2].samples[0], lambda table, shared=shared: replaced(table, "sample_id", 0, shared)
        )
        with pytest.raises(ContractError):
            stopped.gates.ingested()
        found.append(stopped.document())
    assert found[0] == found[1]
    assert len(batches(Gate.SAMPLES, (), stopped.flow.views)) == 3
    assert [row["unexpected"] for row in failures(stopped)] == [2, 3, 2, 7]


def test_batches_hold_a_bounded_number_of_rows_and_keep_corpora_apart_where_they_are_large() -> None:
    def view(corpus: int, rows: int) -> View:
        return View(corpus, Fragment("", f"{corpus} {rows}"), (Part("", "", rows, 0),))

    views = [view(0, 4096) for _ in range(20)] + [view(1, 4096) for _ in range(40)] + [view(2, 10), view(3, 10)]
    made = batches(Gate.SAMPLES, (), views)
    sizes = [sum(part.rows for one in batch.views for part in one.samples) for batch in made]
    assert [one for batch in made for one in batch.views] == views
    assert max(sizes) <= BATCH_ROWS
    assert sizes == [20 * 4096, 32 * 4096, 8 * 4096 + 20]
    assert [batch.number for batch in made] == [0, 1, 2]
    assert batches(Gate.SAMPLES, (), []) == []


def test_rows_are_counted_as_polars_counts_them(engine: LocalEngine, tmp_path: Path) -> None:
    kinds = {"turns": 1, "group_patient": 2, "group_article": 1, "images": 0}
    card = {"fields": {"id": "id", "text": "text", "patient": "who", "article": "pmc", "license": "terms"}}
    random = np.random.default_rng(3)
    records = [
        {"id": number, "text": f"A note about {number}.", "terms": str(random.choice(["CC0-1.0", "MIT", "own"])),
         "who": [f"p{one}" for one in range(random.integers(0, 4))],
         "pmc": "PMC1" if random.random() < 0.5 else None}
        for number in range(200)
    ]  # fmt: skip
    asked = [
        *({"expect": "expect_column_values_to_be_between", "column": name, "max_value": most}
          for name, most in kinds.items()),
        {"expect": "expect_column_values_to_match_regex", "column": "license", "regex": "^(MIT|unknown)$"},
        {"expect": "expect_column_pair_values_a_to_be_greater_than_b", "column_A": "group_patient",
         "column_B": "group_article"},
    ]  # fmt: skip
    contracts = {"samples": [{**one, "severity": "warning"} for one in asked]}
    stopped = ingested(engine, tmp_path, recipe_of(tmp_path, {"a": records}, card, contracts=contracts))
    stopped.gates.ingested()
    frame = pl.from_arrow(stopped.flow.session.work.read(stopped.flow.views[0].samples[0]))
    assert isinstance(frame, pl.DataFrame)
    groups = pl.col("groups").list
    count = {kind: groups.eval(pl.element().struct.field("kind") == kind).list.sum() for kind in ("patient", "article")}
    expected = [
        (pl.col("turns").list.len() > 1),
        (count["patient"] > 2),
        (count["article"] > 1),
        (pl.col("images").list.len() > 0),
        ~pl.col("license").str.contains("^(MIT|unknown)$"),
        ~(count["patient"] > count["article"]),
    ]
    found = stopped.gates.reports[0].found[-len(asked) :]
    for one, broken in zip(found, expected, strict=True):
        names = frame.filter(broken)["sample_id"].to_list()
        assert one.unexpected == len(names), one.rule
        assert len(one.first) == min(len(names), 5)
        assert set(one.first) <= set(names)
    assert sum(one.unexpected for one in found) > 100


def test_the_pages_are_whole_and_load_nothing(engine: LocalEngine, tmp_path: Path) -> None:
    stopped = ingested(engine, tmp_path, recipe_of(tmp_path, {"a": notes(3)}, {}))
    stopped.tamper(stopped.flow.views[0].samples[0], lambda table: replaced(table, "task", 2, "other"))
    with pytest.raises(ContractError):
        stopped.gates.ingested()
    site = tmp_path / "run" / "reports" / "contracts"
    assert {path.name for path in site.iterdir()} == {"index.html", "samples.html"}
    page = (site / "samples.html").read_text()
    assert "values must belong to this set" in page
    assert "1 unexpected values found" in page
    for text in (page, (site / "index.html").read_text()):
        assert "http://" not in text
        assert "https://" not in text
        assert not any(mark in text for mark in ("<script", "<link", "<img", " src=", "url(", "@import", "javascript:"))
        assert "default-src 'none'" in text
    assert orjson.loads((tmp_path / "run" / "reports" / "contracts.json").read_bytes())["ok"] is False


def test_ids_of_samples_made_from_frames_are_compared_with_all_others(engine: LocalEngine, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    frames = [Image.fromarray(np.random.default_rng(seed).integers(0, 255, (80, 90), np.uint8)) for seed in range(4)]
    frames[0].save(tmp_path / "data" / "many.tiff", save_all=True, append_images=frames[1:])
    card = {"task": "caption", "fields": {"id": "id", "text": "text", "image": "image"}}
    records = notes(1, image="many.tiff")
    recipe = recipe_of(tmp_path, {"a": records}, card, steps={"measure": {"frames": "each"}})
    stopped = measured(engine, tmp_path, recipe)
    stopped.gates.ingested()
    (view,) = stopped.flow.views
    assert view.parts["alive"].rows == 4, "every frame is a sample"
    stopped.tamper(view.samples[1], lambda table: replaced(table, "sample_id", 1, ids_of(stopped)[0]))
    with pytest.raises(ContractError, match="contract kept: expect_column_values_to_be_unique on sample_id") as raised:
        stopped.gates.before_shards()
    assert ids_of(stopped)[0] in raised.value.message
