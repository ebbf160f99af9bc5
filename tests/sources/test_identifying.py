from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.phi import known_values
from sources.identifying import identifying_kind
from sources.joins import joined
from sources.readers.companions import table_of
from sources.readers.registry import reader_named
from sources.records import Corpus, Record
from tests.sources.corpora import corpus_in, planned, read

ROWS = {"body": ["Seen by Okonkwo."], "Patient Name": ["Okonkwo^Adaeze"], "MRN": [4488123], "site": ["north"]}


def parquet(folder: Path) -> Corpus:
    pq.write_table(pa.table(ROWS), folder / "notes.parquet")
    return corpus_in(folder, "parquet", "*.parquet", fields={"text": "body"})


def hf(folder: Path) -> Corpus:
    (folder / "data").mkdir()
    pq.write_table(pa.table(ROWS), folder / "data" / "train-00000-of-00001.parquet")
    return corpus_in(folder, "hf", fields={"text": "body"})


def joined_csv(folder: Path) -> Corpus:
    (folder / "notes.jsonl").write_text('{"uid": 1}')
    (folder / "side.csv").write_text("uid,body,Patient Name,MRN,site\n1,Seen.,Okonkwo^Adaeze,4488123,north\n")
    join = {"path": "side.csv", "left": "uid", "right": "uid"}
    return corpus_in(folder, "jsonl", "notes.jsonl", fields={"text": "body"}, join=join)


def joined_parquet(folder: Path) -> Corpus:
    """The table that is joined by exchange, as its rows are read."""
    (folder / "notes.jsonl").write_text('{"uid": 1}')
    pq.write_table(pa.table({**ROWS, "uid": ["1"]}), folder / "side.parquet")
    join = {"path": "side.parquet", "left": "uid", "right": "uid"}
    return corpus_in(folder, "jsonl", "notes.jsonl", fields={"text": "body"}, join=join)


def row_of(corpus: Corpus) -> dict[str, Any]:
    if corpus.card.join is not None and corpus.card.join.path.endswith(".parquet"):
        table = table_of(corpus)
        (fragment,) = reader_named("parquet").plan(table, table.files)
        (record,) = reader_named("parquet").read(table, fragment)
        assert isinstance(record, Record)
        return record.row
    (record,) = read(corpus)
    assert isinstance(record, Record)
    return joined(corpus, planned(corpus)[0].path, record).row


@pytest.mark.parametrize("source", [parquet, hf, joined_csv, joined_parquet])
def test_where_they_are_sought_identifying_columns_are_read_mapped_or_not(tmp_path: Path, source: Any) -> None:
    corpus = source(tmp_path)
    left_alone, sought = row_of(corpus), row_of(replace(corpus, sought=True))
    assert known_values(left_alone) == []
    assert {(one.kind, one.value) for one in known_values(sought)} == {("name", "Okonkwo^Adaeze"), ("id", "4488123")}
    assert "site" not in sought


@pytest.mark.parametrize(
    ("column", "kind"),
    [("Patient ID", "id"), ("patientName", "name"), ("Date of Birth", "date"), ("Zip Code", "address"),
     ("findings", None), ("site", None), ("dataset_name_of_image", None)],
)  # fmt: skip
def test_columns_say_by_their_names_what_they_hold(column: str, kind: str | None) -> None:
    assert identifying_kind(column) == kind
