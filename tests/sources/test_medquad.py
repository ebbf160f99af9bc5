from pathlib import Path

import pytest

from sources.readers import medquad
from sources.records import Record, Unreadable
from sources.schema import Reason
from tests.sources.corpora import corpus_in, planned, read

FIELDS = {"question": "question", "answer": "answer"}
DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<Document id="7" source="NIDDK" url="http://x.test/7"><Focus>Gout</Focus><QAPairs>
<QAPair pid="1"><Question qid="7-1" qtype="information">What is gout ?</Question>
<Answer>A <b>kind</b> of arthritis &amp; pain.</Answer></QAPair>
<QAPair pid="2"><Question qid="7-1" qtype="causes">What causes gout ?</Question></QAPair>
</QAPairs></Document>"""


def documents(folder: Path, **contents: str | bytes) -> list[Record | Unreadable]:
    for name, content in contents.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / f"{name}.xml").write_bytes(data)
    return read(corpus_in(folder, "medquad", "*.xml", fields=FIELDS, task="text_qa"))


def test_each_pair_is_a_record_and_a_repeated_qid_stays_apart(tmp_path: Path) -> None:
    first, second = documents(tmp_path, a=DOCUMENT)
    assert (first.key, second.key) == ("a.xml#7-1", "a.xml#7-1 (pair 1)")
    assert isinstance(first, Record)
    assert first.row["answer"] == "A kind of arthritis & pain."
    assert first.row["focus"] == "Gout"
    assert isinstance(second, Record)
    assert second.row["answer"] is None


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><Document><Focus>&b;</Focus></Document>'
KLINGON = '<?xml version="1.0" encoding="klingon"?><a/>'
EXTERNAL = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><Document><Focus>&a;</Focus></Document>'


@pytest.mark.parametrize(
    "bad",
    [BOMB, BOMB.encode("utf-16"), EXTERNAL, DOCUMENT[:300], "", b"<a>\xff</a>", KLINGON],
    ids=["entities", "entities_in_utf16", "external_entity", "truncated", "empty", "not_utf8", "unknown_encoding"],
)  # fmt: skip
def test_an_unsafe_or_broken_document_is_the_only_one_lost(tmp_path: Path, bad: str | bytes) -> None:
    *good, lost = documents(tmp_path, a=DOCUMENT, b=bad)
    assert len(good) == 2
    assert isinstance(lost, Unreadable)
    assert (lost.key, lost.reason) == ("b.xml", Reason.RECORD_MALFORMED)


def test_a_document_beyond_the_size_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(medquad, "MAX_XML_BYTES", 100)
    [lost] = documents(tmp_path, a=DOCUMENT)
    assert isinstance(lost, Unreadable)


def test_the_real_documents_have_1961_pairs_in_bounded_fragments(shared_data: Path) -> None:
    corpus = corpus_in(shared_data / "text/text_medquad", "medquad", "*_QA/*.xml", fields=FIELDS, task="text_qa")
    records = read(corpus)
    assert len(records) == 1961
    assert len({record.key for record in records}) == 1961
    assert all(isinstance(record, Record) and record.row["answer"].strip() for record in records)
    assert all(len(fragment.files) <= 256 for fragment in planned(corpus))


def test_a_fragment_says_that_it_counts_files_whose_pairs_are_more(tmp_path: Path) -> None:
    assert len(documents(tmp_path, a=DOCUMENT, b=DOCUMENT)) == 4
    [fragment] = planned(corpus_in(tmp_path, "medquad", "*.xml", fields=FIELDS, task="text_qa"))
    assert (fragment.records, fragment.counted) == (2, "files")
