import pyarrow as pa

from dedup.decontamination.assemble import wordings_of
from dedup.decontamination.calibration.choosing import chosen_texts
from dedup.decontamination.calibration.outcomes import DECOY, LEAK, table_of
from dedup.decontamination.calibration.settings import CalibrationSettings
from dedup.decontamination.calibration.text_probes import text_outcomes
from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_settings import TextSettings
from tests.dedup.decontamination.calibration.items import exams, stock, table

ITEMS = table(*exams(), *stock())
WORDINGS = wordings_of(ITEMS, pa.table({"items": pa.array([[8, 9]], pa.list_(pa.int32()))}))


def test_planted_questions_are_found_and_decoys_are_not() -> None:
    index = TextIndex.of(ITEMS, TextSettings())
    plan = chosen_texts(index, ITEMS, WORDINGS, CalibrationSettings()).to_pylist()
    rows = text_outcomes(index, ITEMS, WORDINGS, plan, 0)
    assert len(rows) == len(plan)
    assert [row for row in rows if row["kind"] == DECOY and row["found"]] == []
    leaks = [row for row in rows if row["kind"] == LEAK]
    assert sum(row["found"] for row in leaks) >= 0.95 * len(leaks)
    assert {row["grade"] for row in leaks if row["transform"] == "verbatim"} == {"exact"}
    assert {row["eval_set"] for row in leaks} == {"exams"}
    table_of(rows)


def test_outcomes_do_not_depend_on_what_is_looked_up_beside_them() -> None:
    index = TextIndex.of(ITEMS, TextSettings())
    plan = chosen_texts(index, ITEMS, WORDINGS, CalibrationSettings(texts=4)).to_pylist()
    together = text_outcomes(index, ITEMS, WORDINGS, plan, 0)
    apart = [
        row for at in range(0, len(plan), 7) for row in text_outcomes(index, ITEMS, WORDINGS, plan[at : at + 7], 0)
    ]
    assert together == apart


def test_a_search_that_knows_none_of_the_items_finds_none_of_the_probes() -> None:
    index = TextIndex.of(ITEMS, TextSettings())
    plan = chosen_texts(index, ITEMS, WORDINGS, CalibrationSettings()).to_pylist()
    emptied = ITEMS.set_column(3, ITEMS.schema.field("question"), pa.nulls(ITEMS.num_rows, pa.string()))
    rows = text_outcomes(TextIndex.of(emptied, TextSettings()), ITEMS, WORDINGS, plan, 0)
    assert not any(row["found"] for row in rows)
