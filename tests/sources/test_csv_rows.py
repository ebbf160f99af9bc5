import csv
import io
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from sources.readers import csv_rows
from sources.readers.csv_rows import UNCLOSED, Dialect, split_rows
from sources.readers.registry import reader_named
from sources.records import Corpus, CorpusError, Record, Unreadable
from sources.schema import Reason
from tests.sources.corpora import corpus_in, planned, read

COMMA = Dialect(",", '"', "utf-8")
TEXT = st.text(alphabet=st.sampled_from('",,\n\r" ab\t\u00e9'), max_size=60)


def corpus_of(folder: Path, content: str | bytes, name: str = "notes.csv", **card: Any) -> Corpus:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return corpus_in(folder, "csv", name, **{"fields": {"text": "body"}, **card})


def rows(corpus: Corpus) -> list[dict[str, str] | Reason]:
    return [record.row if isinstance(record, Record) else record.reason for record in read(corpus)]


def fields(data: bytes, dialect: Dialect, chunk_bytes: int) -> list[list[str]]:
    pieces = list(split_rows(io.BytesIO(data), 0, len(data), dialect, chunk_bytes))
    assume(not any(piece.flaw for piece in pieces))
    assert all(data[piece.start : piece.stop] == piece.data for piece in pieces)
    return [row for piece in pieces if not blank(row := dialect.fields(piece.content()))]


def blank(row: list[str]) -> bool:
    return not row or (len(row) == 1 and not row[0].strip(" "))


@settings(max_examples=300, deadline=None)
@given(text=TEXT, chunk_bytes=st.integers(1, 30))
@example(text='a,"b\r\n""c"" d"x,e\r\rf', chunk_bytes=1)
@example(text='x "stray\n"quoted\n" tail,y', chunk_bytes=2)
def test_rows_and_fields_are_those_of_pythons_csv_whatever_the_chunk_size(text: str, chunk_bytes: int) -> None:
    expected = [row for row in csv.reader(io.StringIO(text, newline="")) if not blank(row)]
    assert fields(text.encode(), COMMA, chunk_bytes) == expected


@settings(max_examples=100, deadline=None)
@given(text=TEXT, chunk_bytes=st.integers(1, 30))
def test_without_quoting_quotes_are_characters_like_others(text: str, chunk_bytes: int) -> None:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    assert fields(text.encode(), Dialect("\t", "", "utf-8"), chunk_bytes) == [row for row in rows if not blank(row)]


@settings(max_examples=100, deadline=None)
@given(table=st.lists(st.lists(TEXT, min_size=2, max_size=3), max_size=8), chunk_bytes=st.integers(1, 30))
def test_what_pythons_csv_writes_comes_back(table: list[list[str]], chunk_bytes: int) -> None:
    sink = io.StringIO(newline="")
    csv.writer(sink).writerows(table)
    assert fields(sink.getvalue().encode(), COMMA, chunk_bytes) == [row for row in table if not blank(row)]


@settings(max_examples=100, deadline=None)
@given(text=TEXT, ends=st.data())
def test_a_range_from_one_row_to_another_splits_into_the_same_rows(text: str, ends: st.DataObject) -> None:
    data = text.encode()
    pieces = list(split_rows(io.BytesIO(data), 0, len(data), COMMA))
    assume(pieces)
    first = ends.draw(st.integers(0, len(pieces) - 1))
    last = ends.draw(st.integers(first, len(pieces) - 1))
    assert (
        list(split_rows(io.BytesIO(data), pieces[first].start, pieces[last].stop, COMMA, 5)) == pieces[first : last + 1]
    )


def test_a_row_is_a_record_by_the_headers_names(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, '\ufeffid, body ,x\r\n1,"two\r\nlines, ""quoted""",\r\n\r\n2,b,c')
    assert [record.key for record in read(corpus)] == ["0", "1"]
    assert rows(corpus) == [
        {"id": "1", "body": 'two\r\nlines, "quoted"', "x": ""},
        {"id": "2", "body": "b", "x": "c"},
    ]


def test_a_file_without_header_takes_the_cards_names(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "1|a\n2|b\n", options={"delimiter": "|", "header": ["id", "body"]})
    assert rows(corpus) == [{"id": "1", "body": "a"}, {"id": "2", "body": "b"}]


def test_a_tsv_file_is_separated_by_tabs(tmp_path: Path) -> None:
    assert rows(corpus_of(tmp_path, "id\tbody\n1\ta, b\n", name="notes.tsv")) == [{"id": "1", "body": "a, b"}]


def test_every_fragment_knows_the_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources.readers.ranges.FRAGMENT_RECORDS", 2)
    corpus = corpus_of(tmp_path, "id,body\n" + "".join(f'{n},"line\n{n}"\n' for n in range(5)))
    assert [fragment.records for fragment in planned(corpus)] == [2, 2, 1]
    assert rows(corpus) == [{"id": str(n), "body": f"line\n{n}"} for n in range(5)]


def test_another_header_over_the_same_rows_is_another_content(tmp_path: Path) -> None:
    [before] = planned(corpus_of(tmp_path, "body,other\n1,2\n"))
    [after] = planned(corpus_of(tmp_path, "other,body\n1,2\n"))
    assert before.digest != after.digest


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("1,two,three", Reason.RECORD_MALFORMED),
        ("1", Reason.RECORD_MALFORMED),
        ("1,\udcff", Reason.RECORD_ENCODING),
    ],
    ids=["too_many_fields", "too_few_fields", "not_utf8"],
)
def test_a_bad_row_is_the_only_one_lost(tmp_path: Path, bad: str, reason: Reason) -> None:
    content = f"id,body\n1,a\n{bad}\n3,c\n".encode("utf-8", "surrogateescape")
    assert rows(corpus_of(tmp_path, content)) == [{"id": "1", "body": "a"}, reason, {"id": "3", "body": "c"}]


def test_a_quote_that_is_never_closed_costs_its_line_and_not_the_rest_of_the_file(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, 'id,body\n1,a\n2,"never closed\n3,c\n4,d\n')
    assert rows(corpus) == [
        {"id": "1", "body": "a"}, Reason.RECORD_MALFORMED, {"id": "3", "body": "c"}, {"id": "4", "body": "d"},
    ]  # fmt: skip
    lost = read(corpus)[1]
    assert isinstance(lost, Unreadable)
    assert lost.detail == UNCLOSED


@pytest.mark.parametrize("fragment_records", [4096, 1, 2, 3])
def test_a_quote_lost_before_a_later_quoted_field_costs_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fragment_records: int
) -> None:
    monkeypatch.setattr("sources.readers.ranges.FRAGMENT_RECORDS", fragment_records)
    corpus = corpus_of(tmp_path, 'id,body\n1,"lost\n2,b\n3,""\n4,"quoted, well"\n5,"two\nlines" \n6,"x"y\n')
    assert rows(corpus) == [
        Reason.RECORD_MALFORMED,
        {"id": "2", "body": "b"},
        {"id": "3", "body": ""},
        {"id": "4", "body": "quoted, well"},
        {"id": "5", "body": "two\nlines "},
        {"id": "6", "body": "xy"},
    ]


def test_a_malformed_row_of_several_lines_says_how_many(tmp_path: Path) -> None:
    [lost] = read(corpus_of(tmp_path, 'id,body\n1,"a\nb\nc",d\n'))
    assert isinstance(lost, Unreadable)
    assert lost.detail == "3 fields where the header has 2, over 3 lines"


def test_a_row_too_long_to_hold_is_lost_without_being_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "MAX_RECORD_BYTES", 2**20)
    corpus = corpus_of(tmp_path, b"id,body\n1,a\n2," + b"x" * 2**25 + b"\n3,c\n")
    tracemalloc.start()
    found = rows(corpus)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [{"id": "1", "body": "a"}, Reason.RECORD_MALFORMED, {"id": "3", "body": "c"}]
    assert peak < 2**24


def test_another_encoding_is_an_option(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "body\ncafé\n".encode("cp1252"), options={"encoding": "cp1252"})
    assert rows(corpus) == [{"body": "café"}]


@pytest.mark.parametrize("content", ["", "\n", "id,body\n"], ids=["empty", "blank", "header_only"])
def test_a_file_without_rows_has_no_records(tmp_path: Path, content: str) -> None:
    assert planned(corpus_of(tmp_path, content)) == []


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("id,boby\n1,a\n", {}, "did you mean 'boby'"),
        ("body,body\n1,a\n", {}, "more than one column 'body'"),
        ("body\nx\n".encode("utf-16"), {}, "UTF-16"),
        ("body\nx\n", {"encoding": "utf-16"}, "not built on ASCII"),
        ("body\nx\n", {"encoding": "klingon"}, "unknown"),
        ("body\nx\n", {"delimiter": "::"}, "one ASCII character"),
        (b"\x28\xb5\x2f\xfd", {}, "zstd"),
    ],
    ids=[
        "misspelt_column",
        "column_twice",
        "utf16",
        "wide_encoding",
        "unknown_encoding",
        "delimiter",
        "compressed",
    ],
)
def test_a_file_that_cannot_be_read_as_its_card_says_is_an_error(
    tmp_path: Path, content: str | bytes, options: dict[str, str], said: str
) -> None:
    with pytest.raises(CorpusError) as error:
        planned(corpus_of(tmp_path, content, options=options))
    assert said in str(error.value)


def test_a_column_twice_matters_only_where_the_card_maps_it(tmp_path: Path) -> None:
    assert rows(corpus_of(tmp_path, "body,x,x\n1,2,3\n")) == [{"body": "1", "x": "3"}]


def test_real_dialogues_with_lines_in_their_fields_are_read_as_pythons_csv_reads_them(shared_data: Path) -> None:
    folder = shared_data / "text/text_mts_dialog/Main-Dataset"
    for path in sorted(folder.glob("*.csv")):
        corpus = corpus_in(folder, "csv", path.name, fields={"text": "dialogue"})
        with path.open(encoding="utf-8", newline="") as file:
            assert rows(corpus) == list(csv.DictReader(file))


def test_captions_with_stray_quotes_are_read_line_by_line(shared_data: Path) -> None:
    folder = shared_data / "text/caption_roco/data/test/radiology"
    options = {"delimiter": "\t", "quote": "", "header": ["id", "caption"]}
    corpus = corpus_in(folder, "csv", "captions.txt", fields={"text": "caption"}, options=options)
    lines = (folder / "captions.txt").read_text(encoding="utf-8").splitlines()
    assert [record.row["caption"] for record in read(corpus)] == [line.split("\t")[1] for line in lines]
    assert reader_named("csv").unit == "file"


def test_a_keyed_file_without_a_header_is_not_quoted_in_its_error(tmp_path: Path) -> None:
    content = "1,DOE JANE,MRN00123456\n2,ROE RICHARD,MRN00123457\n"
    corpus = corpus_of(tmp_path, content, identifiers="keyed", fields={"text": "MRN001"})
    with pytest.raises(CorpusError, match=r"no column 'MRN001'; it has 3 columns; this is perhaps another version"):
        planned(corpus)
    with pytest.raises(CorpusError, match="it has 1, DOE JANE, MRN00123456"):
        planned(corpus_of(tmp_path, content))
