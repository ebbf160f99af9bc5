"""Each reader against the plain library on the same file: `python -m benchmarks.readers [--records N]`.

Side by side in one process, no pictures decoded, the median of three rounds. The library gives what a step needs, rows
of Python: `pyarrow.json.read_json(...)` and `pq.read_table(...)` with `to_pylist()`, `json.loads`, `csv.DictReader`,
`tarfile` with its members in memory and their JSON parsed. `columns` is pyarrow without rows, for scale. `plan` cuts
and hashes the file, once as long as it does not change; `read` checks the hashes and gives the records, which is what a
build does each time; `samples` also maps them to rows of the samples table. Goal: `read` at most 1.5 x the library.
"""

import argparse
import csv
import io
import json
import random
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq
import pydicom
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array

from sources.cards import Card, Layout
from sources.find import find_corpus
from sources.identity import Identity
from sources.mapping import Prompts, to_sample
from sources.pictures import decode, sniff
from sources.readers.registry import reader_named
from sources.records import Corpus, Fragment, Record
from sources.storage import LocalFolder

ROUNDS = 3
GOAL = 1.5
FIELDS = {"id": "id", "text": "caption", "image": "image", "article": "pmcid"}
WORDS = [
    "axial",
    "contrast",
    "enhanced",
    "computed",
    "tomography",
    "of",
    "the",
    "chest",
    "shows",
    "a",
    "nodule",
    "with",
]


def rows_of(count: int) -> list[dict[str, Any]]:
    """Captions of some 60 words, as PMC-OA's are, with the columns it has."""
    rng = random.Random(0)
    return [
        {
            "id": f"r{n}", "image": f"PMC{n // 7}_Fig{n % 7}_1.jpg", "pmcid": f"PMC{n // 7}", "url_name": "fig.jpg",
            "caption": " ".join(rng.choices(WORDS, k=60)) + (' "quoted", é' if n % 5 == 0 else "") + f" {n}.",
        }
        for n in range(count)
    ]  # fmt: skip


def corpus_of(reader: str, folder: Path, pattern: str, **card: Any) -> Corpus:
    """The corpus that the files of a pattern are."""
    made = Card(name="bench", reader=reader, layout=Layout(files=(pattern,)), task="caption", access="open",
                fields=card.pop("fields", FIELDS), **card)  # fmt: skip
    corpus = find_corpus(made, "bench", [LocalFolder(folder)], Identity("bench"))
    assert corpus is not None
    return corpus


def planned(corpus: Corpus) -> list[Fragment]:
    """The fragments of a corpus."""
    return list(reader_named(corpus.card.reader).plan(corpus, corpus.files))


def read(corpus: Corpus, fragments: list[Fragment]) -> int:
    """Read every record."""
    reader = reader_named(corpus.card.reader)
    return sum(1 for fragment in fragments for _ in reader.read(corpus, fragment))


def sampled(corpus: Corpus, fragments: list[Fragment]) -> int:
    """The same, and every record as a row of the samples table."""
    reader, prompts, count = reader_named(corpus.card.reader), Prompts(caption=("Describe.",)), 0
    for fragment in fragments:
        for record in reader.read(corpus, fragment):
            assert isinstance(record, Record)
            count += bool(to_sample(corpus, fragment.path, record, prompts)["turns"])
    return count


def tarred(path: Path) -> int:
    """Samples of a tar by `tarfile`: members read, JSON parsed."""
    count = 0
    with tarfile.open(path) as tar:
        for member in tar:
            data = tar.extractfile(member).read()  # type: ignore[union-attr]
            count += bool(member.name.endswith(".json") and json.loads(data))
    return count


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    """The same rows in every form; in the tar each with 20 kB that stand for its picture."""
    (folder / "a.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    (folder / "a.json").write_text(json.dumps(rows, ensure_ascii=False))
    with (folder / "a.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet", row_group_size=10_000)
    picture = random.Random(1).randbytes(20_000)
    few = rows[: len(rows) // 10]
    held = [{**row, "image": {"bytes": picture, "path": None}} for row in few]
    pq.write_table(pa.Table.from_pylist(held), folder / "pictures.parquet", row_group_size=100, use_dictionary=False)
    with tarfile.open(folder / "a.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for n, row in enumerate(few):
            members = ((f"{n:09}.jpg", picture), (f"{n:09}.json", json.dumps(row).encode()))
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def timed(work: Callable[[], int]) -> tuple[float, int]:
    """Median seconds of some rounds, and how many records there were."""
    seconds, count = [], 0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        count = work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), count


def cases(folder: Path) -> dict[str, tuple[Callable[[], int], Callable[[], int] | None, Corpus]]:
    """By reader: the library's rows, the library's columns, and the corpus."""
    jsonl, csv_path, parquet = folder / "a.jsonl", folder / "a.csv", folder / "a.parquet"
    pictures, tar = folder / "pictures.parquet", folder / "a.tar"

    def by_csv() -> int:
        with csv_path.open(newline="", encoding="utf-8") as file:
            return sum(1 for _ in csv.DictReader(file))

    inside = {"id": "id", "text": "caption", "image": "image"}
    return {
        "jsonl": (
            lambda: len(pa_json.read_json(jsonl).to_pylist()),
            lambda: pa_json.read_json(jsonl).num_rows,
            corpus_of("jsonl", folder, "a.jsonl"),
        ),
        "json": (lambda: len(json.loads((folder / "a.json").read_bytes())), None, corpus_of("json", folder, "a.json")),
        "csv": (by_csv, lambda: pa_csv.read_csv(csv_path).num_rows, corpus_of("csv", folder, "a.csv")),
        "parquet": (
            lambda: len(pq.read_table(parquet).to_pylist()),
            lambda: pq.read_table(parquet).num_rows,
            corpus_of("parquet", folder, "a.parquet"),
        ),
        "parquet with pictures": (
            lambda: len(pq.read_table(pictures).to_pylist()),
            lambda: pq.read_table(pictures).num_rows,
            corpus_of("parquet", folder, "pictures.parquet", fields=inside),
        ),
        "webdataset": (
            lambda: tarred(tar), None, corpus_of("webdataset", folder, "a.tar", fields={**inside, "image": "jpg"}),
        ),
    }  # fmt: skip


def compare_dicom(folder: Path) -> None:
    """Print how many DICOM files of a folder are shown a second, and how many by pydicom, of those that both decode."""
    files, shown, refused = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()], [], 0
    for data in files:
        if sniff(data) != "dicom":
            continue
        try:
            decode(data)
            by_pydicom(data)
        except Exception:  # noqa: BLE001 - what either refuses is counted, whatever it is
            refused += 1
        else:
            shown.append(data)
    library, _ = timed(lambda: sum(bool(by_pydicom(data) is not None) for data in shown))
    own, _ = timed(lambda: sum(bool(decode(data)) for data in shown))
    rates = f"{len(shown) / library:.0f} files a second by pydicom, {len(shown) / own:.0f} here"
    print(f"dicom: {len(shown)} files that both show, {refused} others: {rates}, {own / library:.2f}x its time")


def by_pydicom(data: bytes) -> Any:
    """The first frame as pydicom displays it."""
    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    pixels = pixel_array(dataset, index=0)
    if dataset.PhotometricInterpretation in ("MONOCHROME1", "MONOCHROME2"):
        return apply_voi_lut(apply_modality_lut(pixels, dataset), dataset)
    return pixels


def main() -> None:
    """Print a line a reader."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--dicom", type=Path, help="also compare the decoding of the DICOM files in this folder")
    options = parser.parse_args()
    if options.dicom:
        compare_dicom(options.dicom)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write(folder, rows_of(options.records))
        print(
            f"{'reader':<22}{'records':>9}{'library':>10}{'columns':>10}{'plan':>9}{'read':>9}{'ratio':>8}{'samples':>9}"
        )
        for name, (rows, columns, corpus) in cases(folder).items():
            if options.only not in name:
                continue
            fragments = planned(corpus)
            library, count = timed(rows)
            bare = "" if columns is None else f"{timed(columns)[0]:.2f} s"
            plan, _ = timed(partial(lambda one: len(planned(one)), corpus))
            own, own_count = timed(partial(read, corpus, fragments))
            whole, _ = timed(partial(sampled, corpus, fragments))
            assert own_count == count, (name, own_count, count)
            above = "" if own <= GOAL * library else "  above the goal"
            seconds = f"{plan:7.2f} s{own:7.2f} s{own / library:7.2f}x{whole:7.2f} s"
            print(f"{name:<22}{count:>9}{library:>8.2f} s{bare:>10}{seconds}{above}")


if __name__ == "__main__":
    main()
