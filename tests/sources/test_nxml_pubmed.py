import tracemalloc
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from sources.readers import nxml_pubmed
from sources.readers.registry import reader_named
from sources.records import FRAGMENT_RECORDS, CorpusError, Record, Unreadable
from sources.schema import Reason
from tests.sources.corpora import corpus_in, planned, read

HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle//EN" "x.dtd">\n'
    "<PubmedArticleSet>\n"
)
TAIL = "</PubmedArticleSet>"


def citation(pmid: int, abstract: str = "<AbstractText>Hurts.</AbstractText>") -> str:
    return f"""<PubmedArticle><MedlineCitation Status="MEDLINE"><PMID Version="1">{pmid}</PMID><Article>
<Journal><JournalIssue><PubDate><MedlineDate>1998 Dec-1999 Jan</MedlineDate></PubDate></JournalIssue>
<Title>J</Title></Journal>
<ArticleTitle>On <i>gout</i> {pmid}.</ArticleTitle><Abstract>{abstract}</Abstract><Language>eng</Language>
<PublicationTypeList><PublicationType UI="D1">Retracted Publication</PublicationType></PublicationTypeList></Article>
</MedlineCitation><PubmedData><ReferenceList/></PubmedData></PubmedArticle>\n"""


def corpus(folder: Path, content: str | bytes) -> Any:
    (folder / "pubmed.xml").write_bytes(content if isinstance(content, bytes) else content.encode())
    return corpus_in(folder, "pubmed", "*.xml", fields={"text": "text", "article": "article"})


def test_a_citation_is_a_record_of_title_and_labelled_abstract(tmp_path: Path) -> None:
    abstract = '<AbstractText Label="AIM">See.</AbstractText><AbstractText Label="END">Seen.</AbstractText>'
    [record] = read(corpus(tmp_path, HEAD + citation(7, abstract) + TAIL))
    assert isinstance(record, Record)
    assert record == Record("0", {
        "article": "PMID7", "pmid": "7", "doi": None, "title": "On gout 7.", "abstract": "AIM: See.\n\nEND: Seen.",
        "text": "On gout 7.\n\nAIM: See.\n\nEND: Seen.", "journal": "J", "year": "1998", "language": "eng",
        "types": ["Retracted Publication"],
    })  # fmt: skip


@pytest.mark.parametrize("chunk", [1, 7, 100, 2**20])
def test_citations_are_the_same_whatever_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(nxml_pubmed, "READ_BYTES", chunk)
    made = corpus(tmp_path, "<PubmedArticleSet>" + "".join(citation(n) for n in range(20)) + TAIL)
    with made.root.open("pubmed.xml") as file:
        found = list(nxml_pubmed.split_citations(file, 0, made.root.stat("pubmed.xml").size))
    assert [piece.data for piece in found] == [citation(n).strip().encode() for n in range(20)]


def test_a_broken_citation_and_one_cut_off_are_the_only_ones_lost(tmp_path: Path) -> None:
    broken = citation(1).replace("</ArticleTitle>", "")
    unclosed = citation(2).replace("</PubmedArticle>", "")
    wrong = citation(3).encode().replace(b"Hurts", b"Hur\xe9")
    start = (HEAD + citation(0) + broken + unclosed).encode()
    items = read(corpus(tmp_path, start + wrong + (citation(4) + citation(5)[:200]).encode()))
    assert [type(item) for item in items] == [Record, Unreadable, Unreadable, Unreadable, Record, Unreadable]
    lost = [item for item in items if isinstance(item, Unreadable)]
    assert [item.key for item in lost] == ["1", "2", "3", "5"]
    assert [item.reason for item in lost] == [
        Reason.RECORD_MALFORMED, Reason.RECORD_MALFORMED, Reason.RECORD_ENCODING, Reason.RECORD_MALFORMED,
    ]  # fmt: skip
    assert lost[1].detail == lost[3].detail == nxml_pubmed.CUT_OFF


def test_a_file_of_another_kind_and_a_compressed_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="is no PubmedArticleSet"):
        planned(corpus(tmp_path, "<article/>"))
    with pytest.raises(CorpusError, match="is compressed"):
        planned(corpus(tmp_path, b"\x1f\x8b\x08\0"))


def test_fragments_are_bounded_and_appended_citations_change_only_the_last(tmp_path: Path) -> None:
    many = "".join(citation(n) for n in range(9000))
    before = planned(corpus(tmp_path, HEAD + many + TAIL))
    after = planned(corpus(tmp_path, HEAD + many + citation(9000) + TAIL))
    assert [fragment.records for fragment in before] == [
        FRAGMENT_RECORDS,
        FRAGMENT_RECORDS,
        9000 - 2 * FRAGMENT_RECORDS,
    ]
    assert [fragment.digest for fragment in after[:2]] == [fragment.digest for fragment in before[:2]]


def test_memory_is_bounded_by_a_citation(tmp_path: Path) -> None:
    made = corpus(
        tmp_path,
        HEAD + "".join(citation(n, "<AbstractText>" + "word " * 1700 + "</AbstractText>") for n in range(1_200)) + TAIL,
    )
    assert made.root.stat("pubmed.xml").size > 9 * 2**20
    reader = reader_named("pubmed")
    tracemalloc.start()
    count = sum(1 for fragment in reader.plan(made, made.files) for _ in reader.read(made, fragment))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 1_200
    assert peak < 6 * 2**20


def test_the_real_citation_says_what_elementtree_finds_in_it(shared_data: Path) -> None:
    folder = shared_data / "text/text_pmc_nxml/data"
    [record] = read(corpus_in(folder, "pubmed", "pubmed-*.xml", fields={"text": "text"}))
    assert isinstance(record, Record)
    oracle = ET.parse(folder / "pubmed-29768149.xml").getroot()
    parts = [
        f"{part.get('Label')}: {' '.join(''.join(part.itertext()).split())}" for part in oracle.iter("AbstractText")
    ]
    assert len(parts) == 4
    assert record.row["abstract"] == "\n\n".join(parts)
    assert record.row["title"] == "Inhaled Combined Budesonide-Formoterol as Needed in Mild Asthma."
    assert (record.row["article"], record.row["year"], record.row["doi"]) == (
        "PMID29768149",
        "2018",
        "10.1056/NEJMoa1715274",
    )
