"""A corpus of every kind of sample, made here: drawn pictures, written texts, and pydicom's own DICOM files.

It holds exact duplicates and broken records, so that a build of it shows every verdict there is.
"""

import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

SIDE_PX = 160
DICOM_FILES = ("CT_small.dcm", "MR_small.dcm", "examples_palette.dcm", "rtplan.dcm", "MR_truncated.dcm")
FINDINGS = (
    "a round opacity in the right upper zone",
    "two small calcified nodules at the left base",
    "a thin curved line along the lateral border",
    "no focal opacity and clear costophrenic angles",
    "a wedge-shaped density next to the midline",
    "diffuse fine granularity of both fields",
)


def write_demo_corpus(root: Path) -> Path:
    """Write the corpora under `root` and the recipe beside it; the same bytes every time. Returns the recipe."""
    if root.exists():
        shutil.rmtree(root)
    for write in (_figures, _questions, _reports, _handbook, _notes, _chats, _restricted, _scans):
        write(root)
    recipe = root.parent / "demo.yaml"
    recipe.write_text(yaml.safe_dump(_recipe(), sort_keys=False, width=110), encoding="utf-8")
    return recipe


def _recipe() -> dict[str, Any]:
    return {
        "stage": "mid",
        "context_tokens": 4096,
        "sources": [
            {"name": "figures", "reader": "jsonl", "path": "figures/captions.jsonl", "task": "caption",
             "fields": {"id": "id", "image": "image", "text": "caption", "article": "article",
                        "license": "license"}, "images": "figures", "access": "open"},
            {"name": "questions", "reader": "json", "path": "questions/*.json", "task": "vqa", "access": "open",
             "fields": {"id": "qid", "image": "image", "question": "question", "answer": "answer",
                        "split": "split"}, "images": "questions", "license": "CC0-1.0",
             "split": ["train"]},
            {"name": "reports", "reader": "csv", "path": "reports/reports.csv", "task": "report", "access": "open",
             "fields": {"id": "uid", "indication": "indication", "findings": "findings",
                        "impression": "impression", "patient": "patient"},
             "license": "CC-BY-4.0"},
            {"name": "handbook", "reader": "jsonl", "path": "handbook/*.jsonl", "task": "text_qa", "access": "open",
             "fields": {"id": "id", "question": "question", "options": "options", "answer": "answer"},
             "license": "CC-BY-4.0"},
            {"name": "notes", "reader": "parquet", "path": "notes/notes.parquet", "task": "text", "access": "open",
             "fields": {"id": "note_id", "text": "body"}, "license": "CC-BY-SA-4.0"},
            {"name": "chats", "reader": "llava", "path": "chats/chats.json", "task": "dialogue", "access": "open",
             "fields": {"id": "id", "image": "image", "conversations": "conversations"}, "images": "figures",
             "license": "CC-BY-4.0"},
            {"name": "restricted", "reader": "jsonl", "path": "restricted/*.jsonl", "task": "text",
             "fields": {"id": "id", "text": "text"}, "license": "CC-BY-NC-4.0", "access": "gated"},
            {"name": "scans", "reader": "dicom", "path": "scans", "task": "caption", "access": "open",
             "fields": {"image": "image", "text": "caption"}, "identifiers": "public", "license": "MIT"},
        ],
        "steps": {
            "license": {"access": ["open", "noncommercial"], "forbidden": ["CC-BY-ND-4.0"]},
            "tokens": {"min": 10, "max": 1024, "per_task": {
                "vqa": {"min": 1, "max": 1024}, "text_qa": {"min": 1, "max": 1024},
                "caption": {"min": 4, "max": 256}}},
        },
    }  # fmt: skip


def _figures(root: Path) -> None:
    folder = root / "figures"
    folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    for number in range(12):
        picture, name = _phantom(number), f"PMC{1000 + number}_Fig1.png"
        Image.fromarray(picture).save(folder / name)
        rows.append(_caption(f"f{number}", name, f"Chest phantom with {FINDINGS[number % 6]}.", 1000 + number))
    Image.fromarray(_phantom(0)).save(folder / "copy.bmp")
    Image.fromarray(_phantom(1)).save(folder / "resaved.jpg", quality=85)
    rows += [
        _caption("resaved", "resaved.jpg", f"Chest phantom with {FINDINGS[1]}.", 1001),
        _caption("same_pixels", "copy.bmp", f"Chest phantom with  {FINDINGS[0]}.", 1000),
        _caption(
            "same_picture_other_text", "PMC1001_Fig1.png", "A drawn chest with bright ribs and dark fields.", 1001
        ),
        _caption("missing", "never_downloaded.png", "A picture that was not downloaded.", 1020),
        _caption(
            "no_derivatives", "PMC1002_Fig1.png", "Drawn under a licence without derivatives.", 1002, "CC BY-ND 4.0"
        ),
        _caption("no_text", "PMC1003_Fig1.png", "", 1003),
        _caption("outside", "../../etc/passwd", "A path that leads out of the corpus.", 1021),
    ]
    broken: dict[str, Callable[[], bytes]] = {
        "blank.png": lambda: _png(np.full((SIDE_PX, SIDE_PX), 255, np.uint8)),
        "tiny.png": lambda: _png(_phantom(3)[:32, :32]),
        "truncated.png": lambda: _png(_phantom(4))[:900],
        "page.jpg": lambda: b"<html><body>404 Not Found</body></html>",
        "bomb.png": lambda: _bomb(60_000),
    }
    for name, make in broken.items():
        (folder / name).write_bytes(make())
        rows.append(_caption(name.split(".")[0], name, f"A figure whose file is {name}.", 1030))
    lines = [orjson.dumps(row) for row in rows]
    lines[3:3] = [b'{"id": "cut_off", "image": "PMC1003', b'{"id": "latin1", "caption": "\xe9chographie"}']
    (folder / "captions.jsonl").write_bytes(b"\n".join(lines) + b"\n")


def _caption(name: str, image: str, text: str, article: int, license_name: str = "CC BY 4.0") -> dict[str, Any]:
    return {"id": name, "image": image, "caption": text, "article": f"PMC{article}", "license": license_name}


def _questions(root: Path) -> None:
    folder = root / "questions"
    folder.mkdir(parents=True)
    rows = []
    for number in range(8):
        name = f"film{number // 2}.jpg"
        Image.fromarray(_phantom(20 + number // 2)).save(folder / name, quality=90)
        question = ("Is there a pneumothorax?", "Which side shows the opacity?")[number % 2]
        rows.append({"qid": number, "image": name, "question": question, "answer": ("No", "Right")[number % 2],
                     "split": "train"})  # fmt: skip
    rows.append({**rows[0], "qid": 100})
    rows.append({**rows[1], "qid": 101, "split": "test"})
    (folder / "questions.json").write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2))


def _reports(root: Path) -> None:
    folder = root / "reports"
    folder.mkdir(parents=True)
    rows = ["uid,patient,indication,findings,impression"]
    for number in range(6):
        finding = FINDINGS[number].capitalize()
        rows.append(f'{number},p{number // 2},"Cough, day {number + 2}","{finding}.\nHeart size is normal.",No change.')
    rows.append('6,p3,"Cough, day 2","' + FINDINGS[0].capitalize() + '.\nHeart size is normal.",No change.')
    rows.append("7,p4,Fever,,")
    rows.append("8,p4,Fever,too,many,fields")
    (folder / "reports.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _handbook(root: Path) -> None:
    folder = root / "handbook"
    folder.mkdir(parents=True)
    rows = [
        {"id": number, "question": f"Which unit is used for quantity {number} in this handbook?",
         "options": {"A": "millimetre", "B": "litre", "C": "hertz"}, "answer": "ABC"[number % 3]}
        for number in range(6)
    ]  # fmt: skip
    rows.append({**rows[0], "id": 60, "question": "Which unit is used for QUANTITY 0 in this  handbook?"})
    (folder / "units.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in rows))


def _notes(root: Path) -> None:
    folder = root / "notes"
    folder.mkdir(parents=True)
    bodies = [
        f"Note {number}: the phantom was scanned with {number + 1} mm slices, and {finding} was drawn by hand."
        for number, finding in enumerate(FINDINGS)
    ]
    bodies += ["Too short.", "This sentence is repeated until the note is too long. " * 200, bodies[0],
               bodies[1].replace("by hand", "carefully by hand")]  # fmt: skip
    table = pa.table({"note_id": [f"n{number}" for number in range(len(bodies))], "body": bodies})
    pq.write_table(table, folder / "notes.parquet")


def _chats(root: Path) -> None:
    folder = root / "chats"
    folder.mkdir(parents=True)
    rows = []
    for number, spelling in enumerate(("conversations", "conversatons")):
        talk = [
            {"from": "human", "value": "<image>\nWhat was drawn here, and how can one tell?"},
            {"from": "gpt", "value": f"A chest phantom with {FINDINGS[number]}; the outline is an ellipse."},
        ]
        rows.append({"id": f"chat{number}", "image": f"PMC{1000 + number}_Fig1.png", spelling: talk})
    (folder / "chats.json").write_bytes(orjson.dumps(rows))


def _restricted(root: Path) -> None:
    folder = root / "restricted"
    folder.mkdir(parents=True)
    row = {"id": 1, "text": "This text may only be used by people who have signed an agreement with its owner."}
    (folder / "gated.jsonl").write_bytes(orjson.dumps(row))


def _scans(root: Path) -> None:
    """CT, MR and palette pictures, a file without pixels and a truncated one, as pydicom ships them."""
    from pydicom.data import get_testdata_file

    folder = root / "scans"
    folder.mkdir(parents=True)
    for name in DICOM_FILES:
        found = get_testdata_file(name, download=False)
        if isinstance(found, str):
            shutil.copyfile(found, folder / name)
    if (folder / "CT_small.dcm").exists():
        shutil.copyfile(folder / "CT_small.dcm", folder / "CT_small_again.dcm")
    (folder / "notes.dcm").write_text("FORMAT: this is no DICOM file\n", encoding="utf-8")


def _phantom(seed: int) -> npt.NDArray[np.uint8]:
    """A drawn chest: two dark fields in a bright body, ribs, and one opacity whose place the seed chooses."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:160j, -1:1:160j]
    body = (x / 0.9) ** 2 + (y / 0.95) ** 2 < 1
    fields = (((np.abs(x) - 0.4) / 0.28) ** 2 + (y / 0.7) ** 2) < 1
    picture = 20 + 150 * body - 110 * (fields & body) + 12 * np.sin(18 * y + 3 * x**2) * fields
    place = random.uniform(-0.5, 0.5, 2)
    picture += 70 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / random.uniform(0.004, 0.02))
    picture += random.normal(0, 4, picture.shape)
    drawn: npt.NDArray[np.uint8] = np.clip(picture, 0, 255).astype(np.uint8)
    return drawn


def _png(picture: npt.NDArray[np.uint8]) -> bytes:
    """A PNG made by hand, so that it can be cut and lied in."""
    height, width = picture.shape
    raw = b"".join(b"\0" + row.tobytes() for row in picture)
    return _png_of(width, height, zlib.compress(raw, 6))


def _bomb(side: int) -> bytes:
    """A small PNG that claims `side` x `side` pixels."""
    return _png_of(side, side, zlib.compress(bytes(1000), 9))


def _png_of(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
