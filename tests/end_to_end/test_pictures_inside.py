"""Builds of corpora whose files hold their pictures: tars, zips, Parquet; and of our own shards."""

from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.end_to_end.runs import WITHOUT_READING, balances, curate, curate_json, published
from tests.sources.packed_files import captioned, png, write_archive, write_tar
from workflows.demo_corpus import write_demo_corpus

COUNT = 30
ENTRY = {"task": "caption", "access": "open", "license": "CC-BY-4.0"}


def recipe(place: Path, *sources: dict[str, Any]) -> Path:
    steps = {"tokens": {"min": 1, "max": 1024}, "license": {"access": ["open", "noncommercial", "gated"]}}
    path = place / "recipe.yaml"
    document = {"stage": "mid", "sources": [*sources], "steps": steps, "contracts": {"enabled": False}}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pictures and captions as files, WebDataset, zip, tar in gzip and Parquet; some of them broken."""
    place = tmp_path_factory.mktemp("corpora")
    pictures = {f"{n:04}.png": png(n) for n in range(COUNT)} | {"broken.png": b"no picture", "small.png": png(1, 20)}
    captions = {name: f"This is what picture {name} shows." for name in pictures}
    table = "file_name,caption\n" + "".join(f"{name},{text}\n" for name, text in captions.items())
    table += "gone.png,A picture that is not there.\n"
    (place / "files").mkdir()
    for name, data in pictures.items():
        (place / "files" / name).write_bytes(data)
    (place / "files/metadata.csv").write_text(table, encoding="utf-8")
    members = [*pictures.items(), ("metadata.csv", table.encode())]
    write_archive(place / "zip/a.zip", members)
    write_archive(place / "tgz/a.tar.gz", members)
    samples = [(name.replace(".png", ".txt"), text.encode()) for name, text in captions.items()]
    write_tar(place / "wds/a-000.tar", sorted([*samples, *pictures.items()]))
    rows = [{"image": {"bytes": pictures[name], "path": name}, "caption": text} for name, text in captions.items()]
    rows.append({"image": {"bytes": None, "path": "gone.png"}, "caption": "A picture that is not there."})
    (place / "parquet").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), place / "parquet/a.parquet", row_group_size=7)
    return place


SOURCES = {
    "files": {"name": "files", "reader": "image_folder", "path": "files", "fields": {"text": "caption"}},
    "zip": {"name": "zipped", "reader": "archive", "path": "zip", "fields": {"text": "caption"}},
    "tgz": {"name": "tgz", "reader": "archive", "path": "tgz/*.tar.gz", "fields": {"text": "caption"}},
    "wds": {"name": "wds", "reader": "webdataset", "path": "wds"},
    "parquet": {"name": "parquet", "reader": "parquet", "path": "parquet/*.parquet"},
}


def kept(run: Path, *sources: str) -> dict[str, set[tuple[str, str]]]:
    """Of each source the kept (text, image id) pairs, from the tables."""
    samples = pl.read_parquet(run / "tables/samples/*.parquet")
    ledger = pl.read_parquet(run / "tables/ledger/*.parquet")
    last = ledger.group_by("sample_id", maintain_order=True).agg(pl.col("verdict").last())
    alive = samples.join(last.filter(pl.col("verdict") == "keep"), on="sample_id")
    return {
        name: {
            (row["turns"][-1]["text"], row["images"][0]["image_id"])
            for row in alive.filter(pl.col("source") == name).to_dicts()
        }
        for name in sources
    }


Built = tuple[dict[str, Any], set[tuple[str, str]]]


def built(place: Path, corpora: Path, source: dict[str, Any]) -> Built:
    """The counts of a build of one source, and the pairs it kept."""
    run = place / "run"
    answer = curate_json(
        "build", "--recipe", recipe(place, {**ENTRY, **source}), "--data", corpora, "--out", run, "--workers", 1
    )
    assert balances(answer)
    return answer["counts"], kept(run, source["name"])[source["name"]]


@pytest.fixture(scope="module")
def of_files(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(tmp_path_factory.mktemp("files"), corpora, SOURCES["files"])


@pytest.mark.parametrize("name", ["zip", "tgz", "wds", "parquet"])
def test_what_is_inside_is_kept_and_dropped_as_if_it_were_files(
    corpora: Path, of_files: Built, tmp_path: Path, name: str
) -> None:
    # One source at a time: together, all but the first would be duplicates.
    counts, pairs = built(tmp_path, corpora, SOURCES[name])
    expected = {**of_files[0], "dropped": dict(of_files[0]["dropped"])}
    if name == "wds":  # it cannot name a picture that is not there
        expected["ingested"] -= expected["dropped"].pop("image.missing")
    assert counts == expected
    assert (counts["quarantined"], counts["dropped"]["image.too_small"]) == (1, 1)
    assert pairs == of_files[1]
    assert len(pairs) == COUNT


@pytest.fixture(scope="module")
def all_forms(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("forms")
    forms = [{**ENTRY, **SOURCES[name]} for name in ("zip", "tgz", "wds", "parquet")]
    steps = {"tokens": {"min": 1, "max": 1024}, "exact": {"enabled": False}}
    path = place / "recipe.yaml"
    document = {"stage": "mid", "sources": forms, "steps": steps, "contracts": {"enabled": False}}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    answer = curate_json("build", "--recipe", path, "--data", corpora, "--out", place / "one", "--workers", 1)
    assert answer["counts"]["kept"] == 4 * COUNT
    return path, place / "one"


def test_two_workers_write_the_same_bytes_as_one(corpora: Path, all_forms: tuple[Path, Path], tmp_path: Path) -> None:
    path, one = all_forms
    curate_json("build", "--recipe", path, "--data", corpora, "--out", tmp_path / "two", "--workers", 2)
    assert published(tmp_path / "two") == published(one)


def test_no_picture_is_left_in_the_work_of_a_run(all_forms: tuple[Path, Path]) -> None:
    _, run = all_forms
    marker = png(3)[40:400]
    tables = [path for path in (run / "work").rglob("*") if path.suffix in (".parquet", ".json")]
    assert tables
    assert not [path for path in tables if marker in path.read_bytes()]


def test_a_keyed_corpus_of_archives_stores_no_name_of_theirs(corpora: Path, tmp_path: Path) -> None:
    key = tmp_path / "site.key"
    key.write_bytes(b"k" * 32)
    forms = [{**ENTRY, **SOURCES[name], "identifiers": "keyed"} for name in ("zip", "tgz", "wds", "parquet")]
    place = ("--data", corpora, "--out", tmp_path / "run", "--id-key", key)
    unread = ("--set", "steps.phi.burned_in_text=keep")  # the pictures are noise, in which a reader sees words for long
    answer = curate_json("build", "--recipe", recipe(tmp_path, *forms), *place, *unread)
    assert answer["counts"]["kept"] == COUNT
    assert balances(answer)
    for table in (tmp_path / "run/tables").rglob("*.parquet"):
        columns = [name for name in pq.read_schema(table).names if name not in ("turns", "question", "answer")]
        text = orjson.dumps(pq.read_table(table, columns=columns).to_pylist(), default=str)
        assert not [name for name in (b"0001", b"a.zip", b"a-000", b"a.parquet") if name in text], table
    documents = [*(tmp_path / "run/work").rglob("*.json"), tmp_path / "run/run.json", tmp_path / "run/events.jsonl"]
    assert not [path for path in documents if b"a-000.tar" in path.read_bytes() or b"a.zip" in path.read_bytes()]


def test_our_own_shards_are_read_back_as_the_same_samples(tmp_path: Path) -> None:
    demo = write_demo_corpus(tmp_path / "corpora")
    run = tmp_path / "run"
    curate_json(
        "build",
        "--recipe",
        demo,
        "--data",
        tmp_path / "corpora",
        "--out",
        run,
        "--set",
        "contracts.enabled=false",
        *WITHOUT_READING,
    )
    shards = {"name": "again", "reader": "webdataset", "path": str(run / "shards"), "task": "text", "access": "open"}
    again = tmp_path / "again"
    answer = curate_json(
        "build", "--recipe", recipe(tmp_path, shards), "--data", tmp_path, "--out", again, "--workers", 1
    )
    assert balances(answer)
    assert answer["counts"]["kept"] == answer["counts"]["ingested"] > 20
    before, after = _written(run), _written(again)
    assert before.keys() == after.keys()
    rendered = {"scans"}  # pictures that were rendered: their id was that of the DICOM file
    for sample_id, old in before.items():
        pair = [{**old, "source": "again"}, after[sample_id]]
        if old["source"] in rendered:
            pair = [{**sample, "images": len(sample["images"])} for sample in pair]
        assert pair[0] == pair[1]


def _written(run: Path) -> dict[str, dict[str, Any]]:
    """Of every sample in the shards its JSON, by id."""
    import tarfile

    manifest = orjson.loads((run / "shards/manifest.json").read_bytes())
    found = {}
    for shard in manifest["shards"]:
        with tarfile.open(run / "shards" / shard["name"]) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    file = tar.extractfile(member)
                    assert file is not None
                    sample = orjson.loads(file.read())
                    found[sample["sample_id"]] = sample
    return found


def test_a_broken_archive_among_others_costs_what_is_broken(tmp_path: Path) -> None:
    place = tmp_path / "data"
    write_tar(place / "good.tar", captioned(5, "good/"))
    cut = write_tar(place / "cut.tar", captioned(10, "cut/")[10:])
    cut.write_bytes(cut.read_bytes()[:-15_000])
    source = {**ENTRY, "name": "wds", "reader": "webdataset", "path": "*.tar"}
    run = tmp_path / "run"
    answer = curate_json("build", "--recipe", recipe(tmp_path, source), "--data", place, "--out", run, "--workers", 1)
    assert answer["counts"]["quarantined"] == 1
    assert 5 < answer["counts"]["kept"] < 10
    samples = pl.read_parquet(run / "tables/samples/*.parquet")
    ledger = pl.read_parquet(run / "tables/ledger/*.parquet").filter(pl.col("verdict") == "quarantine")
    lost = samples.filter(pl.col("sample_id") == ledger["sample_id"][0]).row(0, named=True)
    told = curate("why", run, lost["sample_id"])
    assert "cut off" in told.stderr


def test_an_option_that_the_reader_lacks_is_wrong_usage(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", captioned(1))
    source = {**ENTRY, "name": "wds", "reader": "webdataset", "path": "a.tar", "options": {"answer_bas": 1}}
    done = curate("build", "--recipe", recipe(tmp_path, source), "--data", tmp_path, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "did you mean 'answer_base'" in done.stderr


def test_a_dry_run_over_archives_says_what_it_takes(corpora: Path, tmp_path: Path) -> None:
    forms = [{**ENTRY, **SOURCES[name]} for name in ("zip", "wds", "parquet")]
    answer = curate_json(
        "build", "--recipe", recipe(tmp_path, *forms), "--data", corpora, "--out", tmp_path / "run", "--dry-run"
    )
    assert [row["records"] for row in answer["sources"]] == [COUNT + 3, COUNT + 2, COUNT + 3]
