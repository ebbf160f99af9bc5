import pytest

from sources.readers.nxml_parse import parse_article_xml
from sources.readers.nxml_text import blocks_of

CITED = '<xref ref-type="bibr" rid="r">{}</xref>'


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        ("a [@1,@2] b.", "a b."),
        ("a [@1].", "a."),
        ("cells<sup>@1,@2</sup>. The", "cells. The"),
        ("Wang et al. [@1].", "Wang et al."),
        ("described@4,@5, compared", "described, compared"),
        ("(@1; @2\u2013@4) then", "then"),
        ("see [@1, their figure five].", "see [their figure five]."),
        ("(@Smith showed) cm<sup>2</sup> [3, 4] ...", "(Smith showed) cm2 [3, 4] ..."),
        ("<bold>b</bold>old <xref ref-type='fig' rid='F'>Fig. 1</xref>", "bold Fig. 1"),
        ("line<break/>line <!-- no --> &lt;3", "line line <3"),
    ],
)
def test_citation_numbers_leave_no_marks_behind(xml: str, text: str) -> None:
    parts = xml.split("@")
    rebuilt = parts[0]
    for part in parts[1:]:
        cited = "Smith" if part.startswith("Smith") else part[0]
        rebuilt += CITED.format(cited) + part[len(cited) :]
    assert blocks_of(parse_article_xml(f"<p>{rebuilt}</p>".encode(), frozenset())) == [text]


def test_paragraphs_titles_and_list_items_stand_apart_in_reading_order() -> None:
    listed = "<list><list-item><label>1</label><p>b</p></list-item></list>"
    xml = f"<body><p>a{listed}c</p><sec><title>T</title><p/></sec></body>"
    assert blocks_of(parse_article_xml(xml.encode(), frozenset())) == ["a", "b", "c", "T"]
