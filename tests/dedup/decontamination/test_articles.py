"""PMID and PMCID."""

import gzip
import io

import pyarrow as pa
import pytest

from dedup.decontamination.articles import ArticleMap, ArticleMapError, articles_in

NCBI = (
    "Journal Title,ISSN,eISSN,Year,Volume,Issue,Page,DOI,PMCID,PMID,Manuscript Id,Release Date\n"
    '"Breast, Cancer Res",1465-5411,1465-542X,2000,3,1,55,,PMC13900,11250746,,live\n'
    "Breast Cancer Res,1465-5411,1465-542X,2000,3,1,61,,PMC13901,11250747,,live\n"
    "Breast Cancer Res,1465-5411,1465-542X,2000,3,1,66,,PMC13902,,,live\n"
)


def test_ncbi_s_table_gives_the_pairs_that_are_asked_for() -> None:
    articles = ArticleMap.read(io.BytesIO(NCBI.encode()), ["PMC13900", "PMID11250747", "PMC13902"])
    assert articles.names("PMC13900") == ("PMC13900", "PMID11250746")
    assert articles.names("PMID11250747") == ("PMID11250747", "PMC13901")
    assert articles.names("PMC13902") == ("PMC13902",)
    assert ArticleMap.read(io.BytesIO(NCBI.encode()), ["PMC13900"]).names("PMC13901") == ("PMC13901",)


def test_a_table_without_these_columns_is_refused_without_its_content() -> None:
    for data in (b"pmc,pmid\nPMC1,2\n", b"", gzip.compress(NCBI.encode())):
        with pytest.raises(ArticleMapError, match="not a CSV with the columns PMCID and PMID"):
            ArticleMap.read(io.BytesIO(data), ["PMC13900"])


def test_an_id_in_two_articles_is_in_none() -> None:
    articles = ArticleMap.of([("PMC1", "PMID1"), ("PMC1", "PMID2"), ("PMC3", "PMID3"), ("PMC3", "PMID3")])
    assert [articles.names(name) for name in ("PMC1", "PMID1", "PMID2")] == [("PMC1",), ("PMID1",), ("PMID2",)]
    assert articles.names("PMID3") == ("PMID3", "PMC3")


def test_records_that_name_both_give_pairs() -> None:
    def article(*names: str) -> list[dict[str, str]]:
        return [{"kind": "article", "id": name} for name in names]

    articles = ArticleMap.from_groups([article("PMC9", "PMID8"), article("PMC7"), article("PMC1", "PMC2", "PMID3"), []])
    assert articles.partners == {"PMC9": "PMID8", "PMID8": "PMC9"}


def test_the_articles_of_items_are_what_a_table_is_asked_for() -> None:
    groups = [[{"kind": "article", "id": "PMC13900"}, {"kind": "figure", "id": "PMC13900_Fig1"}], [], None]
    items = pa.table({"groups": pa.array(groups, pa.list_(pa.struct({"kind": pa.string(), "id": pa.string()})))})
    assert articles_in(items) == {"PMC13900"}
    assert ArticleMap.read(io.BytesIO(NCBI.encode()), articles_in(items)).names("PMC13900")[1] == "PMID11250746"
