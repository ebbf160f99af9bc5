"""The same few samples in every form that people keep data in."""

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ROWS: tuple[dict[str, str], ...] = (
    {
        "id": "one",
        "image": "one.png",
        "question": "Which vascular territory of the left cerebral hemisphere shows restricted diffusion here?",
        "answer": "the inferior division of the middle cerebral artery",
    },
    {
        "id": "two",
        "image": "two.png",
        "question": "A 54-year-old fisherman presents with a painless ulcer of the right forearm and nodules along"
        " the lymphatics. Which organism is the likeliest cause?",
        "answer": "Mycobacterium marinum",
    },
    {
        "id": "three",
        "image": "three.png",
        "question": "Which enzyme is deficient in a newborn whose urine smells of burnt sugar?",
        "answer": "branched-chain alpha-ketoacid dehydrogenase",
    },
)


def drawn(seed: int, side: int = 160) -> Image.Image:
    """A picture with edges and levels that no other seed has."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((side, side), np.float64)
    ys, xs = np.mgrid[:side, :side]
    for _ in range(40):
        y, x, r, level = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(4, side / 5), rng.uniform(30, 200)
        canvas += level * ((ys - y) ** 2 + (xs - x) ** 2 < r**2)
    canvas += rng.normal(0, 4, canvas.shape)
    low, high = canvas.min(), canvas.max()
    return Image.fromarray(((canvas - low) / (high - low) * 255).astype(np.uint8))


def write_pictures(root: Path) -> None:
    """`one.png`, `two.png`, `three.png`."""
    root.mkdir(parents=True, exist_ok=True)
    for seed, row in enumerate(ROWS):
        drawn(seed).save(root / row["image"])


def write_csv(root: Path) -> Path:
    """A CSV beside its pictures."""
    write_pictures(root)
    with (root / "data.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)
    return root / "data.csv"


def write_parquet(root: Path) -> Path:
    """Parquet beside its pictures."""
    write_pictures(root)
    pq.write_table(pa.Table.from_pylist(list(ROWS)), root / "data.parquet")
    return root / "data.parquet"


def write_llava(root: Path) -> Path:
    """LLaVA's JSON beside its pictures."""
    write_pictures(root)
    records = [
        {
            "id": row["id"],
            "image": row["image"],
            "conversations": [
                {"from": "human", "value": f"<image>\n{row['question']}"},
                {"from": "gpt", "value": row["answer"]},
            ],
        }
        for row in ROWS
    ]
    (root / "data.json").write_bytes(orjson.dumps(records))
    return root / "data.json"


def write_tars(root: Path) -> Path:
    """A folder with somebody's WebDataset tar."""
    folder = root / "tars"
    folder.mkdir(parents=True)
    with tarfile.open(folder / "000.tar", "w") as tar:
        for seed, row in enumerate(ROWS):
            picture = io.BytesIO()
            drawn(seed).save(picture, "PNG")
            said = orjson.dumps({"question": row["question"], "answer": row["answer"]})
            for name, data in ((f"{row['id']}.json", said), (f"{row['id']}.png", picture.getvalue())):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return folder
