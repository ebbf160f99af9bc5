"""Files of the forms that corpora are published in, written with the plain libraries."""

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

Row = Mapping[str, Any]


def picture(number: int, form: str = "JPEG") -> bytes:
    """A picture of 72 x 80 pixels that no other number has."""
    grey = np.random.default_rng(number).integers(0, 255, (9, 10), np.uint8).repeat(8, 0).repeat(8, 1)
    file = io.BytesIO()
    Image.fromarray(grey).save(file, form)
    return file.getvalue()


def put(path: Path, data: bytes | str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def put_pictures(folder: Path, names: Iterable[str]) -> None:
    """Pictures of these names, PNG or JPEG by their suffix."""
    for number, name in enumerate(names):
        put(folder / name, picture(number, "PNG" if name.endswith(".png") else "JPEG"))


def put_json(path: Path, rows: Any) -> None:
    """A JSON document."""
    put(path, json.dumps(rows, ensure_ascii=False, indent=1))


def put_jsonl(path: Path, rows: Sequence[Row]) -> None:
    """JSON Lines."""
    put(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def csv_text(rows: Sequence[Row], delimiter: str = ",") -> str:
    """CSV with a header."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def put_parquet(path: Path, rows: Sequence[Row]) -> None:
    """Parquet as the Hugging Face hub has it: a column `image` of bytes is a struct of bytes and path."""
    held = [
        {name: {"bytes": value, "path": None} if isinstance(value, bytes) else value for name, value in row.items()}
        for row in rows
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(held), path)


def put_tar(path: Path, members: Mapping[str, bytes]) -> None:
    """A plain tar."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def put_zip(path: Path, members: Mapping[str, bytes]) -> None:
    """A zip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
