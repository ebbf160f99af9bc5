import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from sources.readers.registry import reader_named
from sources.records import Corpus, CorpusError, Record, Unreadable
from sources.schema import Reason
from tests.sources.corpora import corpus_in, planned, read

TEXT = {"text": "body"}


def corpus_of(folder: Path, content: str | bytes, **card: Any) -> Corpus:
    (folder / "notes.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    return corpus_in(folder, "json", "notes.json", **{"fields": TEXT, **card})


def rows(corpus: Corpus) -> list[tuple[str, Any]]:
    return [(record.key, record.row if isinstance(record, Record) else record.reason) for record in read(corpus)]


def test_an_array_gives_its_elements_by_number(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, json.dumps([{"body": "a"}, {"body": "b,]"}], indent=1))
    assert rows(corpus) == [("0", {"body": "a"}), ("1", {"body": "b,]"})]


def test_an_array_may_begin_after_much_blank(tmp_path: Path) -> None:
    assert rows(corpus_of(tmp_path, "\ufeff" + "\n" * 200_000 + '[{"body": "a"}]')) == [("0", {"body": "a"})]


def test_an_object_gives_its_members_by_name(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, json.dumps({"21645374": {"body": "a"}, 'q"uoted': {"body": "b"}}))
    assert rows(corpus) == [("21645374", {"body": "a"}), ('q"uoted', {"body": "b"})]


@pytest.mark.parametrize("items", ["data", "payload.rows"])
def test_records_in_a_nested_array_are_found_by_name(tmp_path: Path, items: str) -> None:
    records = [{"body": "a", "data": [1]}, {"body": "b"}]
    nested = {
        "version": '1,"data": [',
        "data": records,
        "payload": {"n": 2, "rows": records, "end": 0},
        "more": [1, 2],
    }
    corpus = corpus_of(tmp_path, json.dumps(nested, indent=2), options={"items": items})
    assert rows(corpus) == [("0", records[0]), ("1", records[1])]


@pytest.mark.parametrize("end", ['}, {"body": "c"}', "}, ", "},", "}", "", ', "tags": ["x"]'])
@pytest.mark.parametrize(("start", "items"), [("[", None), ('{"n": ', None), ('{"data": [', "data")])
def test_a_file_cut_off_in_download_is_refused_wherever_it_ends(
    tmp_path: Path, start: str, items: str | None, end: str
) -> None:
    options = {} if items is None else {"items": items}
    corpus = corpus_of(tmp_path, start + '{"body": "a"' + end, options=options)
    with pytest.raises(CorpusError, match=r"notes\.json: ends before its JSON array or object is closed: download"):
        planned(corpus)


def test_a_file_cut_off_after_its_first_bracket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="ends before"):
        planned(corpus_of(tmp_path, "[\n"))


@pytest.mark.parametrize("between", [", ", ",\n"])
def test_a_quote_lost_in_the_last_element_costs_that_element(tmp_path: Path, between: str) -> None:
    corpus = corpus_of(tmp_path, '[{"body": "a"}' + between + '{"body": "b}' + between.strip(", ") + "]")
    assert rows(corpus) == [("0", {"body": "a"}), ("1", Reason.RECORD_MALFORMED)]


def test_the_closing_bracket_may_come_after_much_blank(tmp_path: Path) -> None:
    assert rows(corpus_of(tmp_path, '[{"body": "a"}' + "\n" * 200_000 + "]")) == [("0", {"body": "a"})]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"body": }', Reason.RECORD_MALFORMED),
        (b"12", Reason.RECORD_MALFORMED),
        (b'"a string"', Reason.RECORD_MALFORMED),
        (b'{"body": "\xff"}', Reason.RECORD_ENCODING),
    ],
    ids=["not_json", "a_number", "a_string", "not_utf8"],
)
def test_a_bad_element_is_the_only_one_lost(tmp_path: Path, bad: bytes, reason: Reason) -> None:
    corpus = corpus_of(tmp_path, b'[{"body": "a"}, ' + bad + b', {"body": "c"}]')
    assert rows(corpus) == [("0", {"body": "a"}), ("1", reason), ("2", {"body": "c"})]


@pytest.mark.parametrize("content", ["", " \n", "[]", " [ ] \n", "{}", "\ufeff[]"])
def test_a_file_without_records_has_none(tmp_path: Path, content: str) -> None:
    assert planned(corpus_of(tmp_path, content)) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('"text"', "neither a JSON array nor an object"),
        ('{"body": "a"}\n{"body": "b"}', "reader: jsonl"),
        ('{"a": {"body": "a"}}\n{"b": {"body": "b"}}', "reader: jsonl"),
        ('[{"body": "a"}] trailing', "goes on after"),
        ('{"data": [{"body": "a"}]}', "items"),
        ('[{"boby": "a"}]', "did you mean 'boby'"),
    ],
    ids=["a_string", "json_lines", "lines_of_members", "trailing_text", "nested_without_items", "misspelt_column"],
)
def test_a_file_in_another_form_is_an_error_that_says_what_to_do(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(CorpusError, match=r"notes\.json: ") as error:
        planned(corpus_of(tmp_path, content))
    assert said in str(error.value)


def test_items_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, '{"rows": [{"body": "a"}]}', options={"items": "data"})
    with pytest.raises(CorpusError, match="'data'"):
        planned(corpus)


def test_an_appended_element_leaves_the_digests_of_earlier_fragments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sources.readers.ranges.FRAGMENT_RECORDS", 3)
    records = [{"body": str(number)} for number in range(9)]
    before = [fragment.digest for fragment in planned(corpus_of(tmp_path, json.dumps(records[:8])))]
    after = [fragment.digest for fragment in planned(corpus_of(tmp_path, json.dumps(records)))]
    assert after[:2] == before[:2]
    assert after[2] != before[2]


def test_memory_is_bounded_by_a_fragment_not_by_the_file(tmp_path: Path) -> None:
    element = json.dumps({"body": "word " * 2000})
    corpus = corpus_of(tmp_path, "[" + ",".join([element] * 6000) + "]")
    reader = reader_named("json")
    tracemalloc.start()
    count = sum(1 for fragment in planned(corpus) for _ in reader.read(corpus, fragment))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 6000
    assert (tmp_path / "notes.json").stat().st_size > 55 * 2**20
    assert peak < 12 * 2**20


def test_pubmedqa_has_a_thousand_articles_by_their_ids(shared_data: Path) -> None:
    folder = shared_data / "text/eval_pubmedqa/data"
    records = read(corpus_in(folder, "json", "ori_pqal.json", fields={"question": "QUESTION"}, task="text_qa"))
    expected = json.loads((folder / "ori_pqal.json").read_bytes())
    assert {record.key: record.row for record in records if isinstance(record, Record)} == expected


def test_slake_is_read_as_json_reads_it(shared_data: Path) -> None:
    folder = shared_data / "text/eval_slake_text/Slake1.0"
    records = read(corpus_in(folder, "json", "train.json", fields={"question": "question"}, task="vqa"))
    assert not any(isinstance(record, Unreadable) for record in records)
    assert [record.row for record in records] == json.loads((folder / "train.json").read_bytes())
