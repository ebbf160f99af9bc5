"""Eval items for the probes of tests: long and short questions, reports, and one that many sets ask."""

from typing import Any

import pyarrow as pa

from dedup.decontamination.items import ITEMS

TOPICS = (
    ("ossification of the thyroid cartilage", "laryngeal chondrosarcoma"),
    ("calcification of the pineal gland", "germinoma"),
    ("cavitation of the apical segment", "reactivated tuberculosis"),
    ("thickening of the duodenal folds", "giardiasis"),
    ("widening of the acromioclavicular joint", "ligament rupture"),
    ("dilatation of the azygos vein", "caval thrombosis"),
    ("erosion of the odontoid process", "rheumatoid pannus"),
    ("herniation of the cerebellar tonsils", "Chiari malformation"),
)  # fmt: skip


def item(name: str, eval_set: str = "exams", **more: Any) -> dict[str, Any]:
    """A row of ITEMS."""
    empty = {field.name: None for field in ITEMS}
    return {
        **empty,
        "eval_set": eval_set,
        "eval_id": name,
        "license": "CC0-1.0",
        "access": "open",
        "digest": name,
        **more,
    }


def exams() -> list[dict[str, Any]]:
    """Eight questions of about twenty words, with options."""
    answers = tuple(answer for _, answer in TOPICS)
    return [
        item(
            f"q{number}",
            question=f"A {41 + number}-year-old farmer has had hoarseness without fever for {number + 2} weeks, and"
            f" the left lateral film shows {topic} beside an old scar. Which disease is most likely?",
            options=[answer, answers[(number + 1) % 8], answers[(number + 3) % 8]],
            answer=answer,
        )
        for number, (topic, answer) in enumerate(TOPICS)
    ]


def stock() -> list[dict[str, Any]]:
    """Questions about pictures that say nothing by themselves."""
    return [
        item("s0", "pictures", question="Is there an effusion?", answer="yes"),
        item("s1", "pictures", question="Which organ is shown here?", answer="the liver"),
    ]


def table(*rows: dict[str, Any]) -> pa.Table:
    """ITEMS."""
    return pa.Table.from_pylist(list(rows), schema=ITEMS)
