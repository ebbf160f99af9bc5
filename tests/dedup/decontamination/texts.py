"""Eval items and samples for tests of the text channel, and what is found."""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa

from dedup.decontamination.items import ITEMS
from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_scan import scan_texts
from dedup.decontamination.text_settings import TextSettings
from sources.schema import SAMPLES

SHARED = Path(os.environ.get("CURATE_SHARED_DATA", "/work/shared/data"))

VIGNETTE = {
    "question": (
        "A 54-year-old fisherman from the Azores has progressive gait instability, bulging eyes and slow saccades. "
        "His father had the same illness. Which repeat expansion is the most likely explanation of his symptoms?"
    ),
    "options": ["CAG in ATXN3", "CGG in FMR1", "GAA in FXN", "CTG in DMPK"],
    "answer": "CAG in ATXN3",
}
ENZYME = {
    "question": "Which enzyme is inhibited by fomepizole in the treatment of ethylene glycol poisoning?",
    "options": ["Alcohol dehydrogenase", "Aldehyde dehydrogenase", "Catalase", "Lactate dehydrogenase"],
    "answer": "Alcohol dehydrogenase",
}
SHORT = {"question": "Which vitamin prevents beriberi?", "answer": "Thiamine", "options": []}
YES_NO = {"question": "Is there a pneumothorax?", "answer": "no", "options": []}
EFFUSION = {
    "question": "Does the radiograph of the newborn with meconium aspiration show a left pleural effusion above 20 ml?",
    "answer": "yes",
    "options": [],
}
BLOOD = {
    "question": "Which disorder of a farmer with weight loss explains leucocytes of 4,800 per mm³ (1%)?",
    "answer": "lymphoma",
    "options": [],
}
INCOME = {
    "question": "What was the average life expectancy of a miner in Cornwall in the year 1850 according to the census?",
    "answer": "28",
    "options": [],
}
TUMOUR = {
    "question": "Which of the following tumours does not arise from the anterior mediastinum of an adult?",
    "answer": "Neurofibroma",
    "options": ["Neurofibroma", "Thymoma", "Teratoma", "Lymphoma"],
}
PASSAGE = {
    "context": (
        "The Kimmelstiel nodules described in nineteen thirty six are eosinophilic acellular deposits at the periphery "
        "of the glomerular tuft and remain a hallmark of advanced nephropathy in patients with long standing disease."
    ),
    "question": "Where in the glomerular tuft do these deposits lie in the biopsies of the cohort?",
    "answer": "At the periphery",
    "options": [],
}
REPORT = {"text": "No acute cardiopulmonary process."}


def items_of(*items: dict[str, Any]) -> pa.Table:
    """ITEMS of some fields each."""
    common = {"eval_set": "exam", "license": "MIT", "access": "open", "digest": "0"}
    rows = [{**common, "eval_id": str(number), **item} for number, item in enumerate(items)]
    return pa.Table.from_pylist(rows, schema=ITEMS)


def sample(*turns: str, **columns: Any) -> dict[str, Any]:
    """A sample of turns in alternating roles."""
    roles = ("user", "assistant")
    return {"turns": [{"role": roles[k % 2], "text": text} for k, text in enumerate(turns)], **columns}


def samples_of(*samples: dict[str, Any] | str) -> pa.Table:
    """SAMPLES; a string is one of one turn."""
    common = {"source": "made", "source_key": "k", "task": "text", "license": "MIT", "access": "open"}
    rows = [
        {**common, "sample_id": f"{number:032x}", **(sample(given) if isinstance(given, str) else given)}
        for number, given in enumerate(samples)
    ]
    return pa.Table.from_pylist(rows, schema=SAMPLES)


ALL = (VIGNETTE, ENZYME, SHORT, YES_NO, EFFUSION, INCOME, TUMOUR, PASSAGE, REPORT)


def hits(*samples: dict[str, Any] | str, items: tuple[dict[str, Any], ...] = ALL) -> list[dict[str, Any]]:
    """TEXT_HITS of samples, with the item's own row as `item`, evidence read."""
    index = TextIndex.of(items_of(*items), TextSettings())
    rows = scan_texts(index, samples_of(*samples)).to_pylist()
    return [{**row, "evidence": json.loads(row["evidence"])} for row in rows]


def grades(*samples: dict[str, Any] | str, items: tuple[dict[str, Any], ...] = ALL) -> list[tuple[int, str]]:
    """Item and grade of every hit that is a finding by itself, or with its answer."""
    return [(hit["item"], hit["grade"]) for hit in hits(*samples, items=items) if hit["alone"] or hit["answer"]]
