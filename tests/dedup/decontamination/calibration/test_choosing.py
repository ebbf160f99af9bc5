import numpy as np
import pyarrow as pa

from dedup.decontamination.assemble import Wordings, wordings_of
from dedup.decontamination.calibration.choosing import PLAN, chosen_texts, in_turns
from dedup.decontamination.calibration.report_sentences import SENTENCES
from dedup.decontamination.calibration.settings import CalibrationSettings
from dedup.decontamination.calibration.text_edits import EDITS
from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_settings import TextSettings
from tests.dedup.decontamination.calibration.items import exams, item, stock, table


def wordings(items: pa.Table, pictured: list[int]) -> Wordings:
    return wordings_of(items, pa.table({"items": pa.array([pictured], pa.list_(pa.int32()))}))


def planned(items: pa.Table, pictured: list[int] | None = None, **settings: int) -> dict[str, list[int]]:
    index = TextIndex.of(items, TextSettings())
    plan = chosen_texts(index, items, wordings(items, pictured or []), CalibrationSettings(**settings))
    assert plan.schema == PLAN
    rows: dict[str, list[int]] = {}
    for row in plan.to_pylist():
        rows.setdefault(row["transform"], []).append(row["item"])
    return rows


def test_long_questions_are_planted_in_every_way_that_has_something_to_edit() -> None:
    plan = planned(table(*exams()))
    assert set(EDITS) - set(plan) <= {"spelling"}
    assert {len(plan[name]) for name in ("verbatim", "embedded", "options_between", "first60%")} == {8}


def test_a_question_that_needs_its_picture_is_planted_in_no_text_but_as_a_stock_question() -> None:
    items = table(*exams(), *stock())
    plan = planned(items, pictured=[8, 9])
    assert all(8 not in rows and 9 not in rows for name, rows in plan.items() if name in EDITS)
    assert sorted(plan["stock_question"]) == [8, 9]


def test_a_short_question_is_planted_whole_and_with_its_answer_only() -> None:
    items = table(*exams(), item("short", question="What explains tonsillar herniation?", answer="Chiari malformation"))
    plan = planned(items)
    with_it = {name for name, rows in plan.items() if 8 in rows}
    assert {"verbatim", "rewrapped", "answer_first"} <= with_it
    assert not {"replaced10%", "replaced20%", "spelling", "question_alone", "first60%"} & with_it


def test_sets_take_turns_and_a_large_one_does_not_crowd_out_a_small_one() -> None:
    sets = ["large"] * 1000 + ["small"] * 3
    order = in_turns(sets, [str(number) for number in range(1003)], 0)
    assert sorted(order) == list(range(1003))
    assert sum(sets[row] == "small" for row in order[:6]) == 3


def test_the_seed_draws_the_items_and_nothing_else_does() -> None:
    items = table(*exams())
    first = planned(items, texts=3)
    assert first == planned(items, texts=3)
    assert first["verbatim"] != planned(items, texts=3, seed=1)["verbatim"]
    turned = items.take(pa.array(np.arange(8)[::-1]))
    names = [items["eval_id"][number].as_py() for number in first["verbatim"]]
    assert names == [turned["eval_id"][number].as_py() for number in planned(turned, texts=3)["verbatim"]]


def test_normal_reports_are_decoys_where_a_set_has_reports_unless_it_says_the_same() -> None:
    assert "normal_report" not in planned(table(*exams()))
    plan = planned(table(*exams(), item("r", "reports", text="A stent lies in the left main bronchus.")))
    assert len(plan["normal_report"]) == 200
    plan = planned(table(*exams(), item("r", "reports", text=" ".join(SENTENCES[::2]))))
    assert 50 <= len(plan["normal_report"]) < 200


def test_no_more_are_planted_than_was_asked_for() -> None:
    assert {len(rows) for rows in planned(table(*exams()), texts=2).values()} <= {1, 2}
