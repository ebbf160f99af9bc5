"""The group channel."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.decontamination.articles import ArticleMap
from dedup.decontamination.groups import GroupIndex
from dedup.decontamination.items import ITEMS
from sources.schema import SAMPLES
from tests.dedup.evalsets.sets import placed

Groups = list[tuple[str, str]]


def items(*groups: Groups, eval_set: str = "probe") -> pa.Table:
    """An eval set of items with these groups."""
    return pa.Table.from_pylist(
        [
            {
                "eval_set": eval_set, "eval_id": str(number), "license": "unknown", "access": "open", "digest": "",
                "groups": [{"kind": kind, "id": name} for kind, name in listed],
            }
            for number, listed in enumerate(groups)
        ],
        schema=ITEMS,
    )  # fmt: skip


def samples(
    *groups: Groups, source: str = "data", keys: list[str] | None = None, uris: list[str] | None = None
) -> pa.Table:
    """Training samples with these groups, keys and pictures."""
    rows: list[dict[str, Any]] = [
        {
            "sample_id": f"{number:032x}", "source": source,
            "source_key": keys[number] if keys else f"a.jsonl#{number}",
            "task": "text", "license": "unknown", "access": "open",
            "images": [{"uri": uris[number]}] if uris else None,
            "groups": [{"kind": kind, "id": name} for kind, name in listed],
        }
        for number, listed in enumerate(groups)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SAMPLES)


def found(index: GroupIndex, data: pa.Table) -> list[tuple[int, str, str, list[int]]]:
    return [(hit["row"], hit["kind"], hit["id"], hit["items"]) for hit in index.hits(data).to_pylist()]


def test_a_sample_of_the_same_patient_meets_all_of_the_patient_s_items() -> None:
    index = GroupIndex.of(items([("patient", "p1")], [("patient", "p2")], [("patient", "p1"), ("study", "s9")]))
    data = samples([("patient", "p3")], [("patient", "p1"), ("study", "s9")], [("study", "p1")])
    assert found(index, data) == [(1, "patient", "p1", [0, 2]), (1, "study", "s9", [2])]


def test_the_index_is_the_same_after_it_was_stored() -> None:
    index = GroupIndex.of(items([("patient", "p1")], [], [("patient", "p1"), ("study", "s9")]))
    again = GroupIndex.from_tables(index.tables())
    data = samples([("patient", "p1")], [("study", "s9")])
    assert found(again, data) == found(index, data) == [(0, "patient", "p1", [0, 2]), (1, "study", "s9", [2])]
    nothing = GroupIndex.from_tables(GroupIndex.of(items()).tables())
    assert found(nothing, data) == []


def test_ids_inside_keys_paths_and_other_ids_count() -> None:
    index = GroupIndex.of(items([("case", "synpic123")], [("article", "PMC1234567")]))
    data = samples(
        [], [], [("figure", "PMC1234567_gr1.jpg")],
        keys=["a.json#x_synpic123", "a.json#1", "a.json#2"], uris=["a/1.jpg", "train/synpic123.jpg", "c.jpg"],
    )  # fmt: skip
    assert found(index, data) == [
        (0, "case", "synpic123", [0]), (1, "case", "synpic123", [0]), (2, "article", "PMC1234567", [1]),
    ]  # fmt: skip


def test_plain_numbers_count_inside_one_corpus_alone() -> None:
    index = GroupIndex.of(
        items([("patient", "2")], eval_set="chexlike"), corpora={"chexlike": frozenset({"chex_train"})}
    )
    same = samples([("patient", "2")], source="chexlike")
    parent = samples([("patient", "2")], source="chex_train")
    stranger = samples([("patient", "2")], source="another_hospital")
    assert [len(found(index, data)) for data in (same, parent, stranger)] == [1, 1, 0]


def test_a_uid_is_itself_whatever_it_is_called() -> None:
    uid = "1.2.840.113619.2.55.3.2831868886.123"
    index = GroupIndex.of(items([("study", uid)]))
    assert found(index, samples([("series", uid)], [], uris=["a.jpg", f"{uid}.dcm"])) == [
        (0, "study", uid, [0]), (1, "study", uid, [0]),
    ]  # fmt: skip


def test_an_article_is_found_by_its_other_name() -> None:
    """LLaVA-Med names articles by PubMed's ids, PMC-VQA by PubMed Central's."""
    index = GroupIndex.of(items([("article", "PMC13900")]), ArticleMap.of([("PMC13900", "PMID11250746")]))
    data = samples([], [], uris=["11250746_F2.jpg", "PMC13900_Fig2.jpg"])
    assert found(index, data) == [(0, "article", "PMC13900", [0]), (1, "article", "PMC13900", [0])]
    assert found(GroupIndex.of(items([("article", "PMC13900")])), samples([], uris=["11250746_F2.jpg"])) == []


names = st.lists(st.tuples(st.sampled_from(["patient", "case"]), st.sampled_from(["a1", "b2", "c3", "7"])), max_size=4)


@settings(deadline=None, max_examples=50)
@given(st.lists(names, max_size=6), st.lists(names, max_size=6))
def test_hits_are_those_that_comparing_everything_finds(theirs: list[Groups], ours: list[Groups]) -> None:
    hits = found(GroupIndex.of(items(*theirs, eval_set="data")), samples(*ours))
    expected = [
        (row, kind, name, [number for number, groups in enumerate(theirs) if (kind, name) in groups])
        for row, listed in enumerate(ours)
        for kind, name in sorted(set(listed))
        if any((kind, name) in groups for groups in theirs)
    ]
    assert hits == expected


@pytest.fixture(scope="module")
def roco_training(shared_data: Path) -> pa.Table:
    """ROCO's training side: of its radiology part the corpus here has ids and articles alone."""
    rows = []
    for part in ("radiology", "non-radiology"):
        with (shared_data / f"text/caption_roco/data/train/{part}/licences.txt").open(newline="") as file:
            for line in csv.DictReader(file):
                article = re.match(r"PMC\d+(?=_)", line["PMC_ID"])
                rows.append((f"{line['ROCO_ID']}", [("article", article.group())] if article else []))
    return samples(*(groups for _, groups in rows), source="roco", keys=[f"licences.txt#{key}" for key, _ in rows])


def test_roco_s_shared_articles_are_exactly_those_computed_before(shared_data: Path, roco_training: pa.Table) -> None:
    protected = placed("roco", shared_data).items
    hits = GroupIndex.of(protected).hits(roco_training)
    articles = [hit for hit in hits.to_pylist() if hit["kind"] == "article"]
    with (shared_data / "leaks/roco_shared_articles.jsonl").open() as file:
        leaks = [json.loads(line) for line in file]
    shared = {
        leak["pmcid"]: leak["test"]
        for leak in leaks
        if leak["pmcid"] != "PMC" and leak.get("train") and leak.get("test")
    }
    assert {hit["id"] for hit in articles} == set(shared)
    ids = protected["eval_id"].to_pylist()
    ours = {hit["id"]: sorted(ids[item] for item in hit["items"]) for hit in articles}
    assert ours == {pmcid: sorted(name.partition(":")[0] for name in test) for pmcid, test in shared.items()}
    items_hit = {item for hit in articles for item in hit["items"]}
    assert len(items_hit) == 5660
