"""Findings of every channel and grade, as many as wanted, with the sides they speak of."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
import pyarrow as pa
from PIL import Image

from dedup.decontamination.findings import FINDINGS, finding_id
from dedup.decontamination.grades import Grade
from pipelines.audit.report.sides import Shown, Side, shown
from tests.pipelines.audit.forms import drawn

SETS = ("medqa", "vqa_rad", "slake", "pubmedqa")
SOURCES = ("pmc_oa", "chatdoctor", "roco")
QUESTION = (
    "A {age}-year-old man comes to the emergency department with crushing chest pain that began two hours ago while he"
    " was shovelling snow. His pulse is {pulse} a minute. Which of the following is the most appropriate next step?"
)
SECRET = "ZEBRAFISHSECRET"
"""A word of every text of either side: a page for outsiders must not have it."""
FLAWS = ("<script>document.title='taken over'</script>", "\u202eאבג", "{{ 7 * 7 }}", "</article></main>")


@dataclass
class Made:
    """Rows of FINDINGS, the document of their audit, and both sides of each."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    samples: dict[str, Side] = field(default_factory=dict)
    items: dict[tuple[str, str], Side] = field(default_factory=dict)

    @property
    def table(self) -> pa.Table:
        """FINDINGS."""
        return pa.Table.from_pylist(self.rows, schema=FINDINGS)

    def sample(self, sample_id: str) -> Side | None:
        return self.samples.get(sample_id)

    def item(self, eval_set: str, eval_id: str) -> Side | None:
        return self.items.get((eval_set, eval_id))

    def sample_picture(self, sample_id: str, image_id: str) -> Shown | None:
        return None if self.samples[sample_id].hidden else _picture(int(image_id, 16) % 7, 180)

    def item_picture(self, eval_set: str, eval_id: str, image_id: str) -> Shown | None:
        return None if self.items[eval_set, eval_id].hidden else _picture(int(image_id, 16) % 7, 220)

    def document(self) -> dict[str, Any]:
        """As `contamination.json` has it."""
        grades = [row["grade"] for row in self.rows]
        by_grade = {grade.value: grades.count(grade) for grade in Grade if grade in grades}
        return {
            "format": 1, "curate": "0.1.0", "verdict": "leaks" if self.rows else "clean",
            "reasons": ["3 eval items are in the data at grade near_text or stronger"] if self.rows else [],
            "leaks": 3 if self.rows else 0,
            "policy": {"against": ["/home/someone/evals/medqa"], "fail_on": "near_text", "min_recall": 0.8},
            "data": [{"name": "corpus", "form": "jsonl", "sources": list(SOURCES), "left_out": {".xyz": 2},
                      "inputs": [{"files": 1, "bytes": 12345, "listing": [
                          {"path": "private/path/of.jsonl", "bytes": 12345, "digest": "ab" * 16}]}]}],
            "shards": {"manifest_sha256": "cd" * 32, "build": "b" * 32, "stage": "mid", "shards": 3},
            "items": 4000, "leaked_items": len(self.items), "findings": by_grade, "listed": len(self.rows),
            "eval_sets": {
                name: {"version": "1", "revision": None, "digest": "ef" * 16, "license": "CC-BY-4.0", "access": "open",
                       "split": ["test"], "made_from": ["roco"], "items": 1000, "pictures": 10, "unread": {},
                       "leaked_items": 17, "clean_items": 983, "by_grade": by_grade, "findings_by_channel": {}}
                for name in SETS
            },
            "missing": [{"name": "medxpertqa", "required": False, "fetch": "sign at https://example.org"}],
            "sources": {
                source: {"samples": 123_456, "eval_sets": {
                    "slake": {"items": 12, "by_grade": {"exact": 12}, "made_from_it": source == "roco"}}}
                for source in SOURCES
            },
            "unread": {"roco": {"image.undecodable": 3}},
            "not_covered": ["of 12 pictures with several frames only the middle one"],
            "accepted": {"reason": "public anyway", "who": "Dr. Somebody", "until": "2030-01-01", "expired": False,
                         "everything": False, "findings": [self.rows[0]["finding_id"]] if self.rows else [],
                         "unknown": []},
            "calibration": {
                "image": {"flip": {"planted": 32, "found": 32, "recall": 1.0, "ci95": [0.893, 1.0]},
                          "crop half": {"planted": 32, "found": 24, "recall": 0.75, "ci95": [0.579, 0.867]}},
                "text": {"reworded": {"planted": 200, "found": 181, "recall": 0.905, "ci95": [0.857, 0.938]}},
                "false_positives": {"decoys": 1000, "flagged": 1, "ci95": [0.0, 0.006],
                                    "kinds": {"other patient": {"decoys": 1000, "flagged": 1, "ci95": [0.0, 0.006]}}},
            },
            "probes": {"seed": 0, "pictures": 32, "texts": 200, "modality": "xray", "given": None, "failed": 0,
                       "mean_recall": {"image": 0.875, "text": 0.905}, "eval_sets": {},
                       "flagged": [{"decoy": "other patient", "eval_set": "slake", "eval_id": "7", "taken_for": "9",
                                    "grade": "reencoded", "score": 0.9}]},
            "residual": {"slake": {"image": {"seen": 12, "expected": 1.71, "upper95": 6.0, "recall": 0.875,
                                             "recall_low": 0.78, "recall_of": "eval_set"}}},
            "residual_assumes": "It is assumed that probes resemble real leaks.",
        }  # fmt: skip


def made(count: int, hidden: bool = False) -> Made:
    """So many findings."""
    whole = Made()
    kinds = ((Grade.EXACT, "pair"), (Grade.REENCODED, "image"), (Grade.NEAR_TEXT, "text"), (Grade.PARTIAL, "image"),
             (Grade.PARAPHRASE, "text"), (Grade.SAME_GROUP, "group"), (Grade.TEMPLATE_SIBLING, "text"))  # fmt: skip
    for number in range(count):
        grade, channel = kinds[number % len(kinds)]
        eval_set, source = SETS[number % len(SETS)], SOURCES[number % len(SOURCES)]
        item, sample = f"{eval_set}-{number}", f"{number:032x}"
        question = f"{SECRET} {QUESTION.format(age=30 + number % 50, pulse=90 + number % 30)}"
        flaw = FLAWS[number] if number < len(FLAWS) else ""
        told = f"Note {number}. {flaw} {question.replace('most appropriate', 'best')} Thank you."
        whole.samples[sample] = Side({"turns.0": told}, "CC-BY-4.0", "credentialed" if hidden else "open",
                                     (("article", "PMC123"),), hidden)  # fmt: skip
        whole.items[eval_set, item] = Side({"question": question}, "MIT", "open", (), hidden)
        start = told.index(SECRET)
        whole.rows.append({
            "finding_id": finding_id(channel, eval_set, item, sample), "grade": grade.value, "channel": channel,
            "eval_set": eval_set, "eval_id": item, "sample_id": sample, "source": source,
            "score": None if channel == "group" else round(0.99 - (number % 37) / 100, 4),
            "transform": "crop" if channel == "image" else None,
            "evidence": orjson.dumps(_evidence(channel, number, start, told, question)).decode(),
        })  # fmt: skip
    return whole


def _evidence(channel: str, number: int, start: int, told: str, question: str) -> dict[str, Any]:
    text = {"field": "turns.0", "span_start": start, "span_stop": len(told) - 11, "item_field": "question",
            "item_start": 0, "item_stop": len(question), "alone": True, "answer": number % 2 == 0, "question": True,
            "run": 31, "tokens": 44, "guard": None}  # fmt: skip
    image = {"image_id": f"{number:032x}", "eval_image_id": f"{number:032x}", "inliers": 57,
             "correlation": 0.973, "scale": 1.31, "rotation": 0.0, "mirrored": False, "inverted": False,
             "region": [0.1, 0.2, 0.8, 0.9], "eval_region": [0, 0, 1, 1]}  # fmt: skip
    group: dict[str, Any] = {"kind": "patient", "id": "patient-4711"}
    of: Mapping[str, Any] = {"pair": {"image": image, "text": text}, "image": image, "text": text, "group": group}
    return dict(of[channel])


@cache
def _picture(seed: int, side: int) -> Shown | None:
    file = io.BytesIO()
    image = drawn(seed, side)
    Image.merge("RGB", (image, image, image)).save(file, "PNG")
    return shown(file.getvalue(), 0, 10**8)
