"""One article, several names: PubMed's PMID and PubMed Central's PMCID."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

PMC, PMID = "PMC", "PMID"


class ArticleMapError(ValueError):
    """A map of article ids is not in its form. The message says what was expected."""


@dataclass(frozen=True)
class ArticleMap:
    """Pairs of names of one article, `PMC...` and `PMID...`; a name with two partners has none."""

    partners: dict[str, str] = field(default_factory=dict)
    """Name -> the other name, both ways."""

    def names(self, article: str) -> tuple[str, ...]:
        """All names of an article, the given one first."""
        other = self.partners.get(article)
        return (article,) if other is None else (article, other)

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> "ArticleMap":
        """The map of (PMCID, PMID) pairs; ids that are in two different ones are left out."""
        partners: dict[str, str] = {}
        doubtful: set[str] = set()
        for pmc, pmid in pairs:
            for name, other in ((pmc, pmid), (pmid, pmc)):
                if partners.setdefault(name, other) != other:
                    doubtful.add(name)
        return cls({a: b for a, b in partners.items() if a not in doubtful and b not in doubtful})

    @classmethod
    def read(cls, file: BinaryIO, wanted: Iterable[str]) -> "ArticleMap":
        """The map from a CSV with the columns PMCID and PMID, as NCBI publishes (PMC-ids.csv, plain or in gzip).

        Only pairs with a name of `wanted` are kept: an eval set's articles are few, NCBI's table has millions.

        Raises:
            ArticleMapError: it is no CSV with these columns.
        """
        try:
            reader = csv.open_csv(file, convert_options=_columns())
            tables = [
                _pairs(pa.Table.from_batches([batch]), pa.array(sorted(set(wanted)), pa.string())) for batch in reader
            ]
        except (pa.ArrowInvalid, pa.ArrowKeyError):
            raise ArticleMapError("not a CSV with the columns PMCID and PMID") from None
        return cls.of(
            (pmc, pmid)
            for table in tables
            for pmc, pmid in zip(table["PMCID"].to_pylist(), table["PMID"].to_pylist(), strict=True)
        )

    @classmethod
    def from_groups(cls, groups: Iterable[list[dict[str, str]]]) -> "ArticleMap":
        """The map from records that name their one article both ways (lists of `{kind, id}`)."""
        pairs = []
        for listed in groups:
            articles = [group["id"] for group in listed or () if group["kind"] == "article"]
            pmcs = [name for name in articles if name.startswith(PMC)]
            pmids = [name for name in articles if name.startswith(PMID)]
            if len(pmcs) == 1 and len(pmids) == 1:
                pairs.append((pmcs[0], pmids[0]))
        return cls.of(pairs)


def articles_in(items: pa.Table) -> frozenset[str]:
    """The names of articles that the groups of ITEMS (or of SAMPLES) have: what `ArticleMap.read` is asked for."""
    groups = pc.list_flatten(items["groups"].combine_chunks())
    named = groups.filter(pc.equal(groups.field("kind"), "article")).field("id")
    return frozenset(named.drop_null().to_pylist())


def _columns() -> csv.ConvertOptions:
    types = {"PMCID": pa.string(), "PMID": pa.string()}
    return csv.ConvertOptions(include_columns=list(types), column_types=types, strings_can_be_null=True)


def _pairs(table: pa.Table, wanted: pa.Array) -> pa.Table:
    pmid = pc.binary_join_element_wise(PMID, pc.utf8_trim_whitespace(table["PMID"]), "")
    pmc = pc.utf8_trim_whitespace(table["PMCID"])
    named = pc.and_(pc.match_substring_regex(pmc, r"^PMC[0-9]+$"), pc.match_substring_regex(pmid, r"^PMID[0-9]+$"))
    asked = pc.or_(pc.is_in(pmc, wanted), pc.is_in(pmid, wanted))
    return pa.table({"PMCID": pmc, "PMID": pmid}).filter(pc.and_(named, asked))
