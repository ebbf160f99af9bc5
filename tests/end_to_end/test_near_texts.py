"""Near-duplicate texts in a build: who survives, whatever the order, the engine's workers and the corpora's history."""

import random
from collections.abc import Sequence
from pathlib import Path

import orjson
import polars as pl
import pytest
import yaml

from tests.end_to_end.runs import balances, curate, curate_json, published

VOCABULARY = """pleura heart lung apex nodule margin lobe vessel rib spine bronchus hilum fluid tube line chest wall
    airway trachea border density pattern shadow contour region tissue finding opacity"""
TEMPLATE = "The {} lung shows {} opacity of {} cm at the {} lobe and the heart is of regular size and shape today"
SIBLINGS = [
    TEMPLATE.format(*chosen)
    for chosen in (("left", "an", 3, "upper"), ("right", "an", 3, "upper"), ("left", "no", 3, "upper"),
                   ("left", "an", 8, "upper"), ("left", "an", 3, "lower"))
]  # fmt: skip
"""Alike in all but a side, a number or a negation: five different findings."""


def notes(seed: int, count: int) -> dict[str, str]:
    chance = random.Random(seed)
    return {f"{seed}-{number}": " ".join(chance.choices(VOCABULARY.split(), k=60)) for number in range(count)}


def edited(text: str, seed: int) -> str:
    words = text.split()
    words[random.Random(seed).randrange(len(words))] = "sinus"
    return " ".join(words)


ORIGINALS = notes(1, 300)
COPIES = {f"copy-{key}": edited(text, number) for number, (key, text) in enumerate(list(ORIGINALS.items())[:40])}
OTHERS = {f"sibling-{number}": text for number, text in enumerate(SIBLINGS)}
EVERYTHING = list({**ORIGINALS, **COPIES, **OTHERS}.items())
FILES = {"a.jsonl": EVERYTHING[:200], "b.jsonl": EVERYTHING[200:]}


def write(path: Path, records: Sequence[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps({"id": key, "text": text}) + b"\n" for key, text in records))


def recipe(path: Path, *names: str) -> Path:
    sources = [
        {"name": name, "reader": "jsonl", "path": f"{name}/*.jsonl", "fields": {"id": "id", "text": "text"},
         "task": "text", "license": "MIT", "access": "open"} for name in names
    ]  # fmt: skip
    path.write_text(yaml.safe_dump({"stage": "mid", "sources": sources, "steps": {"tokens": {"min": 0}}}))
    return path


def arguments(root: Path, out: str, *more: object) -> list[object]:
    return ["build", "--recipe", root / "recipe.yaml", "--data", root, "--out", root / out, *more]


def keys_of(run: Path) -> dict[str, str]:
    """Ids of the records, by sample id."""
    samples = pl.read_parquet(run / "tables/samples/*.parquet").select("sample_id", "source_key")
    return {sample_id: key.partition("#")[2] for sample_id, key in samples.iter_rows()}


def survivors(run: Path) -> set[str]:
    samples = pl.read_parquet(run / "tables/samples/*.parquet")
    ledger = pl.read_parquet(run / "tables/ledger/*.parquet").filter(pl.col("step") == "near_text")
    kept = ledger.filter(pl.col("verdict") == "keep")["sample_id"].to_list()
    keys = samples.filter(pl.col("sample_id").is_in(kept))["source_key"]
    return {key.partition("#")[2] for key in keys}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    root = tmp_path_factory.mktemp("near")
    for name, records in FILES.items():
        write(root / "notes" / name, records)
    recipe(root / "recipe.yaml", "notes")
    return root, curate_json(*arguments(root, "run", "--workers", 1), near=True)


def test_copies_with_an_edit_go_and_findings_that_differ_stay(built: tuple[Path, dict[str, object]]) -> None:
    root, answer = built
    assert answer["counts"]["dropped"] == {"near.text": 40}  # type: ignore[index]
    assert balances(answer)
    kept = survivors(root / "run")
    assert kept >= set(OTHERS)
    for key in COPIES:
        assert (key in kept) != (key.removeprefix("copy-") in kept)


def test_every_dropped_sample_names_the_kept_one_and_how_alike_they_are(built: tuple[Path, dict[str, object]]) -> None:
    root, _ = built
    ledger = pl.read_parquet(root / "run/tables/ledger/*.parquet")
    kept = set(ledger.filter((pl.col("step") == "near_text") & (pl.col("verdict") == "keep"))["sample_id"])
    for row in ledger.filter(pl.col("reason") == "near.text").to_dicts():
        evidence = orjson.loads(row["evidence"])
        assert evidence["kept"] in kept
        assert 0.8 == row["threshold"] <= row["score"] < 1


def test_other_order_and_more_workers_leave_the_same_survivors(
    built: tuple[Path, dict[str, object]], tmp_path: Path
) -> None:
    for name, records in FILES.items():
        write(tmp_path / "notes" / name, random.Random(9).sample(records, len(records)))
    recipe(tmp_path / "recipe.yaml", "notes")
    curate_json(*arguments(tmp_path, "run", "--workers", 2), near=True)
    assert survivors(tmp_path / "run") == survivors(built[0] / "run")
    curate_json(*arguments(tmp_path, "alone", "--workers", 1), near=True)
    assert published(tmp_path / "run") == published(tmp_path / "alone")


def test_a_second_corpus_costs_its_own_bands_only_and_its_copies_name_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "notes" / "all.jsonl", list(ORIGINALS.items()))
    recipe(tmp_path / "recipe.yaml", "notes")
    curate_json(*arguments(tmp_path, "first"), near=True)
    write(tmp_path / "more" / "all.jsonl", list(COPIES.items()))
    recipe(tmp_path / "recipe.yaml", "notes", "more")
    second = curate_json(*arguments(tmp_path, "second", "--reuse", tmp_path / "first"), near=True)
    assert second["counts"]["dropped"] == {"near.text": 40}
    events = [orjson.loads(line) for line in (tmp_path / "second/events.jsonl").read_bytes().splitlines()]
    bands = [event["reused"] for event in events if event.get("step") == "near_text bands" and event["event"] == "unit"]
    assert sorted(bands) == [False, True]
    matched = curate_json("diff", tmp_path / "first", tmp_path / "second")["matched"]
    told = {(row["source"], row["new"], row["kept_source"], row["kept_new"]): row["pairs"] for row in matched}
    assert set(told) == {("more", True, "notes", False), ("notes", False, "more", True)}
    keys = keys_of(tmp_path / "second")
    pairs = [(keys[pair["sample_id"]], keys[pair["kept"]]) for pairs in told.values() for pair in pairs]
    assert {frozenset(pair) for pair in pairs} == {frozenset((key, key.removeprefix("copy-"))) for key in COPIES}
    shown = curate("diff", tmp_path / "first", tmp_path / "second").stderr
    assert "near.text in B, duplicates of samples of notes that A also has" in shown
    page = (tmp_path / "second/reports/build.html").read_text()
    assert "Texts, by fragment: signatures of 1 computed, those of 1 found in the index" in page
    examples = min(told["more", True, "notes", False], key=lambda pair: pair["sample_id"])
    assert f"<code>{examples['sample_id']}</code>" in page
    assert f"<code>{examples['kept']}</code>" in page
    why = curate("why", tmp_path / "second", examples["sample_id"])
    assert examples["kept"] in why.stderr + why.stdout
    assert not curate_json("diff", tmp_path / "second", tmp_path / "first")["matched"]


def test_alike_reports_go_where_they_are_one_patients_and_stay_where_nobody_is_told(tmp_path: Path) -> None:
    (words,) = (text.split() for text in notes(2, 1).values())
    records = []
    for place, who in enumerate(["nobody"] * 3 + ["A"] * 3 + ["B"] * 3):
        text = " ".join([*words[: 5 * place], "sinus", *words[5 * place + 1 :]])
        patient = {} if who == "nobody" else {"patient": who}
        records.append({"id": f"{who}-{place}", "text": text, **patient})
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/all.jsonl").write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
    source = {"name": "reports", "reader": "jsonl", "path": "reports/*.jsonl", "task": "report", "license": "MIT",
              "access": "open", "fields": {"id": "id", "text": "text", "patient": "patient"}}  # fmt: skip
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({"stage": "mid", "sources": [source], "steps": {"tokens": {"min": 0}}}))
    assert balances(curate_json(*arguments(tmp_path, "run"), near=True))
    kept = sorted(key.partition("-")[0] for key in survivors(tmp_path / "run"))
    assert kept == ["A", "B", "nobody", "nobody", "nobody"]


def test_a_threshold_that_is_no_similarity_is_wrong_usage(built: tuple[Path, dict[str, object]]) -> None:
    root, _ = built
    done = curate(*arguments(root, "other", "--set", "steps.near_text.jaccard=1.5"), near=True)
    assert done.returncode == 2
    assert "steps.near_text.jaccard" in done.stderr
