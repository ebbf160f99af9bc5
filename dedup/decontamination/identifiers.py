"""Identities inside names: articles, figures, patients, studies, cases, slides and lesions that a file name tells.

A wrong group is worse than none. Every pattern is the exact form in which one known collection names its files, with
its boundaries; plain numbers are never a group.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.identity import storable

MAX_UID_CHARACTERS = 64
MIN_UID_CHARACTERS = 20
_START, _END = "(?:^|[^0-9A-Za-z])", "(?:[^0-9A-Za-z]|$)"
_NAME = "(?:^|[/#])"
"""Where a file name or a record's id begins (a source key is `path#id`)."""
_TCGA = "TCGA-[0-9A-Z]{2}-[0-9A-Z]{4}"
UID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,38})){5,}")
"""A DICOM UID (PS3.5 section 9.1): world-wide unique, whatever it is called."""
REGISTERED = "1.2.840.10008."
"""UIDs of the standard itself: of a class or a syntax, of no patient."""

FOUND = pa.schema([pa.field("row", pa.int32()), pa.field("kind", pa.string()), pa.field("id", pa.string())])
"""Groups found inside texts, by the number of the text; sorted by row, then by the order of the patterns."""


@dataclass(frozen=True)
class Identifier:
    """The form of one collection's names: the group `id` of the pattern (RE2 and `re` alike), after a prefix."""

    kind: str
    pattern: str
    prefix: str = ""


IDENTIFIERS: tuple[Identifier, ...] = (
    Identifier("article", rf"{_START}(?P<id>PMC[0-9]{{4,8}}){_END}"),
    Identifier("figure", rf"{_START}(?P<id>PMC[0-9]{{4,8}}_[Ff]ig[0-9]{{1,3}}){_END}"),
    Identifier("article", rf"{_START}PMID[ :_-]{{0,2}}(?P<id>[0-9]{{5,8}}){_END}", "PMID"),
    # LLaVA-Med: `17506892_F1`, a PubMed id and a figure
    Identifier("article", rf"{_NAME}(?P<id>[1-9][0-9]{{6,7}})_F[0-9]{{1,3}}(?:[._]|$)", "PMID"),
    Identifier("figure", rf"{_NAME}(?P<id>[1-9][0-9]{{6,7}}_F[0-9]{{1,3}})(?:[._]|$)", "PMID"),
    # MedPix: VQA-RAD, VQA-Med and MedPix 2.0 (`MPX1009_synpic46283.png`)
    Identifier("case", rf"{_START}(?P<id>synpic[0-9]{{2,6}}){_END}"),
    Identifier("case", rf"{_START}(?P<id>MPX[0-9]{{4}}){_END}"),
    # SLAKE: `xmlab102/source.jpg`; the catalogue's card calls the case so
    Identifier("case", rf"{_START}(?P<id>xmlab[0-9]{{1,4}}){_END}", "slake-"),
    # Open-i (IU X-ray): `CXR1020_IM-0017-1001`, `CXR1_1_IM-0001-3001`, the bare id, `1_IM-0001-4001.dcm.png`
    Identifier("study", rf"{_START}(?P<id>CXR[0-9]{{1,4}})_(?:[0-9]_)?IM-[0-9]{{4}}"),
    Identifier("study", rf"{_NAME}(?P<id>CXR[0-9]{{1,4}})(?:\.[a-z]+)?$"),
    Identifier("study", rf"{_NAME}(?P<id>[0-9]{{1,4}})_IM-[0-9]{{4}}-[0-9]{{4}}", "CXR"),
    # NIH ChestX-ray14: `00002658_001.png`; it has 30,805 patients, which no date looks like
    Identifier("patient", rf"{_NAME}(?P<id>000[0-3][0-9]{{4}})_[0-9]{{3}}(?:\.[A-Za-z]+)?$", "nih-"),
    Identifier("study", rf"{_NAME}(?P<id>000[0-3][0-9]{{4}}_[0-9]{{3}})(?:\.[A-Za-z]+)?$", "nih-"),
    # MIMIC-CXR: `files/p10/p10000032/s50414267/<dicom>.jpg`
    Identifier("patient", r"(?:^|/)p1[0-9]/(?P<id>p1[0-9]{7})(?:/|$)"),
    Identifier("study", r"(?:^|/)p1[0-9]/p1[0-9]{7}/(?P<id>s5[0-9]{7})(?:[/.]|$)"),
    # CheXpert: `patient00001/study1/view1_frontal.jpg`
    Identifier("patient", r"(?:^|/)(?P<id>patient[0-9]{5})/study[0-9]{1,2}/view[0-9]", "chexpert-"),
    Identifier("study", r"(?:^|/)(?P<id>patient[0-9]{5}/study[0-9]{1,2})/view[0-9]", "chexpert-"),
    Identifier("patient", rf"{_START}(?P<id>{_TCGA}){_END}"),
    Identifier("slide", rf"{_START}(?P<id>{_TCGA}-[0-9]{{2}}[A-Z]-[0-9]{{2}}-[A-Z]{{2}}[0-9A-Z]{{1,2}}){_END}"),
    Identifier("lesion", rf"{_START}(?P<id>HAM_[0-9]{{7}}){_END}"),
    Identifier("series", r"(?:^|[^0-9.])(?P<id>[0-2](?:\.(?:0|[1-9][0-9]{0,38})){5,})(?:[^0-9]|$)"),
)  # fmt: skip
_LIKELY = (
    r"PMC[0-9]|PMID|[0-9]_F[0-9]|synpic|MPX[0-9]|xmlab|CXR[0-9]|_IM-[0-9]|000[0-3][0-9]{4}_|/s5[0-9]|p1[0-9]/p1|"
    r"/study[0-9]|TCGA-|HAM_[0-9]|[0-9]\.[0-9]+\.[0-9]+\.[0-9]+\.[0-9]"
)
"""Cheap to look for, and in every text that any pattern matches."""


def identifiers_in(texts: Iterable[str]) -> list[tuple[str, str]]:
    """(kind, id) of the groups inside some names, each once, in the order found."""
    given = [text for text in texts if storable(text) == text]
    found = identifiers_of(pa.array(given, pa.string()))
    return list(dict.fromkeys(zip(found["kind"].to_pylist(), found["id"].to_pylist(), strict=True)))


def identifiers_of(texts: pa.Array | pa.ChunkedArray) -> pa.Table:
    """FOUND of many texts (nulls have none). Of each pattern the first match in a text counts."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    looks = pc.fill_null(pc.match_substring_regex(texts, _LIKELY), fill_value=False)
    likely = np.flatnonzero(looks.to_numpy(zero_copy_only=False))
    if not len(likely):
        return FOUND.empty_table()
    looked_at = texts.take(pa.array(likely))
    rows, kinds, ids = [], [], []
    for identifier in IDENTIFIERS:
        matched = pc.struct_field(pc.extract_regex(looked_at, identifier.pattern), "id")
        there = np.flatnonzero(matched.is_valid().to_numpy(zero_copy_only=False))
        if not len(there):
            continue
        named = _acceptable(identifier, matched.take(pa.array(there)))
        kept = np.flatnonzero(named.is_valid().to_numpy(zero_copy_only=False))
        rows.append(likely[there[kept]])
        ids.append(named.take(pa.array(kept)))
        kinds.append(pa.repeat(identifier.kind, len(kept)))
    if not rows:
        return FOUND.empty_table()
    order = np.argsort(np.concatenate(rows), kind="stable")
    columns = [pa.array(np.concatenate(rows).astype(np.int32)), pa.concat_arrays(kinds), pa.concat_arrays(ids)]
    return pa.table([column.take(pa.array(order)) for column in columns], schema=FOUND)


def _acceptable(identifier: Identifier, ids: pa.Array) -> pa.Array:
    """The ids with their prefix; null for UIDs that name no patient's study."""
    if identifier.kind == "series":
        length = pc.utf8_length(ids)
        long_enough = pc.and_(pc.greater_equal(length, MIN_UID_CHARACTERS), pc.less_equal(length, MAX_UID_CHARACTERS))
        named = pc.and_(long_enough, pc.invert(pc.starts_with(ids, REGISTERED)))
        return pc.if_else(named, ids, pa.scalar(None, pa.string()))
    if identifier.kind == "figure":
        ids = pc.replace_substring(ids, "_fig", "_Fig")
    return pc.binary_join_element_wise(identifier.prefix, ids, "") if identifier.prefix else ids
