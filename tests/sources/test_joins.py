from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sources import joins
from sources.cards import Join
from sources.joins import LEFT, by_exchange, form_of, joined, match
from sources.readers.companions import head_columns
from sources.records import Corpus, CorpusError, Record, RecordError
from tests.sources.corpora import corpus_in, planned

JOIN = {"path": "side.csv", "left": "uid", "right": "id"}
FIELDS = {"text": "body", "license": "cc", "images": "file"}


def corpus_of(
    folder: Path, side: str | bytes, name: str = "side.csv", rows: str = '{"uid": 1, "body": "x"}', **join: Any
) -> Corpus:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(side if isinstance(side, bytes) else side.encode())
    (folder / "notes.jsonl").write_text(rows, encoding="utf-8")
    return corpus_in(folder, "jsonl", "notes.jsonl", fields=FIELDS, join={**JOIN, "path": name, **join})


def added(corpus: Corpus, **row: Any) -> dict[str, Any]:
    return joined(corpus, "notes.jsonl", Record("K", row)).row


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("side.csv", "id,cc,file\n1,MIT,a\n2,CC0,b\n"),
        ("side.csv", "\ufeffid, cc,file\r\n1,MIT,a\r\n2,CC0,b"),
        ("side.txt", "id,cc,file\n1,MIT,a\n2,CC0,b\n"),
        ("side.csv", "id;cc;file\n1;MIT;a\n2;CC0;b\n"),
        ("side.tsv", "id\tcc\tfile\n1\tMIT\ta\n2\tCC0\tb\n"),
        ("side.jsonl", '{"id": 1, "cc": "MIT", "file": "a"}\n{"id": 2, "cc": "CC0", "file": "b"}\n'),
        ("side.json", '[{"id": 1, "cc": "MIT", "file": "a"}, {"id": "2", "cc": "CC0", "file": "b"}]'),
    ],
)
def test_columns_of_the_row_with_the_same_value_are_added(tmp_path: Path, name: str, side: str) -> None:
    corpus = corpus_of(tmp_path, side, name)
    assert added(corpus, uid=2) == {"uid": 2, "cc": "CC0", "file": "b"}
    assert added(corpus, uid="1", cc="own") == {"uid": "1", "cc": "own", "file": "a"}
    assert added(corpus, uid=3) == {"uid": 3}


def test_many_rows_make_lists(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "id,cc,file\n1,x,a\n2,x,c\n1,y,b\n", many=True)
    assert added(corpus, uid=1) == {"uid": 1, "cc": ["x", "y"], "file": ["a", "b"]}
    assert added(corpus, uid=9) == {"uid": 9, "cc": [], "file": []}


@pytest.mark.parametrize(("side", "column"), [('{"K": "yes"}', "side"), ('{"K": {"cc": "MIT"}}', "cc")])
def test_members_of_an_object_are_found_by_the_records_key(tmp_path: Path, side: str, column: str) -> None:
    fields = {"text": "body", "license": column}
    corpus_of(tmp_path, side, "side.json")
    join = {"path": "side.json", "left": "@key", "right": "@key"}
    corpus = corpus_in(tmp_path, "jsonl", "notes.jsonl", fields=fields, join=join)
    assert added(corpus, body="x") == {"body": "x", column: "yes" if column == "side" else "MIT"}


def test_the_companion_may_lie_beside_each_record_file(tmp_path: Path) -> None:
    for folder, value in (("a", "MIT"), ("b", "CC0")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "notes.jsonl").write_text('{"uid": 1, "body": "x"}', encoding="utf-8")
        (tmp_path / folder / "side.csv").write_text(f"id,cc,file\n1,{value},p\n", encoding="utf-8")
    join = {**JOIN, "path": "{folder}/side.csv"}
    corpus = corpus_in(tmp_path, "jsonl", "*/notes.jsonl", fields=FIELDS, join=join)
    record = Record("0", {"uid": 1})
    assert [joined(corpus, path, record).row["cc"] for path in (*corpus.files, corpus.files[0])] == [
        "MIT",
        "CC0",
        "MIT",
    ]


@pytest.mark.parametrize("identifiers", ["public", "keyed"])
def test_a_changed_companion_changes_every_fragment_that_joins_it(tmp_path: Path, identifiers: str) -> None:
    def digest(side: str) -> str:
        corpus_of(tmp_path, side)
        corpus = corpus_in(tmp_path, "jsonl", "notes.jsonl", fields=FIELDS, join=JOIN, identifiers=identifiers)
        return planned(corpus)[0].digest

    assert digest("id,cc,file\n1,MIT,a\n") != digest("id,cc,file\n1,CC0,a\n")


def test_a_joined_column_counts_as_a_column_of_the_corpus(tmp_path: Path) -> None:
    assert len(planned(corpus_of(tmp_path, "id,cc,file\n1,MIT,a\n"))) == 1
    with pytest.raises(CorpusError, match="no column 'cc'"):
        planned(corpus_of(tmp_path, "id,license,file\n1,MIT,a\n"))


@pytest.mark.parametrize(
    ("name", "side", "said"),
    [
        ("side.csv", "uid,cc,file\n1,MIT,a\n", "no column 'id'"),
        ("side.csv", "id,cc,file\n1,MIT\n", "row 0 has 2 fields, the header 3"),
        ("side.csv", b"id,cc,file\n1,\xff,a\n", "not UTF-8"),
        ("side.json", "[{", "damaged"),
        ("side.json", '{"a": 1}', "@key"),
        ("side.jsonl", "[1]", "row 0 is not an object"),
    ],
)
def test_a_companion_that_cannot_be_joined_is_an_error_that_names_it(
    tmp_path: Path, name: str, side: str | bytes, said: str
) -> None:
    with pytest.raises(CorpusError, match=f"test: {name}: ") as error:
        planned(corpus_of(tmp_path, side, name))
    assert said in str(error.value)


def test_a_companion_that_is_absent_or_too_large_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = corpus_of(tmp_path, "id,cc,file\n1,MIT,a\n")
    monkeypatch.setattr(joins, "MAX_COMPANION_BYTES", 10)
    with pytest.raises(CorpusError, match="may have"):
        planned(corpus)
    (tmp_path / "side.csv").unlink()
    with pytest.raises(CorpusError, match="is not there"):
        planned(corpus)


def test_the_columns_of_a_keyed_companion_are_counted_and_not_named(tmp_path: Path) -> None:
    corpus_of(tmp_path, "1,DOE JANE,MRN00123456\n2,ROE RICHARD,MRN00123457\n")
    corpus = corpus_in(tmp_path, "jsonl", "notes.jsonl", fields=FIELDS, join=JOIN, identifiers="keyed")
    with pytest.raises(CorpusError, match=r"test: side.csv: no column 'id'; it has 3 columns; name in `join`"):
        planned(corpus)
    with pytest.raises(CorpusError, match="no column 'id'; it has 1, DOE JANE, MRN00123456"):
        planned(corpus_of(tmp_path, "1,DOE JANE,MRN00123456\n2,ROE RICHARD,MRN00123457\n"))


def test_a_value_to_join_by_that_may_not_be_kept_is_gone_after_the_join(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "id,cc,file\n1,MIT,a\n")
    assert added(corpus, **{LEFT: "1", "body": "x"}) == {"body": "x", "cc": "MIT", "file": "a"}
    assert added(corpus, **{LEFT: None, "uid": "1"}) == {"uid": "1"}


def test_a_record_that_too_many_rows_match_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joins, "MAX_JOINED_ROWS", 2)
    corpus = corpus_of(tmp_path, "id,cc,file\n1,x,a\n1,y,b\n2,x,c\n2,y,d\n2,z,e\n", many=True)
    assert added(corpus, uid=1)["cc"] == ["x", "y"]
    with pytest.raises(RecordError, match="more than 2 rows of the joined table"):
        added(corpus, uid=2)


@pytest.mark.parametrize(
    ("name", "limit", "exchanged"),
    [("side.csv", 100, False), ("side.csv", 3, True), ("side.parquet", 100, True), ("{folder}/side.csv", 3, False)],
)
def test_large_tables_and_parquet_are_joined_by_exchange_but_not_tables_beside_record_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: int, exchanged: bool
) -> None:
    monkeypatch.setattr(joins, "IN_MEMORY_BYTES", limit)
    corpus_of(tmp_path, "id,cc,file\n1,MIT,a\n", name.removeprefix("{folder}/"))
    corpus = corpus_in(tmp_path, "jsonl", "notes.jsonl", fields=FIELDS, join={**JOIN, "path": name})
    assert by_exchange(corpus) == exchanged


def test_parquet_beside_record_files_is_refused(tmp_path: Path) -> None:
    corpus_of(tmp_path, b"PAR1", "side.parquet")
    corpus = corpus_in(tmp_path, "jsonl", "notes.jsonl", fields=FIELDS, join={**JOIN, "path": "{folder}/side.parquet"})
    with pytest.raises(CorpusError, match="by a path without"):
        planned(corpus)


def test_a_value_of_right_that_is_no_text_is_an_error_that_says_so(tmp_path: Path) -> None:
    side = '{"id": ' + "[" * 400 + '"ACC1"' + "]" * 400 + ', "cc": 1, "file": 1}'
    with pytest.raises(CorpusError, match="a value of 'id': a text field holds lists nested more than 32") as error:
        added(corpus_of(tmp_path, side, "side.jsonl"), uid=1)
    assert "ACC1" not in str(error.value)


@pytest.mark.parametrize("identifiers", ["public", "keyed"])
def test_a_table_as_excel_saves_it_is_joined_or_says_what_to_name(tmp_path: Path, identifiers: str) -> None:
    side = "id;cc;file\n1;Ergu\xdf;a\n".encode("cp1252")
    corpus_of(tmp_path, side)

    def corpus(**join: Any) -> Corpus:
        settings: dict[str, Any] = {"fields": FIELDS, "identifiers": identifiers}
        return corpus_in(tmp_path, "jsonl", "notes.jsonl", join={**JOIN, **join}, **settings)

    with pytest.raises(CorpusError, match=r"^test: side\.csv: not UTF-8; name in `join` .*`encoding: windows-1252`"):
        planned(corpus())
    assert added(corpus(encoding="windows-1252"), uid=1) == {"uid": 1, "cc": "Ergu\xdf", "file": "a"}
    assert added(corpus(encoding="windows-1252", delimiter=";"), uid=1)["cc"] == "Ergu\xdf"
    with pytest.raises(CorpusError, match=r"side\.csv: no column 'id'; .*name in `join`"):
        planned(corpus(encoding="windows-1252", delimiter="|"))


@pytest.mark.parametrize("encoding", ["no-such", "hex", "rot13", "utf-16", "utf-7"])
def test_an_encoding_that_is_none_or_not_built_on_ascii_is_refused_when_the_card_is_read(encoding: str) -> None:
    with pytest.raises(ValidationError, match="is unknown or not built on ASCII; convert the table to UTF-8"):
        Join(**JOIN, encoding=encoding)


@pytest.mark.parametrize("delimiter", ["\xa7", '"', "\n"])
def test_a_delimiter_that_no_table_can_have_is_refused_when_the_card_is_read(delimiter: str) -> None:
    with pytest.raises(ValidationError, match="not one ASCII character"):
        Join(**JOIN, delimiter=delimiter)


@pytest.mark.parametrize("encoding", ["utf8", "utf_8", "UTF8", "utf-8-sig"])
@pytest.mark.parametrize("exchanged", [False, True])
def test_utf_8_is_the_same_by_all_its_names_and_its_mark_is_no_part_of_a_column(
    tmp_path: Path, encoding: str, *, exchanged: bool
) -> None:
    corpus = corpus_of(tmp_path, "\ufeffid,cc,file\n1,Ergu\xdf,a\n", encoding=encoding)
    if exchanged:
        assert head_columns(corpus) == ["cc", "file"]
    else:
        assert added(corpus, uid=1) == {"uid": 1, "cc": "Ergu\xdf", "file": "a"}


def test_what_a_join_finds_is_told_and_several_rows_only_where_they_differ(tmp_path: Path) -> None:
    side = "id,cc,file,more\n1,MIT,a,x\n1,MIT,a,y\n2,MIT,a,x\n2,CC0,a,x\n"

    def found(uid: Any, **join: Any) -> str | None:
        return match(corpus_of(tmp_path, side, **join), "notes.jsonl", Record("K", {"uid": uid}))

    assert [found(uid) for uid in (1, 2, "02", None)] == ["one", "several", "none", "blank"]
    assert found(2, many=True) == "one"
    assert match(corpus_in(tmp_path, "jsonl", "notes.jsonl", fields=FIELDS), "notes.jsonl", Record("K", {})) is None


@pytest.mark.parametrize(
    ("value", "form"),
    [("000120", "000999"), ("120", "999"), ("A12-Ä", "A99-A"), ("000", "999"), ("x" * 30, "A" * 24 + "..")],
)
def test_a_value_is_told_by_its_form(value: str, form: str) -> None:
    assert form_of(value) == form
