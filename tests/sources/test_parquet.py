import errno
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.readers import parquet
from sources.readers.registry import reader_named
from sources.records import FRAGMENT_RECORDS, ChangedInputError, Corpus, CorpusError, Record, Unreadable
from sources.schema import Reason
from tests.sources.corpora import corpus_in, planned, read


def table(rows: int, body: str = "note") -> pa.Table:
    return pa.table({"body": [f"{body} {n}" for n in range(rows)], "unused": [b"x" * 100] * rows})


def corpus_of(folder: Path, content: pa.Table, group_rows: int = 1000, **card: Any) -> Corpus:
    pq.write_table(content, folder / "notes.parquet", row_group_size=group_rows)
    return corpus_in(folder, "parquet", "notes.parquet", **{"fields": {"text": "body"}, **card})


@pytest.mark.parametrize("group_rows", [7, 300, 4096, 9000])
def test_every_row_is_read_once_whatever_the_row_groups(tmp_path: Path, group_rows: int) -> None:
    corpus = corpus_of(tmp_path, table(9000), group_rows)
    assert all(fragment.records <= FRAGMENT_RECORDS for fragment in planned(corpus))
    assert [(record.key, record.row) for record in read(corpus)] == [
        (str(n), {"body": f"note {n}"}) for n in range(9000)
    ]


def test_fragments_can_be_read_in_any_order_and_more_than_once(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, table(9000), 9000)
    reader = reader_named("parquet")
    first, second, third = planned(corpus)
    for fragment in (second, first, second, third, first):
        keys = [record.key for record in reader.read(corpus, fragment)]
        assert keys == [str(n) for n in range(fragment.first_row, fragment.first_row + fragment.records)]


def test_small_row_groups_share_a_fragment(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, table(1000), 10)
    assert [(fragment.start, fragment.stop, fragment.records) for fragment in planned(corpus)] == [(0, 100, 1000)]


def test_a_column_that_the_card_does_not_map_changes_nothing(tmp_path: Path) -> None:
    [before] = planned(corpus_of(tmp_path, table(10)))
    changed = table(10).set_column(1, "unused", pa.array([b"y" * 100] * 10))
    [after] = planned(corpus_of(tmp_path, changed))
    assert after.digest == before.digest


def test_another_value_in_one_row_group_changes_its_fragments_only(tmp_path: Path) -> None:
    before = planned(corpus_of(tmp_path, table(9000), 4000))
    rows = table(9000).to_pylist()
    rows[5000]["body"] = "another"
    after = planned(corpus_of(tmp_path, pa.Table.from_pylist(rows), 4000))
    assert [a.digest == b.digest for a, b in zip(after, before, strict=True)] == [True, False, True]


def test_a_row_whose_text_is_not_utf8_is_the_only_one_lost(tmp_path: Path) -> None:
    values = pa.array([b"a", b"\xff\xfe", b"c"], pa.binary()).view(pa.string())
    first, lost, last = read(corpus_of(tmp_path, pa.table({"body": values})))
    assert isinstance(first, Record)
    assert isinstance(last, Record)
    assert isinstance(lost, Unreadable)
    assert (lost.key, lost.reason) == ("1", Reason.RECORD_ENCODING)


def test_a_damaged_page_loses_its_rows_and_no_others(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, table(4000), 2000)
    path = tmp_path / "notes.parquet"
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    data = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data[start : start + 200] = b"\xff" * 200
    path.write_bytes(data)
    records = read(corpus)
    assert [type(record) for record in records] == [Unreadable] * 2000 + [Record] * 2000
    assert [record.key for record in records] == [str(n) for n in range(4000)]


@pytest.mark.parametrize("cut", [0, 3, 500])
def test_a_truncated_file_is_an_error_that_names_it(tmp_path: Path, cut: int) -> None:
    corpus = corpus_of(tmp_path, table(100))
    path = tmp_path / "notes.parquet"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CorpusError, match=r"notes\.parquet: is not a Parquet file, or is truncated"):
        planned(corpus)


def test_a_misspelt_column_and_one_of_bytes_are_errors(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="did you mean 'body'"):
        planned(corpus_of(tmp_path, table(3), fields={"text": "bodi"}))
    with pytest.raises(CorpusError, match="'unused' holds bytes"):
        planned(corpus_of(tmp_path, table(3), fields={"text": "unused"}))


def test_a_file_that_changed_after_planning_is_refused(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, table(100))
    [fragment] = planned(corpus)
    corpus_of(tmp_path, table(101))
    with pytest.raises(ChangedInputError):
        list(reader_named("parquet").read(corpus, fragment))


def test_a_large_row_group_is_cut_by_bytes(tmp_path: Path) -> None:
    rows = [{"body": f"{n} " + "x" * 100_000} for n in range(400)]
    corpus = corpus_of(tmp_path, pa.Table.from_pylist(rows), 400)
    fragments = planned(corpus)
    assert len(fragments) == 3
    assert all(fragment.size <= 17 * 2**20 for fragment in fragments)
    assert len(read(corpus)) == 400


def test_what_a_damaged_page_costs_depends_on_no_fragment_read_before(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, table(9000), 9000)
    path = tmp_path / "notes.parquet"
    pq.write_table(
        table(9000).select(["body"]), path, row_group_size=9000, data_page_size=256, use_dictionary=False,
        write_batch_size=10, compression="none",
    )  # fmt: skip
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    data = bytearray(path.read_bytes())
    start = chunk.data_page_offset + chunk.total_compressed_size * 995 // 1000
    data[start : start + 200] = b"\xff" * 200
    path.write_bytes(data)
    reader = reader_named("parquet")
    fragments = planned(corpus)
    assert [fragment.records for fragment in fragments] == [4096, 4096, 808]

    def lost(*order: int) -> list[list[str]]:
        found = {}
        parquet._cursors.clear()
        for number in order:
            records = list(reader.read(corpus, fragments[number]))
            assert len(records) == fragments[number].records
            found[number] = [record.key for record in records if isinstance(record, Unreadable)]
        return [found[number] for number in sorted(found)]

    together = lost(0, 1, 2)
    assert [bool(keys) for keys in together] == [False, False, True]
    assert lost(2, 1, 0) == together
    assert lost(1, 2, 0) == together
    assert [lost(number)[0] for number in range(3)] == together


def test_a_disk_that_fails_is_not_a_damaged_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    corpus = corpus_of(tmp_path, table(10))
    [fragment] = planned(corpus)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", fail)
    with pytest.raises(CorpusError, match="Input/output error"):
        list(reader_named("parquet").read(corpus, fragment))


def test_names_of_labels_are_part_of_what_a_fragment_is(tmp_path: Path) -> None:
    digests = set()
    for number, names in enumerate((["benign", "malignant"], ["malignant", "benign"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        metadata = {"huggingface": f'{{"info": {{"features": {{"label": {{"names": {names}}}}}}}}}'}
        table = pa.table({"text": ["one"]}).replace_schema_metadata(metadata)
        pq.write_table(table, folder / "a.parquet")
        corpus = corpus_in(folder, "parquet", "*.parquet", fields={"text": "text"})
        digests |= {fragment.digest for fragment in planned(corpus)}
    assert len(digests) == 2
