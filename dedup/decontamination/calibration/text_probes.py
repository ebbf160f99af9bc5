"""Planted texts, looked up as samples are."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from dedup.decontamination.assemble import RANK, Wordings, assembled
from dedup.decontamination.calibration.choosing import REPORT, SIBLING, STOCK, original_of, random_of
from dedup.decontamination.calibration.outcomes import LEAK
from dedup.decontamination.calibration.text_decoys import SIBLINGS, normal_report, stock_question
from dedup.decontamination.calibration.text_edits import EDITS, Written
from dedup.decontamination.grades import Grade
from dedup.decontamination.groups import GROUP_HITS
from dedup.decontamination.pictures import PICTURE_HITS
from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_scan import scan_texts
from sources.schema import SAMPLES

NO_ITEM = -1
_READ = ("turns", "images", "groups", "question", "answer", "meta")
_SHOWN = pa.schema([("picture", pa.int32()), ("image_id", pa.string()), ("items", pa.list_(pa.int32()))])
"""What of EVAL_PICTURES putting findings together needs."""


def text_outcomes(
    index: TextIndex, items: pa.Table, wordings: Wordings, plan: Sequence[Mapping[str, Any]], seed: int
) -> list[dict[str, Any]]:
    """OUTCOMES of rows of a plan, in its order. `items`: ITEMS; `wordings` as `assembled` takes them."""
    own = {row["item"]: items.slice(row["item"], 1).to_pylist()[0] for row in plan if row["item"] != NO_ITEM}
    written = [_written(row, own.get(row["item"]), seed) for row in plan]
    shown = [["elsewhere"] if row["transform"] == STOCK else [] for row in plan]
    found = found_in(index, wordings, written, shown, PICTURE_HITS.empty_table(), _SHOWN.empty_table())
    return [outcome(row, own.get(row["item"]), hits) for row, hits in zip(plan, found, strict=True)]


def found_in(
    index: TextIndex, wordings: Wordings, written: Sequence[Written], images: Sequence[Sequence[str]],
    picture_hits: pa.Table, pictures: pa.Table,
) -> list[list[dict[str, Any]]]:  # fmt: skip
    """What is found in each sample of its content: rows of FOUND up to `paraphrase`, the strongest first."""
    hits = scan_texts(index, samples_of(written, images))
    table = assembled(images, hits, picture_hits, pictures, GROUP_HITS.empty_table(), index.alike, wordings)
    by_row: list[list[dict[str, Any]]] = [[] for _ in written]
    for row in sorted(table.to_pylist(), key=lambda row: (RANK[row["grade"]], row["item"])):
        if RANK[row["grade"]] <= RANK[Grade.PARAPHRASE]:
            by_row[row["row"]].append(row)
    return by_row


def samples_of(written: Sequence[Written], images: Sequence[Sequence[str]]) -> pa.Table:
    """The samples as a scan reads them."""
    rows = [
        {
            "turns": [{"role": role, "text": text} for role, text in one.turns],
            "images": [{"image_id": name, "uri": "", "frame": 0} for name in names],
            "groups": [],
            "question": one.question,
            "answer": one.answer,
            "meta": None,
        }
        for one, names in zip(written, images, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema([SAMPLES.field(name) for name in _READ]))


def outcome(
    row: Mapping[str, Any], item: Mapping[str, Any] | None, hits: Sequence[Mapping[str, Any]], eval_set: str = ""
) -> dict[str, Any]:
    """Of one probe: found as its item, or a decoy taken for it (or, where it is made of none, for any)."""
    best = next((hit for hit in hits if row["item"] in (hit["item"], NO_ITEM)), None)
    told = {name: row[name] for name in ("kind", "channel", "transform", "item")}
    told["eval_set"] = eval_set if item is None else item["eval_set"]
    if best is None:
        return {**told, "found": False, "grade": None, "score": None, "other": NO_ITEM}
    other = NO_ITEM if row["kind"] == LEAK else best["item"]
    return {**told, "found": True, "grade": best["grade"], "score": best["score"], "other": other}


def _written(row: Mapping[str, Any], item: Mapping[str, Any] | None, seed: int) -> Written:
    name = row["transform"]
    if item is None:
        return normal_report(random_of(seed, REPORT, row["number"]))
    original = original_of(item)
    rng = random_of(seed, f"{item['eval_set']}\0{item['eval_id']}", name)
    if name == STOCK:
        return stock_question(original, rng)
    edit = SIBLINGS[name.removeprefix(SIBLING)] if name.startswith(SIBLING) else EDITS[name]
    made = edit(original, rng)
    assert made is not None, "the plan holds only what the edit can be made of"
    return made
