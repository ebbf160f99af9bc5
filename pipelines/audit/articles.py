"""The other names of the eval sets' articles: a PMID for a PMCID, by NCBI's table."""

import gzip
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from dedup.decontamination.articles import ArticleMap, ArticleMapError, articles_in
from pipelines.errors import UsageError
from pipelines.work import Part, Work, key_of

NODE = "audit_articles"
VERSION = 1
_PAIRS = pa.schema([pa.field("name", pa.string(), nullable=False), pa.field("other", pa.string(), nullable=False)])


def articles_part(work: Work, items: Part, file: str | None) -> Part | None:
    """The pairs of names of the items' articles, committed; None without a table. Its digest is of these pairs only.

    Raises:
        UsageError: the file cannot be read, or is no CSV with the columns PMCID and PMID.
    """
    if file is None:
        return None
    wanted = articles_in(work.read(items, ["groups"]))
    try:
        with ExitStack() as opened:
            raw = opened.enter_context(Path(file).open("rb"))
            plain = opened.enter_context(gzip.open(raw)) if file.endswith(".gz") else raw
            partners = ArticleMap.read(plain, wanted).partners  # type: ignore[arg-type]  # gzip's file is as good
    except (OSError, EOFError) as error:
        raise UsageError(f"--articles {file}: cannot be read ({type(error).__name__})", "check the path") from None
    except ArticleMapError as error:
        raise UsageError(f"--articles {file}: {error}", "NCBI publishes it as PMC-ids.csv") from None
    pairs = sorted(partners.items())
    key = key_of(NODE, VERSION, pairs)
    found = work.find(NODE, key)
    if found is None:
        columns = [pa.array([pair[side] for pair in pairs], pa.string()) for side in (0, 1)]
        found = work.put(NODE, key, {"articles": pa.table(columns, schema=_PAIRS)})
    return found.parts["articles"]


def article_map(work: Work, part: Part | None) -> ArticleMap | None:
    """The map of committed pairs."""
    if part is None:
        return None
    table = work.read(part)
    return ArticleMap(dict(zip(table["name"].to_pylist(), table["other"].to_pylist(), strict=True)))
