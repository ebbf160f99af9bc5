"""Corpora in the layout in which they are published, through the command: list, check, build, and what goes wrong."""

import zipfile
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import yaml

from sources.cards import catalogue
from tests.end_to_end.runs import balances, curate, curate_json
from tests.sources.corpora_fixtures import MAKERS
from tests.sources.corpora_fixtures.writing import picture, put, put_jsonl
from tests.sources.test_pictures_in_zips import pack

STEPS: dict[str, Any] = {"tokens": {"min": 0, "max": 100000}, "decontaminate": {"enabled": False}}
KEY = "a site key of a test"
APART = {"mimic_cxr_vqa"}
"""In the folder of another corpus."""
PACKED = ("pmc_oa_jsonl", "slake", "medpix_2")
"""Those whose pictures are in a zip."""


def recipe(path: Path, *sources: dict[str, Any] | str, **steps: Any) -> Path:
    entries = [{"name": one} if isinstance(one, str) else one for one in sources]
    path.write_text(yaml.safe_dump({"stage": "mid", "sources": entries, "steps": {**STEPS, **steps}}))
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    place = tmp_path_factory.mktemp("corpora")
    for name, make in MAKERS.items():
        make(place / "data" / "elsewhere" if name in APART else place / "data")
    for name in PACKED:
        pack(place / "data", name)
    put(place / "site.key", KEY)
    everything = {"license": {"access": ["open", "noncommercial", "gated", "credentialed"]}}
    path = recipe(place / "recipe.yaml", *sorted(set(MAKERS) - APART), **everything)
    run = place / "run"
    arguments = ("--recipe", path, "--data", place / "data", "--out", run, "--id-key", place / "site.key")
    return run, curate_json("build", *arguments)


def test_every_corpus_is_listed_with_its_terms_and_groups() -> None:
    rows = {row["name"]: row for row in curate_json("sources", "list")["sources"]}
    assert set(rows) == set(catalogue())
    assert rows["mimic_cxr_jpg"] == {
        "name": "mimic_cxr_jpg", "task": "report", "access": "credentialed", "groups": ["patient", "study"],
        "license": "LicenseRef-PhysioNet-credentialed-data-use-agreement",
    }  # fmt: skip


def test_a_build_of_all_of_them_keeps_samples_of_each(built: tuple[Path, dict[str, Any]]) -> None:
    run, answer = built
    assert balances(answer)
    assert answer["missing"] == []
    assert answer["counts"]["quarantined"] == 0
    samples = pl.read_parquet(run / "tables/samples/*.parquet")
    ended = pl.read_parquet(run / "tables/ledger/*.parquet").filter(pl.col("verdict") == "drop")
    kept = samples.join(ended, on="sample_id", how="anti")
    assert set(kept["source"]) == set(MAKERS) - APART
    reasons = dict(ended.group_by("reason").len().iter_rows())
    assert set(reasons) <= {"record.empty", "record.split", "exact.text", "exact.image_text"}


def test_the_data_card_names_every_corpus_and_what_the_mix_obliges_to(built: tuple[Path, dict[str, Any]]) -> None:
    card = (built[0] / "shards/README.md").read_text()
    for name in set(MAKERS) - APART:
        assert name in card
    for obligation in ("credentialed access", "licence not known", "gated access", "non-commercial", "share alike"):
        assert obligation in card


def test_nothing_that_a_build_writes_names_a_patient_of_a_keyed_corpus(built: tuple[Path, dict[str, Any]]) -> None:
    run, _ = built
    for path in run.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        for secret in (b"10000032", b"50414267", b"MRN1", b"patient00001"):
            assert secret not in data, path


def test_open_access_refuses_a_credentialed_corpus_by_name(tmp_path: Path) -> None:
    MAKERS["mimic_cxr_jpg"](tmp_path)
    path = recipe(tmp_path / "recipe.yaml", "mimic_cxr_jpg", license={"access": ["open"]})
    answer = curate_json("build", "--recipe", path, "--data", tmp_path, "--out", tmp_path / "run", status=2)
    assert answer["error"] == "source mimic_cxr_jpg is credentialed and this recipe allows open only"
    assert "Become a credentialed user of PhysioNet, take its course, and sign the data use agreement" in answer["hint"]


def test_a_strict_policy_drops_what_states_no_licence(tmp_path: Path) -> None:
    MAKERS["medicat"](tmp_path)
    path = recipe(tmp_path / "recipe.yaml", "medicat", license={"unknown": "drop"})
    answer = curate_json("build", "--recipe", path, "--data", tmp_path, "--out", tmp_path / "run")
    assert answer["counts"]["dropped"] == {"license.forbidden": 1}


def test_check_answers_in_json_and_with_its_exit_status(tmp_path: Path) -> None:
    MAKERS["guidelines"](tmp_path)
    assert curate_json("sources", "check", "guidelines", "--data", tmp_path)["problems"] == []
    put_jsonl(tmp_path / "guidelines/open_guidelines.jsonl", [{"clean_text": ""}])
    found = curate_json("sources", "check", "guidelines", "--data", tmp_path, status=1)
    assert found["problems"] == [{"what": "a record has no text to learn from", "count": 1}]
    told = curate("sources", "check", "guideline", "--data", tmp_path)
    assert told.returncode == 2
    assert "did you mean 'guidelines'?" in told.stderr


def test_ct_is_shown_by_medgemmas_windows_where_the_recipe_says_so(tmp_path: Path) -> None:
    from tests.sources.test_dicom_studies import stack

    stack(tmp_path / "ct", 1, 3, RescaleSlope="1", RescaleIntercept="-1024")
    own = {"name": "ct", "reader": "dicom", "path": "ct", "task": "caption", "access": "open", "identifiers": "public"}
    source = {**own, "options": {"slices": "middle"}}
    path = recipe(tmp_path / "recipe.yaml", source, measure={"min_side_px": 1, "ct_windows": "medgemma"})
    answer = curate_json("build", "--recipe", path, "--data", tmp_path, "--out", tmp_path / "run")
    assert answer["counts"]["ingested"] == 1
    assert pl.read_parquet(tmp_path / "run/tables/images/*.parquet")["channels"].to_list() == [3]


# What people give it by mistake.


def problems(data: Path, name: str) -> list[str]:
    return [one["what"] for one in curate_json("sources", "check", name, "--data", data, status=1)["problems"]]


def test_half_a_download_of_parquet_is_told_by_its_file(tmp_path: Path) -> None:
    MAKERS["path_vqa"](tmp_path)
    [path] = (tmp_path / "path-vqa/data").glob("train-*")
    path.write_bytes(path.read_bytes()[:-1000])
    assert problems(tmp_path, "path_vqa") == [
        "path_vqa: data/train-00000-of-00001.parquet: is not a Parquet file, or is truncated"
    ]


def test_half_a_download_of_json_is_refused_by_name(tmp_path: Path) -> None:
    MAKERS["openhermes"](tmp_path)
    path = tmp_path / "OpenHermes-2.5/openhermes2_5.json"
    path.write_bytes(path.read_bytes()[:-80])
    found = curate_json("sources", "check", "openhermes", "--data", tmp_path, status=1)
    assert any("ends before its JSON array or object is closed" in one["what"] for one in found["problems"])


def test_csv_in_latin_1_is_told_record_by_record_and_read_where_the_recipe_says_so(tmp_path: Path) -> None:
    text = "index,Figure_path,Caption,Question,Choice A,Choice B,Choice C,Choice D,Answer,split\n"
    text += '1,PMC1_Fig1.jpg,"Two\nlines, ""quoted""",Où?,a,b,c,d,A,train\n2,PMC1_Fig1.jpg,c,Where?,a,b,c,d,B,train\n'
    put(tmp_path / "PMC-VQA/train_2.csv", text.encode("latin-1"))
    put(tmp_path / "PMC-VQA/figures/PMC1_Fig1.jpg", picture(1))
    told = "record.encoding: not utf-8 (`options: {encoding: ..}` of the recipe's source names another)"
    assert problems(tmp_path, "pmc_vqa_v2") == [told]
    source = {"name": "pmc_vqa_v2", "options": {"encoding": "latin-1"}}
    answer = curate_json(
        "build", "--recipe", recipe(tmp_path / "r.yaml", source), "--data", tmp_path, "--out", tmp_path / "run"
    )
    assert answer["counts"]["kept"] == 2


def test_parquet_with_paths_in_place_of_pictures_is_read_as_well(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = {"image": {"bytes": None, "path": "pictures/1.jpg"}, "question": "Is it?", "answer": "yes"}
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.Table.from_pylist(
        [row], schema=pa.schema([("image", kind), ("question", pa.string()), ("answer", pa.string())])
    )
    (tmp_path / "path-vqa/data").mkdir(parents=True)
    pq.write_table(table, tmp_path / "path-vqa/data/train-00000-of-00001.parquet")
    put(tmp_path / "path-vqa/pictures/1.jpg", picture(1))
    assert curate_json("sources", "check", "path_vqa", "--data", tmp_path)["pictures"] == {"named": 1, "missing": 0}


def test_ids_that_repeat_across_archives_are_samples_of_their_own(tmp_path: Path) -> None:
    MAKERS["biomedica"](tmp_path)
    tar = tmp_path / "biomedica_webdataset_24M/commercial/000000.tar"
    put(tmp_path / "biomedica_webdataset_24M/other/000000.tar", tar.read_bytes())
    path = recipe(
        tmp_path / "r.yaml",
        "biomedica",
        license={"access": ["open", "noncommercial", "gated"]},
        exact={"enabled": False},
    )
    answer = curate_json("build", "--recipe", path, "--data", tmp_path, "--out", tmp_path / "run")
    assert answer["counts"]["kept"] == 4
    keys = pl.read_parquet(tmp_path / "run/tables/samples/*.parquet")["source_key"].to_list()
    assert len(set(keys)) == len(keys) == 6


def test_an_archive_inside_an_archive_is_refused_as_a_record(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        archive.writestr("a.png", picture(1, "PNG"))
        archive.writestr("more.zip", b"PK\x05\x06" + b"\0" * 18)
    source = {
        "name": "own",
        "reader": "archive",
        "path": "pictures.zip",
        "task": "caption",
        "access": "open",
        "identifiers": "public",
    }
    answer = curate_json(
        "build", "--recipe", recipe(tmp_path / "r.yaml", source), "--data", tmp_path, "--out", tmp_path / "run"
    )
    ledger = pl.read_parquet(tmp_path / "run/tables/ledger/*.parquet").filter(pl.col("verdict") == "quarantine")
    assert answer["counts"]["quarantined"] == 1
    assert "archive" in orjson.loads(ledger["evidence"][0])["detail"]
