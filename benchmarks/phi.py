"""Identifiers: what is found of planted ones, what is found where there is none, and at what speed.

    python -m benchmarks.phi [texts] [captions] [speed]

Planted texts are made by the tests' generators; real captions and pictures are those of CURATE_SHARED_DATA
(default /work/shared/data). Values of real pictures and texts are not printed.
"""

import argparse
import csv
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dedup.decontamination.calibration.intervals import wilson
from filters.burned_in import writing_in
from filters.ocr import read_writing
from filters.phi_model import model_is_installed
from filters.phi_names import model_spans, rule_spans
from filters.phi_spans import redacted
from filters.phi_text import Names, find
from sources.pictures.metadata import ContainerError, metadata_of, without_metadata
from tests.filters.planted_names import planted_names
from tests.filters.planted_texts import Planted, planted_texts

SHARED = Path(os.environ.get("CURATE_SHARED_DATA", "/work/shared/data"))
GROUNDS = (
    "brain_mri_sartaj",
    "covid_chestxray_copy",
    "cvc612_polyp",
    "busi",
    "ph2_dermoscopy",
    "biomedparse_demo",
    "bccd",
)
LARGEST_SIDE = 1200


def main() -> None:
    """Run what is asked for, or all."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("parts", nargs="*", default=list(_PARTS))
    given = arguments.parse_args()
    for part in given.parts:
        print(json.dumps({part: _PARTS[part]()}, indent=1), flush=True)


def texts() -> dict[str, Any]:
    """Recall by kind on 1,000 planted reports, on 2 x 600 notes, and on the invented names of ACI-Bench's own."""
    kinds: tuple[Names, ...] = ("rules", "model") if model_is_installed() else ("rules",)
    cases: dict[str, Callable[[str], str]] = {"as written": str, "capitals": str.upper, "lower case": str.lower}
    return {
        names: {case: _planted(planted_texts(1000, 0), names, change) for case, change in cases.items()}
        | {
            f"notes of the {half} half, {case}": _planted(planted_names(600, 5, held_out=held_out), names, change)
            for half, held_out in (("first", False), ("held-out", True))
            for case, change in cases.items()
        }
        | {"aci_bench_names": _aci_bench(names)}
        for names in kinds
    }


def _planted(texts_: Sequence[Planted], names: Names, change: Callable[[str], str]) -> dict[str, Any]:
    planted, found = Counter[str](), Counter[str]()
    for one in texts_:
        written = change(one.text)
        text = redacted(written, find([written], names)[0])
        for kind, value in one.values:
            planted[kind] += 1
            found[kind] += not is_left(text, kind, change(value))
    return {kind: share(found[kind], planted[kind]) for kind in sorted(planted)}


def is_left(text: str, kind: str, value: str) -> bool:
    """Whether a planted value, or a word of a name, is still there."""
    words = re.split(r"[\s^,]+", value) if kind == "name" else [value]
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) for word in words if len(word) > 1)


def _aci_bench(names: Names) -> dict[str, Any]:
    """Of the notes and dialogues in which a name of the metadata stands, those in which none is left."""
    folder = SHARED / "text/text_aci_bench/data/challenge_data"
    seen = clean = 0
    for path in sorted(folder.glob("*_metadata.csv")):
        metadata = {row["encounter_id"]: row for row in csv.DictReader(path.open(encoding="utf-8"))}
        for row in csv.DictReader(path.with_name(path.name.replace("_metadata", "")).open(encoding="utf-8")):
            told = metadata.get(row["encounter_id"], {})
            said = " ".join(told.get(name) or "" for name in ("doctor_name", "patient_firstname", "patient_familyname"))
            words = [word for word in re.findall(r"[A-Za-z]+", said) if len(word) > 2]
            for text in (row.get("note") or "", row.get("dialogue") or ""):
                there = [word for word in words if re.search(rf"\b{word}\b", text, re.IGNORECASE)]
                if there:
                    seen += 1
                    left = redacted(text, find([text], names)[0])
                    clean += not any(re.search(rf"\b{word}\b", left, re.IGNORECASE) for word in there)
    return share(clean, seen)


def captions() -> dict[str, Any]:
    """How many real captions and reports are touched, by kind; dates and names in them may be true."""
    kinds: tuple[Names, ...] = ("rules", "model") if model_is_installed() else ("rules",)
    sets = {"roco": _roco(3000), "indiana": _indiana(1000)}
    return {f"{name} {names}": _touched(texts_, names) for name, texts_ in sets.items() if texts_ for names in kinds}


def _touched(texts_: Sequence[str], names: Names) -> dict[str, Any]:
    touched, kinds = 0, Counter[str]()
    started = time.perf_counter()
    for text in texts_:
        spans = find([text], names)[0]
        touched += bool(spans)
        kinds.update({span.kind for span in spans})
    seconds = time.perf_counter() - started
    return {"texts": len(texts_), **share(touched, len(texts_)), "by_kind": dict(sorted(kinds.items()))} | {
        "characters_per_s": round(sum(map(len, texts_)) / seconds)
    }


def _roco(number: int) -> list[str]:
    paths = [SHARED / f"text/caption_roco/data/{part}/radiology/captions.txt" for part in ("validation", "test")]
    lines = [line for path in paths if path.is_file() for line in path.read_text(encoding="utf-8").splitlines()]
    found = [line.partition("\t")[2].strip() for line in lines]
    return random.Random(1).sample(found, min(number, len(found)))


def _indiana(number: int) -> list[str]:
    path = SHARED / "text/caption_indiana_reports/indiana_reports.csv"
    rows = list(csv.DictReader(path.open(encoding="utf-8"))) if path.is_file() else []
    return [f"{row['findings']} {row['impression']}" for row in rows[:number]]


def speed() -> dict[str, Any]:
    """Each part by itself, on one core."""
    plain = [one.text for one in planted_texts(300, 1)]
    characters = sum(map(len, plain))
    paths = [path for name in GROUNDS for path in _pictures_of(name)[:12]]
    greys = [grey_of_file(path) for path in paths]
    files = [path.read_bytes() for path in paths]
    read_writing(greys[0], 60)
    found = {
        "rules, characters/s": characters / _timed(lambda: [list(rule_spans(text)) for text in plain]),
        "all of text without the model, characters/s": characters
        / _timed(lambda: [find([text], "rules") for text in plain]),
        "detector, pictures/s": len(greys) / _timed(lambda: [writing_in(grey) for grey in greys]),
        "reader, pictures/s": 12 / _timed(lambda: [read_writing(grey, 60) for grey in greys[::7][:12]]),
        "metadata taken out, MB/s": sum(map(len, files)) / 1e6 / _timed(lambda: [_stripped(data) for data in files]),
    }
    if model_is_installed():
        list(model_spans("Jane Doe was here"))
        found["model, characters/s"] = characters / _timed(lambda: [list(model_spans(text)) for text in plain])
    return {name: round(value, 1) for name, value in found.items()}


def _stripped(data: bytes) -> bytes:
    try:
        metadata_of(data)
        return without_metadata(data)
    except ContainerError:
        return data


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _pictures_of(name: str) -> list[Path]:
    return sorted(small_enough(SHARED / "images" / name))


def small_enough(folder: Path) -> Iterator[Path]:
    """Pictures of a folder that are not too large to be read often."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png"):
            with Image.open(path) as image:
                if max(image.size) <= LARGEST_SIDE:
                    yield path


def grey_of_file(path: Path) -> Any:
    """H x W grey values."""
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def share(found: int, of: int) -> dict[str, Any]:
    """A share with its 95 % interval (Wilson)."""
    low, high = wilson(found, of)
    return {"found": found, "of": of, "share": round(found / max(of, 1), 4), "ci95": [round(low, 4), round(high, 4)]}


_PARTS = {"texts": texts, "captions": captions, "speed": speed}

if __name__ == "__main__":
    main()
