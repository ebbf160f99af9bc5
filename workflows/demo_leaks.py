"""A small benchmark, and a source into which its items leaked in every way that an audit tells apart."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import yaml
from PIL import Image

SIDE_PX = 320
EVALS = "evals"
BENCHMARK = "demo_benchmark"
SOURCE, ORIGIN = "scraped", "atlas"
GRADES = ("exact", "reencoded", "partial", "near_text", "paraphrase", "same_group", "provenance")

_ITEMS: tuple[dict[str, Any], ...] = (
    {"id": "i1", "image": "i1.png", "answer": "a ruptured berry aneurysm",
     "question": "What most likely caused the hyperdense material in the suprasellar cistern of this patient?"},
    {"id": "i2", "image": "i2.png", "answer": "the left renal vein",
     "question": "Which vessel is compressed between the aorta and the superior mesenteric artery in this image?"},
    {"id": "i3", "image": "i3.png", "answer": "osteoid osteoma",
     "question": "Which tumour explains the small lucent nidus with surrounding sclerosis in the femoral cortex?"},
    {"id": "i4", "answer": "Coccidioides immitis",
     "question": "A 34-year-old construction worker from Phoenix has had fever, dry cough and painful red nodules on"
                 " both shins for two weeks. Which organism is most likely responsible?"},
    {"id": "i5", "answer": "Zollinger-Ellison syndrome",
     "question": "A 47-year-old man with recurrent duodenal ulcers has chronic watery diarrhoea, weight loss and"
                 " a fasting gastrin of 1,200 pg/mL. What is the most likely diagnosis?"},
    {"id": "i6", "article": "PMC7700001", "answer": "cyclophosphamide",
     "question": "Which drug was given to the patient with haemorrhagic cystitis whose bladder wall is shown?"},
    {"id": "i7", "answer": "factor XIII",
     "question": "Deficiency of which clotting factor leaves prothrombin time and partial thromboplastin time normal?"},
)  # fmt: skip
_LEAKED: tuple[dict[str, Any], ...] = (
    {"id": "exact", "image": "i1.png", "question": _ITEMS[0]["question"], "answer": _ITEMS[0]["answer"]},
    {"id": "reencoded", "image": "smaller.jpg", "question": "How does the vein run?", "answer": "It is thin."},
    {"id": "partial", "image": "crop.png", "question": "What does the picture show?", "answer": "A bone."},
    {"id": "near_text", "answer": "Coccidioides immitis",
     "question": "A 34-year-old builder from Phoenix has had fever, a dry cough and painful red nodules on both his"
                 " shins for two weeks. Which organism is most likely responsible?"},
    {"id": "paraphrase", "answer": "Zollinger-Ellison syndrome",
     "question": "Duodenal ulcers keep coming back in a man of 47. He has lost weight and also has watery"
                 " diarrhoea that has become chronic, and his gastrin, measured fasting, is 1,200 pg/mL. Name the"
                 " condition."},
    {"id": "same_group", "article": "PMC7700001", "answer": "They resolved within a week of hydration.",
     "question": "How did the urinary symptoms of the second patient of this report develop?"},
    {"id": "free", "answer": "Because sunlight makes it in the skin.",
     "question": "Why do people who work outdoors seldom lack vitamin D?"},
)  # fmt: skip


def plant_leaks(root: Path, recipe: Path) -> None:
    """Add the benchmark, the source and the step to the demo's corpora and recipe; the same bytes every time."""
    _write_benchmark(root / EVALS / BENCHMARK)
    _write_source(root)
    document = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    fields = {"id": "id", "image": "image", "question": "question", "answer": "answer", "article": "article"}
    document["sources"] += [
        {"name": SOURCE, "reader": "jsonl", "path": f"{SOURCE}/*.jsonl", "task": "vqa", "access": "open",
         "fields": fields, "images": SOURCE, "license": "CC-BY-4.0"},
        {"name": ORIGIN, "reader": "jsonl", "path": f"{ORIGIN}/*.jsonl", "task": "text", "access": "open",
         "fields": {"id": "id", "text": "text"}, "license": "CC-BY-4.0"},
    ]  # fmt: skip
    document["steps"]["decontaminate"] = {"against": [BENCHMARK], "drop": list(GRADES), "report": []}
    recipe.write_text(yaml.safe_dump(document, sort_keys=False, width=110), encoding="utf-8")


def _write_benchmark(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number in (1, 2, 3):
        Image.fromarray(_scene(number)).save(folder / f"i{number}.png")
    (folder / "items.jsonl").write_bytes(b"\n".join(orjson.dumps(item) for item in _ITEMS))
    about = {
        "name": BENCHMARK,
        "version": "1",
        "license": "CC0-1.0",
        "reader": "jsonl",
        "path": "items.jsonl",
        "fields": {"id": "id", "images": "image", "question": "question", "answer": "answer", "article": "article"},
        "made_from": [ORIGIN],
    }
    (folder / "evalset.yaml").write_text(yaml.safe_dump(about, sort_keys=False), encoding="utf-8")


def _write_source(root: Path) -> None:
    folder = root / SOURCE
    folder.mkdir(parents=True)
    Image.fromarray(_scene(1)).save(folder / "i1.png")
    Image.fromarray(_scene(2)).resize((240, 240)).save(folder / "smaller.jpg", quality=85)
    Image.fromarray(_scene(3)[40:280, 30:270]).save(folder / "crop.png")
    (folder / "scraped.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in _LEAKED))
    origin = root / ORIGIN
    origin.mkdir(parents=True)
    row = {"id": 1, "text": "A page of the atlas from which the questions of the benchmark were once written."}
    (origin / "pages.jsonl").write_bytes(orjson.dumps(row))


def _scene(seed: int) -> Any:
    """Overlapping discs of many sizes: edges enough to be recognised by."""
    random = np.random.default_rng(7000 + seed)
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    picture = np.full((SIDE_PX, SIDE_PX), 60.0)
    for _ in range(70):
        place, radius = random.uniform(0, SIDE_PX, 2), random.uniform(5, 45)
        picture += random.uniform(-70, 90) * ((y - place[0]) ** 2 + (x - place[1]) ** 2 < radius**2)
    picture += random.normal(0, 1, picture.shape)
    low, high = picture.min(), picture.max()
    return ((picture - low) / (high - low) * 255).astype(np.uint8)
