import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import tostring

import pytest

from sources.cards import catalogue
from sources.identity import Identity
from sources.mapping import to_sample
from sources.readers import nxml, nxml_parse
from sources.readers.nxml_parse import parse_article_xml
from sources.readers.registry import reader_named
from sources.records import ChangedInputError, CorpusError, Record, RecordError, Unreadable
from sources.schema import Reason
from sources.uris import PICTURE
from tests.sources.corpora import PROMPTS, corpus_in, planned, read

FIELDS = {"text": "caption", "license": "license", "article": "article", "figure": "figure"}
CC_BY = (
    '<license><license-p><ext-link xlink:href="https://creativecommons.org/licenses/by/4.0/"/></license-p></license>'
)


def article(figures: str = "", body: str = "", meta: str = "", kind: str = "research-article") -> str:
    return f"""<!DOCTYPE article PUBLIC "-//NLM//DTD JATS v1.0//EN" "JATS-archivearticle1.dtd">
<article xmlns:xlink="http://www.w3.org/1999/xlink" article-type="{kind}" xml:lang="EN"><front><journal-meta>
<journal-title-group><journal-title>J Tests</journal-title></journal-title-group></journal-meta><article-meta>
<article-id pub-id-type="pmid">77</article-id><article-id pub-id-type="pmc">123</article-id>
<article-id pub-id-type="doi">10.1/ABC</article-id>
<title-group><article-title>On <italic>gout</italic></article-title></title-group>
<pub-date pub-type="ppub"><year>2012</year></pub-date><pub-date pub-type="epub"><year>2011</year></pub-date>
{meta or f"<permissions>{CC_BY}</permissions>"}</article-meta></front>
<body><p>See <xref ref-type="fig" rid="F1">Figure 1</xref>.</p>{body}{figures}</body></article>"""


FIGURE = """<fig id="F1"><label>Figure 1</label><caption><title>A hand.</title><p>With <bold>gout</bold>
 [<xref ref-type="bibr" rid="R1">3</xref>].</p></caption><graphic xlink:href="hand"/></fig>"""


def records(folder: Path, content: str | bytes, name: str = "PMC123/PMC123.nxml", **card: Any) -> list[Any]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read(corpus_in(folder, "nxml", "**/*.nxml", **{"fields": FIELDS, "task": "caption", **card}))


def test_a_figure_is_a_record_with_its_caption_article_and_the_paragraphs_that_cite_it(tmp_path: Path) -> None:
    [record] = records(tmp_path, article(FIGURE))
    assert record.key == "PMC123/PMC123.nxml#F1"
    assert record.row == {
        "article": ["PMC123", "PMID77"], "pmcid": "PMC123", "pmid": "77", "doi": "10.1/ABC", "title": "On gout",
        "journal": "J Tests", "year": "2011", "license": "CC-BY-4.0", "article_type": "research-article",
        "related": None, "language": "en", "caption": "A hand. With gout.", "label": "Figure 1",
        "figure": ["PMC123_hand.jpg"], "number": 0, "context": ["See Figure 1."], PICTURE: ["PMC123/hand.jpg"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "there", "found"),
    [
        ("hand", ["hand.png", "hand.gif"], "hand.png"),
        ("hand", ["hand.gif", "hand.tif"], "hand.gif"),
        ("hand", ["hand.gif", "hand.jpg"], "hand.jpg"),
        ("hand.v1", ["hand.v1.png"], "hand.v1.png"),
        ("hand.tif", ["hand.jpg"], "hand.jpg"),
        ("hand.eps", ["hand.png"], "hand.png"),
        ("hand.png", ["hand.jpg", "hand.png"], "hand.png"),
        ("hand", [], "hand.jpg"),
    ],
)
def test_a_picture_is_the_file_that_exists_beside_its_article(
    tmp_path: Path, written: str, there: list[str], found: str
) -> None:
    (tmp_path / "a").mkdir()
    for name in there:
        (tmp_path / "a" / name).write_bytes(b"x")
    [record] = records(tmp_path, article(FIGURE.replace('"hand"', f'"{written}"')), "a/a.nxml")
    assert record.row[PICTURE] == [f"a/{found}"]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "https://x.test/hand.jpg", "a/../../secret"])
def test_a_picture_that_leads_elsewhere_is_not_looked_for(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"x")
    [record] = records(tmp_path, article(FIGURE.replace('"hand"', f'"{name}"')))
    [uri] = record.row[PICTURE]
    corpus = corpus_in(tmp_path / "PMC123", "nxml", "*.nxml", fields=FIELDS, task="caption")
    assert uri == name
    assert corpus.root.stat(uri) is None


def test_figures_of_a_group_have_its_caption_and_their_own_pictures(tmp_path: Path) -> None:
    group = """<fig-group id="G"><caption><p>Hands.</p></caption>
    <fig id="A"><label>A</label><caption><p>Left.</p></caption><graphic xlink:href="left"/></fig>
    <fig id="B"><graphic xlink:href="right"/></fig></fig-group><p><xref ref-type="fig" rid="G">Both</xref> hurt.</p>"""
    first, second = records(tmp_path, article(group))
    assert (first.row["caption"], second.row["caption"]) == ("Hands. Left.", "Hands.")
    assert [record.row[PICTURE] for record in (first, second)] == [["PMC123/left.jpg"], ["PMC123/right.jpg"]]
    assert second.row["context"] == ["Both hurt."]


def test_alternatives_are_one_picture_and_several_graphics_are_several(tmp_path: Path) -> None:
    (tmp_path / "PMC123").mkdir()
    (tmp_path / "PMC123/small.png").write_bytes(b"x")
    graphics = '<alternatives><graphic xlink:href="big.tif"/><graphic xlink:href="small.png"/></alternatives>'
    figure = FIGURE.replace('<graphic xlink:href="hand"/>', graphics + '<graphic xlink:href="other"/>')
    [record] = records(tmp_path, article(figure))
    assert record.row[PICTURE] == ["PMC123/small.png", "PMC123/other.jpg"]
    assert record.row["figure"] == ["PMC123_small.png", "PMC123_other.jpg"]


def test_a_figure_without_a_picture_names_one_that_is_missing(tmp_path: Path) -> None:
    film = FIGURE.replace("<graphic", "<media")
    [record] = records(tmp_path, article(film))
    assert record.row[PICTURE] == ["PMC123/F1"]


@pytest.mark.parametrize(
    ("stated", "license_id"),
    [
        ('<license xlink:href="http://creativecommons.org/licenses/by-nc/3.0"/>', "CC-BY-NC-3.0"),
        ("<license><license-p>Under https://creativecommons.org/licenses/by/4.0/.</license-p></license>", "CC-BY-4.0"),
        ("<license><p>Creative Commons Attribution Non-Commercial License, which</p></license>", "LicenseRef-CC-BY-NC"),
        ("<license><p>CC license</p></license>", "unknown"),
        ('<license xlink:href="http://creativecommons.org/publicdomain/mark/1.0/"/>', "CC-PDM-1.0"),
        ('<license specific-use="textmining" xlink:href="http://creativecommons.org/licenses/by/4.0/"/>', "unknown"),
        ("<copyright-statement>(c) 2011 Somebody</copyright-statement>", "unknown"),
        ("<copyright-statement>The Creative Commons Attribution License</copyright-statement>", "LicenseRef-CC-BY"),
    ],
)
def test_the_licence_is_what_the_article_states(tmp_path: Path, stated: str, license_id: str) -> None:
    [record] = records(tmp_path, article(FIGURE, meta=f"<permissions>{stated}</permissions>"))
    assert record.row["license"] == license_id


def test_a_figure_with_permissions_of_its_own_has_not_its_articles_licence(tmp_path: Path) -> None:
    borrowed = "<permissions><copyright-statement>Reprinted from X</copyright-statement></permissions></fig>"
    [record] = records(tmp_path, article(FIGURE.replace("</fig>", borrowed)))
    assert record.row["license"] == "unknown"


def test_text_is_title_abstract_and_sections_without_tables_formulas_and_references(tmp_path: Path) -> None:
    body = """<sec><label>1</label><title>Methods</title><p>We saw<sup><xref ref-type="bibr" rid="r">1</xref>,<xref
    ref-type="bibr" rid="r">2</xref></sup> <italic>E. coli</italic> <inline-formula><tex-math>\\alpha</tex-math>
    </inline-formula>(as <xref ref-type="bibr" rid="r">Smith 2004</xref>).<table-wrap><table><tr><td>9</td></tr></table>
    </table-wrap></p><list><list-item><p>one</p></list-item></list></sec>"""
    meta = "<abstract><p>Short.</p></abstract><abstract abstract-type='graphical'><p>Picture.</p></abstract>"
    content = article(FIGURE, body, meta).replace("</body>", "</body><back><ref-list><ref>R</ref></ref-list></back>")
    [record] = records(tmp_path, content, options={"take": "text"}, task="text", fields={"text": "text"})
    assert record.key == "PMC123/PMC123.nxml"
    assert record.row["text"] == (
        "On gout\n\nAbstract\n\nShort.\n\nSee Figure 1.\n\nMethods\n\nWe saw E. coli (as Smith 2004).\n\none"
    )
    assert PICTURE not in record.row


def test_reviews_and_replies_in_the_same_file_are_left_out(tmp_path: Path) -> None:
    reply = f"<sub-article>{FIGURE.replace('F1', 'S1')}</sub-article></article>"
    assert [record.row["label"] for record in records(tmp_path, article(FIGURE).replace("</article>", reply))] == [
        "Figure 1"
    ]


def test_several_articles_in_a_file_are_told_apart(tmp_path: Path) -> None:
    one = article(FIGURE).partition('dtd">')[2]
    other = one.replace(">123<", ">124<")
    keys = [record.key for record in records(tmp_path, f"<pmc-articleset>{one}{other}</pmc-articleset>", "set.nxml")]
    assert keys == ["set.nxml#PMC123/F1", "set.nxml#PMC124/F1"]


def test_a_retraction_says_so_and_is_no_training_record_of_the_catalogues_card(tmp_path: Path) -> None:
    related = '<related-article related-article-type="retracted-article" xlink:href="x"/>'
    [record] = records(tmp_path, article(FIGURE, meta=related, kind="retraction"))
    assert (record.row["article_type"], record.row["related"]) == ("retraction", ["retracted-article"])
    card = catalogue()["pmc_oa"]
    corpus = corpus_in(tmp_path, "nxml", "**/*.nxml", **card.model_dump(exclude={"name", "reader", "layout"}))
    assert to_sample(corpus, "", record, PROMPTS)["split"] == "retracted"
    assert "retracted" not in card.training_splits


def bomb(depth: int) -> str:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, depth))
    return f'<!DOCTYPE article [<!ENTITY e0 "ha">{entities}]><article><body><p>&e{depth - 1};</p></body></article>'


OUTSIDE = '<!DOCTYPE article [<!ENTITY a SYSTEM "file:///etc/passwd">]><article><body><p>&a;</p></body></article>'
DEEP = "<article>" + "<sec>" * 5000 + "</sec>" * 5000 + "</article>"


@pytest.mark.parametrize(
    ("bad", "reason", "detail"),
    [
        (bomb(30), Reason.RECORD_MALFORMED, "its DTD declares entities, which are not expanded"),
        (bomb(30).encode("utf-16"), Reason.RECORD_MALFORMED, "its DTD declares entities, which are not expanded"),
        (OUTSIDE, Reason.RECORD_MALFORMED, "its DTD declares entities, which are not expanded"),
        (DEEP, Reason.RECORD_MALFORMED, "XML nested more than 200 deep"),
        (article(FIGURE)[:-30], Reason.RECORD_MALFORMED, "XML that is cut off, or empty"),
        (article(FIGURE)[:200], Reason.RECORD_MALFORMED, "XML that is cut off, or empty"),
        ("", Reason.RECORD_MALFORMED, "XML that is cut off, or empty"),
        ("<article><p></article>", Reason.RECORD_MALFORMED, "not well-formed XML (line 1)"),
        (b"<article>\xff</article>", Reason.RECORD_ENCODING, "not in the encoding it claims: convert it to UTF-8"),
        (
            '<?xml version="1.0" encoding="klingon"?><article/>',
            Reason.RECORD_ENCODING,
            "in an encoding that cannot be read: convert it to UTF-8",
        ),
        ("<html><body/></html>", Reason.RECORD_MALFORMED, "XML, but no JATS article: its root element is another"),
        (
            "<!DOCTYPE article SYSTEM 'x.dtd'><article><p>&mystery;</p></article>",
            Reason.RECORD_MALFORMED,
            "names a character that only its DTD explains",
        ),
    ],
    ids=["bomb", "bomb_in_utf16", "external_entity", "too_deep", "cut_off", "cut_off_in_a_tag", "empty",
         "not_well_formed", "not_utf8", "unknown_encoding", "html", "unknown_character"],
)  # fmt: skip
def test_an_unsafe_or_broken_article_is_the_only_one_lost(
    tmp_path: Path, bad: str | bytes, reason: Reason, detail: str
) -> None:
    records(tmp_path, article(FIGURE), "a.nxml")
    good, lost = records(tmp_path, bad, "b.nxml")
    assert isinstance(good, Record)
    assert lost == Unreadable("b.nxml", reason, detail)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1"])
def test_encodings_that_xml_declares_are_read(tmp_path: Path, encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    [record] = records(tmp_path, (declared + article(FIGURE.replace("hand.", "hañd."))).encode(encoding))
    assert record.row["caption"] == "A hañd. With gout."


def test_characters_that_the_public_dtd_names_are_kept(tmp_path: Path) -> None:
    [record] = records(tmp_path, article(FIGURE.replace("A hand.", "&alpha;-globin&nbsp;&deg;")))
    assert record.row["caption"].startswith("α-globin ° With")


def test_an_article_beyond_the_size_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nxml, "MAX_XML_BYTES", 100)
    [lost] = records(tmp_path, article(FIGURE))
    assert isinstance(lost, Unreadable)
    assert lost.detail.startswith("XML of more than")


def test_an_article_that_changed_after_planning_is_refused(tmp_path: Path) -> None:
    records(tmp_path, article(FIGURE))
    corpus = corpus_in(tmp_path, "nxml", "**/*.nxml", fields=FIELDS, task="caption")
    [fragment] = planned(corpus)
    (tmp_path / "PMC123/PMC123.nxml").write_text(article(FIGURE + FIGURE))
    with pytest.raises(ChangedInputError):
        list(reader_named("nxml").read(corpus, fragment))


def test_a_picture_that_comes_later_changes_the_fragment_of_its_article(tmp_path: Path) -> None:
    records(tmp_path, article(FIGURE))
    corpus = corpus_in(tmp_path, "nxml", "**/*.nxml", fields=FIELDS, task="caption")
    [before] = planned(corpus)
    (tmp_path / "PMC123/notes.txt").write_text("no picture")
    assert planned(corpus) == [before]
    (tmp_path / "PMC123/hand.png").write_bytes(b"x")
    [after] = planned(corpus)
    assert after.digest != before.digest
    [record] = reader_named("nxml").read(corpus, after)
    assert isinstance(record, Record)
    assert record.row[PICTURE] == ["PMC123/hand.png"]


def test_a_picture_that_comes_into_a_folder_below_changes_the_fragment_of_its_article(tmp_path: Path) -> None:
    figure = FIGURE.replace('"hand"', '"figures/print/hand"')
    records(tmp_path, article(figure))
    corpus = corpus_in(tmp_path, "nxml", "**/*.nxml", fields=FIELDS, task="caption")
    [before] = planned(corpus)
    (tmp_path / "PMC123/figures/print").mkdir(parents=True)
    (tmp_path / "PMC123/figures/print/hand.png").write_bytes(b"x")
    [after] = planned(corpus)
    assert after.digest != before.digest
    [record] = reader_named("nxml").read(corpus, after)
    assert isinstance(record, Record)
    assert record.row[PICTURE] == ["PMC123/figures/print/hand.png"]
    (tmp_path / "PMC1234").mkdir()
    (tmp_path / "PMC1234/hand.png").write_bytes(b"x")
    assert planned(corpus) == [after]


def test_fragments_are_bounded_and_count_files(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"{number}.nxml").write_text(article(FIGURE))
    fragments = planned(corpus_in(tmp_path, "nxml", "*.nxml", fields=FIELDS, task="caption"))
    assert sum(fragment.records for fragment in fragments) == 300
    assert all(fragment.counted == "files" and fragment.records <= nxml.MAX_FILES for fragment in fragments)


def test_an_unknown_take_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="take: 'both' is neither of 'figures', 'text'"):
        records(tmp_path, article(FIGURE), options={"take": "both"})


def test_a_keyed_corpus_stores_no_name_of_an_article(tmp_path: Path) -> None:
    [record] = records(tmp_path, article(FIGURE))
    corpus = corpus_in(tmp_path, "nxml", "**/*.nxml", fields=FIELDS, task="caption", identifiers="keyed")
    sample = to_sample(corpus, "", record, PROMPTS)
    assert "PMC123" not in str(sample)
    assert corpus.identity == Identity("test", corpus.identity.site_key)


def test_the_real_articles_have_the_figures_that_their_xml_has(shared_data: Path) -> None:
    folder = shared_data / "text/text_pmc_nxml"
    corpus = corpus_in(folder, "nxml", "data/*.nxml", fields=FIELDS, task="caption")
    found = [record for record in read(corpus) if isinstance(record, Record)]
    counts: dict[str, int] = {}
    for path in (folder / "data").glob("*.nxml"):
        counts[f"data/{path.name}"] = len(re.findall(r"<fig[ >]", path.read_text()))
    assert sum(counts.values()) == 17
    for path_of, count in counts.items():
        own = [record for record in found if record.key.startswith(f"{path_of}#")]
        assert len(own) == count
        assert all(record.row["caption"] and record.row["context"] for record in own)
    captions = {record.key: record.row["caption"] for record in found}
    assert captions["data/pone.0046493.nxml#pone-0046493-g001"].startswith("Chemical structure of inhibitors. Chemical")


def test_the_real_articles_are_told_by_their_ids_and_licences(shared_data: Path) -> None:
    folder = shared_data / "text/text_pmc_nxml"
    corpus = corpus_in(folder, "nxml", "data/*.nxml", options={"take": "text"}, fields={"text": "text"}, task="text")
    found = {record.key.removeprefix("data/"): record.row for record in read(corpus) if isinstance(record, Record)}
    assert {name: (row["pmcid"], row["pmid"], row["license"]) for name, row in found.items()} == {
        "1471-2180-11-174.nxml": ("PMC3166277", "21810267", "CC-BY-2.0"),
        "1472-6831-8-11.nxml": ("PMC2329613", "18405359", "CC-BY-2.0"),
        "6605965a.nxml": ("PMC2994229", "21045829", "unknown"),
        "ehp-116-1694.nxml": ("PMC2599765", "19079722", "CC-PDM-1.0"),
        "mds526.nxml": ("PMC3574550", "23149571", "CC-BY-NC-3.0"),
        "pntd.0002065.nxml": ("PMC3585041", "23469300", "LicenseRef-CC-BY"),
        "pone.0000217.nxml": ("PMC1790863", "17299597", "LicenseRef-CC-BY"),
        "pone.0046493.nxml": ("PMC3460867", "23029536", "LicenseRef-CC-BY"),
    }
    for row in found.values():
        assert row["text"].startswith(row["title"])
        assert 10_000 < len(row["text"]) < 100_000


@pytest.mark.parametrize("root", ["response", "table", "ref-list"])
def test_xml_whose_root_is_passed_over_costs_itself(root: str) -> None:
    with pytest.raises(RecordError, match="no article"):
        parse_article_xml(f"<{root}><a/></{root}>".encode(), frozenset({root}))


QUIRKS = """<?xml version="1.0" encoding="utf-8"?><!DOCTYPE article PUBLIC "-//NLM//DTD" "JATS.dtd">
<article xmlns:m="urn:m" xmlns:xlink="urn:x" xml:lang="en" lang="de">
<!-- said --><front><m:math>1</m:math>a<?pi?>b</front>
<body>x<table><tr>1<p>deep</p></tr></table>y<p xlink:href="u" href="v">\u00e9&amp;&#945;<table/>z<i>t</i><m:math/>w</p>
<table/>end<![CDATA[<p>]]></body></article>"""


def test_both_parsers_make_the_same_tree(monkeypatch: pytest.MonkeyPatch, shared_data: Path) -> None:
    real = [path.read_bytes() for path in sorted((shared_data / "text/text_pmc_nxml").rglob("*.nxml"))]
    documents = [QUIRKS.encode(), b"\xef\xbb\xbf<a><math/>b</a>", *real]
    skipped = frozenset(("math", "table", "ref-list", "sub-article"))
    quickly = [tostring(parse_article_xml(data, skipped)) for data in documents]
    assert sum(nxml_parse._plain_document(data, skipped) is not None for data in documents) == len(documents)
    monkeypatch.setattr(nxml_parse, "PLAIN_BYTES", 0)
    assert quickly == [tostring(parse_article_xml(data, skipped)) for data in documents]


@pytest.mark.parametrize("whole_bytes", [nxml_parse.PLAIN_BYTES, 0], ids=["plain", "any"])
@pytest.mark.parametrize(("kept", "passed_over"), [(200, 0), (201, 0), (1, 100_000), (200, 5000), (201, 5000)])
def test_nesting_counts_in_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, whole_bytes: int, kept: int, passed_over: int
) -> None:
    monkeypatch.setattr(nxml_parse, "PLAIN_BYTES", whole_bytes)
    inside = "<math>" * passed_over + "x" + "</math>" * passed_over
    data = ("<p>" * kept + inside + "</p>" * kept).encode()
    if kept > nxml_parse.MAX_DEPTH:
        with pytest.raises(RecordError, match="nested more than 200 deep"):
            parse_article_xml(data, frozenset({"math"}))
    else:
        root = parse_article_xml(data, frozenset({"math"}))
        assert sum(1 for _ in root.iter()) == kept
