"""Builds from data sets of Hugging Face and from articles of PubMed Central, with one worker and with two."""

import os
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from sources.readers.hf_library import datasets_library
from tests.end_to_end.runs import balances, curate, curate_json, published
from tests.sources.hf_sets import film, png, save
from tests.sources.hub_server import COMMIT, REPOSITORY, serving

ARTICLE = """<!DOCTYPE article PUBLIC "-//NLM//DTD JATS v1.0//EN" "JATS-archivearticle1.dtd">
<article xmlns:xlink="http://www.w3.org/1999/xlink" article-type="{kind}"><front><article-meta>
<article-id pub-id-type="pmc">{number}</article-id><permissions>
<license xlink:href="https://creativecommons.org/licenses/by-nc/4.0/"/></permissions></article-meta></front><body>
<fig id="F1"><caption><p>A radiograph of the hand of patient {number}, who has gout in two joints of one
finger.</p></caption><graphic xlink:href="hand"/></fig></body></article>"""
SOURCE = {"name": "films", "access": "open", "license": "CC0-1.0", "identifiers": "public", "task": "caption"}
STEPS = {"tokens": {"min": 1, "max": 131072}, "measure": {"min_side_px": 8}}


def build(place: Path, sources: list[dict[str, Any]], workers: int, *more: object, **how: Any) -> dict[str, Any]:
    recipe = {"stage": "mid", "sources": sources, "steps": STEPS}
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    answer = curate_json(
        "build", "--recipe", place / "recipe.yaml", "--data", place / "data", "--out", place / f"run{workers}",
        "--workers", workers, *more, **how,
    )  # fmt: skip
    assert balances(answer)
    return answer


def both(place: Path, sources: list[dict[str, Any]], **how: Any) -> dict[str, Any]:
    """Build with one worker and with two, and compare every byte."""
    answer = build(place, sources, 1, **how)
    build(place, sources, 2, **how)
    assert published(place / "run1") == published(place / "run2")
    return answer


def samples(run: Path) -> pl.DataFrame:
    return pl.read_parquet(run / "tables" / "samples" / "*.parquet").sort("source_key")


def test_a_saved_set_becomes_shards_and_its_test_split_does_not(tmp_path: Path) -> None:
    library = datasets_library()
    save(
        library.DatasetDict({"train": film(40), "test": film(6, 100)}),
        tmp_path / "data/films",
        num_shards={"train": 3, "test": 1},
    )
    source = {
        **SOURCE,
        "reader": "hf",
        "path": "films",
        "fields": {"text": "note", "image": "image"},
        "meta": ["label"],
    }
    answer = both(tmp_path, [source])
    assert answer["counts"]["kept"] == 40
    assert answer["counts"]["dropped"] == {"record.split": 6}
    table = samples(tmp_path / "run1")
    assert dict(table.group_by("split").len().iter_rows()) == {"train": 40, "test": 6}
    assert curate_json("shards", "verify", tmp_path / "run1" / "shards")["ok"]
    shard = next((tmp_path / "run1" / "shards").glob("*.tar")).read_bytes()
    assert all(png(number) in shard for number in range(40))


def test_a_keyed_saved_set_stores_no_path(tmp_path: Path) -> None:
    save(film(5), tmp_path / "data/SmithJohn")
    (tmp_path / "site.key").write_text("0123456789abcdef0123456789abcdef")
    source = {
        **SOURCE,
        "reader": "hf",
        "path": "SmithJohn",
        "fields": {"text": "note", "image": "image"},
        "identifiers": "keyed",
    }
    recipe = {"stage": "mid", "sources": [source], "steps": STEPS}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    arguments = (
        "--recipe",
        tmp_path / "recipe.yaml",
        "--data",
        tmp_path / "data/SmithJohn/..",
        "--id-key",
        tmp_path / "site.key",
    )
    answer = curate_json("build", *arguments, "--out", tmp_path / "run", "--workers", 1)
    assert answer["counts"]["kept"] == 5
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file() and "events" not in path.name:
            assert b"data-00000-of" not in path.read_bytes(), path


def test_a_data_set_of_the_hub_is_built_without_a_copy_and_without_its_token_in_the_run(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (tmp_path / "data").mkdir()
    film(20).to_parquet(str(repository / "train.parquet"))
    film(5, 50).to_parquet(str(repository / "test.parquet"))
    source = {
        **SOURCE,
        "reader": "hf",
        "path": f"hf://datasets/{REPOSITORY}@{COMMIT}",
        "fields": {"text": "note", "image": "image"},
    }
    with serving(repository) as hub:
        hub.gated, hub.token = True, "hf_secret_token"
        environment = {
            **os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_secret_token", "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(tmp_path / "cache"),
        }  # fmt: skip
        answer = build(tmp_path, [source], 2, env=environment)
        refused = {**environment, "HF_TOKEN": ""}
        done = curate(
            "build",
            "--recipe",
            tmp_path / "recipe.yaml",
            "--data",
            tmp_path / "data",
            "--out",
            tmp_path / "other",
            env=refused,
        )
    assert answer["counts"]["kept"] == 20
    assert answer["counts"]["dropped"] == {"record.split": 5}
    assert done.returncode in (1, 2)
    assert "is gated, and HF_TOKEN is not set" in done.stderr
    assert f"{hub.url}/datasets/{REPOSITORY}, accept the conditions shown there" in " ".join(done.stderr.split())
    assert not any(path.is_file() for path in (tmp_path / "cache").rglob("*"))
    for path in (tmp_path / "run2").rglob("*"):
        assert not path.is_file() or b"hf_secret" not in path.read_bytes()


def test_a_branch_of_the_hub_is_wrong_usage(tmp_path: Path) -> None:
    source = {**SOURCE, "reader": "hf", "path": f"hf://datasets/{REPOSITORY}@main", "fields": {"text": "note"}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"stage": "mid", "sources": [source]}))
    done = curate("build", "--recipe", tmp_path / "recipe.yaml", "--data", tmp_path, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "40 digits of a commit" in done.stderr


def test_articles_become_captions_with_their_own_licence_and_one_broken_article_costs_itself(tmp_path: Path) -> None:
    for number in range(1, 21):
        package = tmp_path / f"data/pmc_oa/PMC{number}"
        package.mkdir(parents=True)
        kind = "retraction" if number == 20 else "research-article"
        (package / f"PMC{number}.nxml").write_text(ARTICLE.format(number=number, kind=kind))
        if number != 19:
            (package / "hand.jpg").write_bytes(png(number, 64))
    (tmp_path / "data/pmc_oa/PMC5/PMC5.nxml").write_text(ARTICLE.format(number=5, kind="x")[:400])
    answer = both(tmp_path, [{"name": "pmc_oa"}])
    assert answer["counts"] == {
        "ingested": 20, "kept": 17, "quarantined": 1, "dropped": {"image.missing": 1, "record.split": 1},
    }  # fmt: skip
    table = samples(tmp_path / "run1").filter(pl.col("source_key").str.contains("#F1"))
    assert set(table["license"]) == {"CC-BY-NC-4.0"}
    assert set(table["access"]) == {"noncommercial"}
    groups = {group["id"] for row in table["groups"] for group in row if group["kind"] == "figure"}
    assert groups == {f"PMC{number}_hand.jpg" for number in range(1, 21) if number != 5}


def test_the_real_articles_are_built_as_text_and_their_figures_are_missing(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(shared_data)
    text = {
        **SOURCE, "name": "articles", "reader": "nxml", "options": {"take": "text"}, "task": "text",
        "path": "text/text_pmc_nxml/data/*.nxml",
        "fields": {"text": "text", "license": "license", "article": "article"},
    }  # fmt: skip
    answer = both(tmp_path, [{"name": "pmc_oa"}, text])
    assert answer["counts"] == {
        "ingested": 25, "kept": 8, "quarantined": 0, "dropped": {"image.missing": 17},
    }  # fmt: skip
    kept = samples(tmp_path / "run1").filter(pl.col("source") == "articles")
    assert kept.filter(pl.col("license") == "CC-BY-2.0").height == 2
    assert all(len(row[0]["text"]) > 10_000 for row in kept["turns"])
