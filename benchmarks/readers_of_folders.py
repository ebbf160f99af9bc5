"""Readers of archives, XML, folders and saved sets: `python -m benchmarks.readers_of_folders`.

Against the plain library on the same files, with the goal of `benchmarks.readers`: `read` at most 1.5 x its time. The
library: `tarfile` and `zipfile` with members in memory, Arrow, `datasets` and `json.loads` with rows of Python,
`ElementTree` with the columns that are wanted, `pydicom.dcmread` without pixels, and of folders of pictures
`csv.DictReader` with a look at each file. MedQuAD and DICOM are the real files of `--data`; articles and citations are
generated, because some real ones take hundredths of a second.
"""

import argparse
import csv
import gzip
import json
import re
import tempfile
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pydicom

from benchmarks.articles import by_jats, put_articles
from benchmarks.readers import GOAL, WORDS, corpus_of, planned, read, rows_of, tarred, timed, write
from sources.records import Corpus

Case = tuple[Callable[[], int], Corpus]
PUBMED_COLUMNS = ("PMID", "Article/Language", "Article/Journal/Title", "Article/Journal/JournalIssue/PubDate/Year")
INSIDE = {"id": "id", "text": "caption", "image": "image"}


def put_more(folder: Path, rows: list[dict[str, Any]]) -> None:
    """The rows in the forms that `benchmarks.readers` does not write."""
    turns = [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": rows[0]["caption"]}]
    llava = [{"id": row["id"], "image": row["image"], "conversations": turns} for row in rows]
    (folder / "llava.json").write_text(json.dumps(llava))
    (folder / "columns.json").write_text(json.dumps({key: {row["id"]: row[key] for row in rows} for key in rows[0]}))
    table = pa.Table.from_pylist(rows)
    (folder / "saved").mkdir()
    with pa.ipc.new_stream(folder / "saved/data-00000-of-00001.arrow", table.schema) as sink:
        sink.write_table(table, 1000)
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": "train", "_fingerprint": "0"}
    (folder / "saved/state.json").write_text(json.dumps(state))
    (folder / "saved/dataset_info.json").write_text("{}")
    (folder / "a.tgz").write_bytes(gzip.compress((folder / "a.tar").read_bytes(), 1))
    few, pictures = rows[: len(rows) // 10], folder / "pictures"
    pictures.mkdir()
    for row in few:
        (pictures / row["image"]).write_bytes(row["image"].encode() * 500)
    listed = [{"file_name": row["image"], "caption": row["caption"], "id": row["id"]} for row in few]
    with (pictures / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(listed[0]))
        writer.writeheader()
        writer.writerows(listed)
    with zipfile.ZipFile(folder / "pictures.zip", "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(pictures.iterdir()):
            archive.write(path, path.name)


def by_zip(path: Path) -> int:
    """Members of a zip by `zipfile`, unpacked in memory."""
    with zipfile.ZipFile(path) as archive:
        return sum(bool(archive.read(name)) for name in archive.namelist())


def by_folder(folder: Path) -> int:
    """Rows of a folder's metadata, each with its picture looked at."""
    with (folder / "metadata.csv").open(newline="") as file:
        return sum((folder / row["file_name"]).stat().st_size > 0 for row in csv.DictReader(file))


def by_arrow(path: Path) -> int:
    """The same by Arrow alone, as `benchmarks.readers` reads Parquet."""
    with pa.ipc.open_stream(path) as stream:
        return len(stream.read_all().to_pylist())


def by_datasets(path: Path) -> int:
    """Rows of a file of a saved set, all at once, which is its library's fastest way to them."""
    return len(datasets.Dataset.from_file(str(path)).to_list())


def by_columns(path: Path) -> int:
    """Rows of a JSON object of columns."""
    columns = json.loads(path.read_bytes())
    values = zip(*(column.values() for column in columns.values()), strict=True)
    return len([dict(zip(columns, row, strict=True)) for row in values])


def put_reports(folder: Path, count: int) -> None:
    """Reports as MIMIC-CXR lays them out, each beside a folder with its two pictures."""
    text = "FINAL REPORT\n EXAMINATION: CHEST\n\n INDICATION: Cough.\n\n FINDINGS:\n %s\n\n IMPRESSION:\n No change.\n"
    for number in range(count):
        place = folder / f"files/p10/p{10_000_000 + number // 3}/s{50_000_000 + number}"
        place.mkdir(parents=True)
        place.with_suffix(".txt").write_text(text % " ".join(WORDS * 8))
        for view in "ab":
            (place / f"{view}.jpg").write_bytes(b"x")


def put_pubmed(path: Path, count: int) -> None:
    """Citations as PubMed's baseline has them, one in a line of its own as it writes them."""
    words = " ".join(WORDS * 12)
    citation = (
        "<PubmedArticle><MedlineCitation><PMID Version='1'>{0}</PMID><Article><Journal><Title>J</Title></Journal>"
        "<ArticleTitle>Title {0}</ArticleTitle><Abstract><AbstractText Label='AIM'>{1}</AbstractText></Abstract>"
        "<AuthorList><Author><LastName>A</LastName><ForeName>B</ForeName></Author></AuthorList></Article>"
        "</MedlineCitation><PubmedData><ArticleIdList><ArticleId IdType='pubmed'>{0}</ArticleId></ArticleIdList>"
        "</PubmedData></PubmedArticle>\n"
    )
    body = "".join(citation.format(number + 1, words) for number in range(count))
    path.write_text(f"<?xml version='1.0' encoding='utf-8'?>\n<PubmedArticleSet>\n{body}</PubmedArticleSet>\n")


def by_reports(folder: Path) -> int:
    """Reports read, cut at the names of their sections, and what lies beside each."""
    count = 0
    for path in folder.rglob("*.txt"):
        sections = re.split(r"(?m)^ ?([A-Z]{4,}):", path.read_text())
        count += len(sections) > 1 and any(path.with_suffix("").iterdir())
    return count


def by_pubmed(path: Path) -> int:
    """The columns that the reader gives, an article at a time."""
    count = 0
    for _, element in ET.iterparse(path):
        if element.tag == "PubmedArticle":
            texts = [
                "".join(part.itertext()) for name in ("ArticleTitle", "AbstractText") for part in element.iter(name)
            ]
            found = {path: element.findtext(f"MedlineCitation/{path}") for path in PUBMED_COLUMNS}
            kinds = [one.text for one in element.iter("PublicationType")]
            doi = [one.text for one in element.iter("ELocationID") if one.get("EIdType") == "doi"]
            count += bool((texts, found, kinds, doi))
            element.clear()
    return count


def by_medquad(paths: list[Path]) -> int:
    """Questions and answers of parsed documents."""
    count = 0
    for path in paths:
        for pair in ET.parse(path).iter("QAPair"):
            row = {
                name: "".join(part.itertext())
                for name in ("Question", "Answer")
                if (part := pair.find(name)) is not None
            }
            count += bool(row)
    return count


def by_pydicom(paths: list[Path]) -> int:
    """Headers read whole, every element parsed."""
    count = 0
    for path in paths:
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            count += sum(1 for _ in dataset) > 0
        except Exception:  # noqa: BLE001 - what it refuses is not counted, whatever it is
            continue
    return count


def cases(folder: Path, data: Path) -> dict[str, Case]:
    """By reader: the library, and the corpus."""
    medquad, nxml, dicom = data / "text/text_medquad", folder / "nxml", data / "dicom"
    films, saved = {"text": "caption", "id": "id"}, folder / "saved/data-00000-of-00001.arrow"
    return {
        "llava": (lambda: len(json.loads((folder / "llava.json").read_bytes())),
                  corpus_of("llava", folder, "llava.json", fields={})),
        "json_columns": (partial(by_columns, folder / "columns.json"),
                         corpus_of("json_columns", folder, "columns.json")),
        "hf (Arrow)": (partial(by_arrow, saved), corpus_of("hf", folder, "saved/*.arrow")),
        "hf (datasets)": (partial(by_datasets, saved), corpus_of("hf", folder, "saved/*.arrow")),
        "webdataset (.tgz)": (partial(tarred, folder / "a.tgz"),
                              corpus_of("webdataset", folder, "a.tgz", fields={**INSIDE, "image": "jpg"})),
        "archive (zip)": (partial(by_zip, folder / "pictures.zip"),
                          corpus_of("archive", folder, "pictures.zip", fields=films)),
        "image_folder": (partial(by_folder, folder / "pictures"),
                         corpus_of("image_folder", folder, "pictures/*.jpg", fields=films)),
        "medquad": (partial(by_medquad, sorted(medquad.glob("*_QA/*.xml"))),
                    corpus_of("medquad", medquad, "*_QA/*.xml", fields={})),
        "reports": (partial(by_reports, folder / "mimic"),
                    corpus_of("reports", folder / "mimic", "files/p1?/p*/s*.txt", fields={"text": "findings"},
                              options={"pictures": ["files/**/*.jpg"]})),
        "pubmed": (partial(by_pubmed, folder / "pubmed.xml"),
                   corpus_of("pubmed", folder, "pubmed.xml", fields={})),
        "nxml": (partial(by_jats, sorted(nxml.rglob("*.nxml"))), corpus_of("nxml", nxml, "**/*.nxml", fields={})),
        "dicom (headers)": (partial(by_pydicom, [path for path in sorted(dicom.rglob("*.dcm")) if path.is_file()]),
                            corpus_of("dicom", dicom, "**/*.dcm", fields={}, identifiers="public")),
    }  # fmt: skip


def main() -> None:
    """Print a line a reader."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, rows = Path(place), rows_of(options.records)
        write(folder, rows)
        put_more(folder, rows)
        put_reports(folder / "mimic", len(rows) // 10)
        put_articles(folder / "nxml", len(rows) // 50)
        put_pubmed(folder / "pubmed.xml", len(rows) // 4)
        print(f"{'reader':<20}{'records':>9}{'library':>10}{'plan':>9}{'read':>9}{'ratio':>8}")
        for name, (library, corpus) in cases(folder, options.data).items():
            if options.only not in name:
                continue
            fragments = planned(corpus)
            plain, _ = timed(library)
            plan, _ = timed(partial(lambda one: len(planned(one)), corpus))
            own, count = timed(partial(read, corpus, fragments))
            above = "" if own <= GOAL * plain else "  above the goal"
            print(f"{name:<20}{count:>9}{plain:>8.2f} s{plan:>7.2f} s{own:>7.2f} s{own / plain:>7.2f}x{above}")


if __name__ == "__main__":
    main()
