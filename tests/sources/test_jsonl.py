import json
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources.readers import jsonl
from sources.readers.registry import reader_named
from sources.records import ChangedInputError, CorpusError, Record, Unreadable
from sources.schema import Reason
from tests.sources.corpora import corpus_in, planned, read

TEXT = {"text": "body"}


def write(folder: Path, *lines: bytes, name: str = "notes.jsonl") -> Path:
    path = folder / name
    path.write_bytes(b"\n".join(lines))
    return path


def line(number: int) -> bytes:
    return json.dumps({"body": f"note {number}"}).encode()


def test_every_line_is_a_record_whose_key_is_its_number(tmp_path: Path) -> None:
    write(tmp_path, line(0), b"", b"  \r", line(1), line(2), b"")
    records = read(corpus_in(tmp_path, "jsonl", fields=TEXT))
    assert [(record.key, record.row["body"]) for record in records] == [
        ("0", "note 0"),
        ("1", "note 1"),
        ("2", "note 2"),
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"body": "cut', Reason.RECORD_MALFORMED),
        (b'["not", "an", "object"]', Reason.RECORD_MALFORMED),
        (b"[" * 100_000, Reason.RECORD_MALFORMED),
        (b'{"body": ' + b"9" * 5000 + b"}", Reason.RECORD_MALFORMED),
        (b'{"body": "\xff\xfe"}', Reason.RECORD_ENCODING),
        (b'{"body": "\\ud800"}', Reason.RECORD_ENCODING),
    ],
    ids=["truncated", "not_an_object", "nested_too_deeply", "endless_number", "not_utf8", "lone_surrogate"],
)
def test_a_bad_line_among_good_ones_is_the_only_one_lost(tmp_path: Path, bad: bytes, reason: Reason) -> None:
    write(tmp_path, line(0), bad, line(2))
    first, lost, last = read(corpus_in(tmp_path, "jsonl", fields=TEXT))
    assert isinstance(first, Record)
    assert isinstance(last, Record)
    assert last.key == "2"
    assert isinstance(lost, Unreadable)
    assert (lost.key, lost.reason) == ("1", reason)


def test_an_unreadable_record_is_described_without_its_content(tmp_path: Path) -> None:
    write(tmp_path, line(0), b'{"body": "Jane Roe, born 1950')
    lost = read(corpus_in(tmp_path, "jsonl", fields=TEXT))[1]
    assert isinstance(lost, Unreadable)
    assert "Roe" not in lost.detail


def test_nan_and_infinity_are_accepted_as_python_writes_them(tmp_path: Path) -> None:
    write(tmp_path, b'{"body": "x", "score": NaN, "limit": -Infinity}')
    [record] = read(corpus_in(tmp_path, "jsonl", fields=TEXT))
    assert isinstance(record, Record)
    assert record.row["limit"] == float("-inf")


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n  \n", b"\xef\xbb\xbf", b" " * 200_000],
    ids=["empty", "blank", "only_a_byte_order_mark", "endless_blank"],
)
def test_a_file_without_records_has_none(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, content)
    assert planned(corpus_in(tmp_path, "jsonl", fields=TEXT)) == []


def test_a_byte_order_mark_is_not_part_of_the_first_record(tmp_path: Path) -> None:
    write(tmp_path, b"\xef\xbb\xbf" + line(0))
    [record] = read(corpus_in(tmp_path, "jsonl", fields=TEXT))
    assert isinstance(record, Record)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"body": "x"}'.encode("utf-16"), "UTF-16"),
        ('{"body": "x"}'.encode("utf-16-be"), "UTF-16"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\x28\xb5\x2f\xfd\x00", "zstd"),
        (b'[{"body": "x"}]', "reader: json"),
        (b'{"boby": "x"}\n{"boby": "y"}', "did you mean 'boby'"),
    ],
    ids=["utf16", "utf16_without_mark", "gzip", "zstd", "json_array", "misspelt_column"],
)
def test_a_file_in_another_form_is_an_error_that_says_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    write(tmp_path, content)
    with pytest.raises(CorpusError, match=r"test: notes\.jsonl: ") as error:
        planned(corpus_in(tmp_path, "jsonl", fields=TEXT))
    assert said in str(error.value)


def test_a_column_that_only_later_records_have_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources.readers.ranges.FRAGMENT_RECORDS", 1)
    write(tmp_path, b'{"other": 1}', b'{"other": 2}', b'{"body": "x"}')
    assert len(read(corpus_in(tmp_path, "jsonl", fields=TEXT))) == 3


def test_an_error_about_a_keyed_corpus_names_the_file_only_keyed(tmp_path: Path) -> None:
    write(tmp_path, b'{"boby": "x"}', name="roe-jane.jsonl")
    with pytest.raises(CorpusError) as error:
        planned(corpus_in(tmp_path, "jsonl", fields=TEXT, identifiers="keyed"))
    assert "roe" not in str(error.value)


def test_a_record_too_long_to_hold_is_lost_without_being_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "MAX_RECORD_BYTES", 2**20)
    write(tmp_path, line(0), b'{"body": "' + b"x" * 2**26 + b'"}', line(2))
    corpus = corpus_in(tmp_path, "jsonl", fields=TEXT)
    tracemalloc.start()
    first, lost, last = read(corpus)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(first, Record)
    assert isinstance(last, Record)
    assert isinstance(lost, Unreadable)
    assert lost.detail == "longer than 64 MiB"
    assert peak < 2**23


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 60), max_size=40), records=st.integers(1, 7), bound=st.integers(1, 200))
def test_fragments_cover_every_record_once_within_their_bounds(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], records: int, bound: int
) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    write(folder, *(json.dumps({"body": "x" * size}).encode() for size in sizes))
    corpus = corpus_in(folder, "jsonl", fields=TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sources.readers.ranges.FRAGMENT_RECORDS", records)
        patch.setattr("sources.readers.ranges.FRAGMENT_BYTES", bound)
        fragments = planned(corpus)
    reader = reader_named("jsonl")
    found = [record for fragment in fragments for record in reader.read(corpus, fragment)]
    assert [(record.key, len(record.row["body"])) for record in found] == [
        (str(number), size) for number, size in enumerate(sizes)
    ]
    assert all(fragment.records <= records for fragment in fragments)
    assert all(fragment.size <= bound or fragment.records == 1 for fragment in fragments)
    assert [fragment.first_row for fragment in fragments] == [
        sum(other.records for other in fragments[:number]) for number in range(len(fragments))
    ]


@pytest.mark.parametrize("identifiers", ["public", "keyed"])
def test_appended_lines_leave_the_digests_of_earlier_fragments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, identifiers: str
) -> None:
    monkeypatch.setattr("sources.readers.ranges.FRAGMENT_RECORDS", 4)
    path = write(tmp_path, *(line(number) for number in range(10)))
    corpus = corpus_in(tmp_path, "jsonl", fields=TEXT, identifiers=identifiers)
    before = [fragment.digest for fragment in planned(corpus)]
    with path.open("ab") as file:
        file.write(b"\n" + b"\n".join(line(number) for number in range(10, 14)))
    after = [fragment.digest for fragment in planned(corpus)]
    assert (len(before), len(after)) == (3, 4)
    assert after[:2] == before[:2]
    assert after[2] != before[2]


def test_the_same_lines_at_another_place_have_another_digest(tmp_path: Path) -> None:
    write(tmp_path, line(0), name="a.jsonl")
    write(tmp_path, line(0), name="b.jsonl")
    first, second = planned(corpus_in(tmp_path, "jsonl", fields=TEXT))
    assert first.digest != second.digest


def test_a_keyed_digest_cannot_be_made_without_the_key(tmp_path: Path) -> None:
    write(tmp_path, line(0))
    [public] = planned(corpus_in(tmp_path, "jsonl", fields=TEXT, identifiers="public"))
    [keyed] = planned(corpus_in(tmp_path, "jsonl", fields=TEXT, identifiers="keyed"))
    assert keyed.digest != public.digest


@pytest.mark.parametrize("change", ["appended", "touched", "rewritten_in_place", "gone"])
def test_a_file_that_changed_after_planning_is_refused(tmp_path: Path, change: str) -> None:
    path = write(tmp_path, line(0), line(1))
    corpus = corpus_in(tmp_path, "jsonl", fields=TEXT)
    [fragment] = planned(corpus)
    if change == "gone":
        path.unlink()
    else:
        content = {"appended": path.read_bytes() + b"\n" + line(2), "touched": path.read_bytes()}
        path.write_bytes(content.get(change, path.read_bytes().replace(b"note 1", b"note 9")))
        time_ns = fragment.file_stamp + (0 if change == "rewritten_in_place" else 10**9)
        os.utime(path, ns=(time_ns, time_ns))
    with pytest.raises(ChangedInputError, match=r"notes\.jsonl"):
        list(reader_named("jsonl").read(corpus, fragment))
