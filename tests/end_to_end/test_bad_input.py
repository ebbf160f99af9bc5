"""Everything a corpus can be wrong in: a verdict or a clear error, and nothing else is lost."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import yaml
from PIL import Image

from tests.end_to_end.runs import CURATE, WITHOUT_CONTRACTS, WITHOUT_NEAR, balances, curate, curate_json, verdict_of

SENTENCE = "A frontal film of the chest with clear lungs and a normal heart, number"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path


def source(reader: str, path: str, **more: Any) -> dict[str, Any]:
    return {"name": "corpus", "reader": reader, "path": path, "task": "text", "access": "open",
            "fields": {"id": "id", "text": "text"}, "license": "CC0-1.0"} | more  # fmt: skip


def build(place: Path, *sources: dict[str, Any], status: int = 0, more: tuple[object, ...] = (), **recipe: Any) -> Any:
    document = {"stage": "mid", "sources": list(sources)} | recipe
    (place / "recipe.yaml").write_text(yaml.safe_dump(document))
    arguments = ("build", "--recipe", place / "recipe.yaml", "--data", place / "data", "--out", place / "run", *more)
    answer = curate_json(*arguments, status=status)
    if status == 0:
        assert balances(answer)
        assert curate_json("shards", "verify", Path(answer["run"]) / "shards")["ok"]
    return answer


def lines(count: int, **fields: Any) -> list[bytes]:
    return [orjson.dumps({"id": n, "text": f"{SENTENCE} {n}.", **fields}) for n in range(count)]


def test_one_bad_line_among_many_costs_only_itself(place: Path) -> None:
    rows = lines(5000)
    rows[3001] = b'{"id": 3001, "text": "cut'
    rows[3002] = b'{"id": 3002, "text": "latin \xe9"}'
    rows[3003] = b"[" * 100_000
    rows[3004] = b'{"id": 3004, "text": 17}'
    (place / "data" / "a.jsonl").write_bytes(b"\n".join(rows))
    answer = build(place, source("jsonl", "a.jsonl"))
    assert (answer["counts"]["ingested"], answer["counts"]["quarantined"]) == (5000, 3)
    assert verdict_of(place / "run", "corpus", "a.jsonl#3001") == ("quarantine", "record.malformed")
    assert verdict_of(place / "run", "corpus", "a.jsonl#3002") == ("quarantine", "record.encoding")
    assert verdict_of(place / "run", "corpus", "a.jsonl#3003") == ("quarantine", "record.malformed")


def test_empty_files_and_blank_lines_are_no_records(place: Path) -> None:
    (place / "data" / "empty.jsonl").touch()
    (place / "data" / "full.jsonl").write_bytes(b"\n\n" + b"\n\n".join(lines(3)) + b"\n\n")
    assert build(place, source("jsonl", "*.jsonl"))["counts"]["ingested"] == 3


def test_a_build_that_keeps_nothing_or_lacks_one_of_numbered_files_warns_and_succeeds(place: Path) -> None:
    for number in (0, 1, 3):
        (place / "data" / f"part_{number}.jsonl").write_bytes(orjson.dumps({"id": number, "text": "Too short."}))
    assert build(place, source("jsonl", "*.jsonl"))["counts"]["kept"] == 0
    said = curate("build", "--recipe", place / "recipe.yaml", "--data", place / "data", "--out", place / "run").stderr
    assert "warning: nothing was kept" in said
    assert "warning: corpus: part_0.jsonl and files numbered like it: 1 between them is not there (2)" in said


@pytest.mark.parametrize(
    ("name", "reader", "data", "said"),
    [
        ("a.jsonl", "jsonl", b'{"id": 1, "body": "x"}\n', "no column 'text'"),
        ("a.csv", "csv", b"id,txt\n1,x\n", "no column 'text'; did you mean 'txt'"),
        ("a.json", "json", b"\xff\xfe[\x00]\x00", "UTF-16"),
        ("a.parquet", "parquet", b"PAR1 and then nothing", "a.parquet"),
    ],
)
def test_a_file_that_is_not_in_its_form_is_named_with_what_was_expected(
    place: Path, name: str, reader: str, data: bytes, said: str
) -> None:
    (place / "data" / name).write_bytes(data)
    assert said in build(place, source(reader, name), status=1)["error"]


def test_records_with_one_id_are_told_apart_and_exact_copies_dropped(place: Path) -> None:
    same = orjson.dumps({"id": "x", "text": f"{SENTENCE} 1."})
    other = orjson.dumps({"id": "x", "text": f"{SENTENCE} 2."})
    (place / "data" / "a.jsonl").write_bytes(b"\n".join([same, other, same, same]))
    answer = build(place, source("jsonl", "a.jsonl"))
    assert answer["counts"]["dropped"] == {"exact.text": 2}
    without = {"exact": {"enabled": False}}
    answer = build(place, source("jsonl", "a.jsonl"), steps=without, more=("--out", place / "all"))
    assert answer["counts"]["kept"] == 4  # the keys of their shards are checked by `verify`


def pictures(place: Path) -> dict[str, Callable[[Path], object]]:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8))
    outside = place / "outside.png"
    noise.save(outside)
    return {
        "good.png": noise.save,
        "empty.png": lambda path: path.touch(),
        "text.jpg": lambda path: path.write_text("<html>"),
        "link_out.png": lambda path: path.symlink_to(outside),
        "loop.png": lambda path: path.symlink_to(path),
        "folder.png": lambda path: path.mkdir(),
        "unreadable_name_\n.png": noise.save,
    }


def test_pictures_that_cannot_be_had_get_a_verdict_each(place: Path) -> None:
    made = pictures(place)
    for name, make in made.items():
        make(place / "data" / name)
    images = [*made, "../outside.png", "/etc/passwd", "https://example.org/a.png", "a" * 5000, "never.png"]
    rows = [orjson.dumps({"id": n, "text": f"{SENTENCE} {n}.", "image": name}) for n, name in enumerate(images)]
    (place / "data" / "a.jsonl").write_bytes(b"\n".join(rows))
    entry = source("jsonl", "a.jsonl", task="caption", fields={"id": "id", "text": "text", "image": "image"})
    answer = build(place, entry)
    assert answer["counts"]["kept"] == 2
    verdicts = {name: verdict_of(place / "run", "corpus", f"#{n}") for n, name in enumerate(images)}
    undecodable = ("quarantine", "image.undecodable")
    missing = ("drop", "image.missing")
    assert verdicts["empty.png"] == verdicts["text.jpg"] == undecodable
    assert verdicts["a" * 5000] == ("quarantine", "record.malformed")  # longer than any path can be
    gone = ("link_out.png", "loop.png", "folder.png", "../outside.png", "/etc/passwd", "never.png")
    assert {name: verdicts[name] for name in gone} == dict.fromkeys(gone, missing)


def test_too_many_errors_end_the_run_with_status_4_and_say_where(place: Path) -> None:
    (place / "data" / "a.jsonl").write_bytes(b"\n".join([*lines(100), *[b"{"] * 30]))
    answer = build(place, source("jsonl", "a.jsonl"), status=4)
    assert "30 of 130 records" in answer["error"]
    assert "source corpus, record.malformed 30 times" in answer["error"]
    assert "a.jsonl#100 (record.malformed)" in answer["hint"]
    assert build(place, source("jsonl", "a.jsonl", budget=0.5), more=("--out", place / "own"))["counts"]["kept"] == 100


def test_a_file_that_changes_while_it_is_read_stops_the_run_and_the_next_one_is_right(place: Path) -> None:
    path = place / "data" / "a.jsonl"
    path.write_bytes(b"\n".join(lines(20_000)))
    (place / "recipe.yaml").write_text(yaml.safe_dump({"stage": "mid", "sources": [source("jsonl", "a.jsonl")]}))
    arguments = ["build", "--recipe", place / "recipe.yaml", "--data", place / "data", "--out", place / "run"]
    process = subprocess.Popen(
        [*CURATE, *map(str, arguments), *WITHOUT_CONTRACTS, *WITHOUT_NEAR], stderr=subprocess.PIPE, text=True
    )
    log = place / "run" / "events.jsonl"
    while process.poll() is None and not (log.exists() and b'"begin","step":"ingest"' in log.read_bytes()):
        time.sleep(0.005)
    with path.open("ab") as file:
        file.write(b"\n" + orjson.dumps({"id": "new", "text": f"{SENTENCE} added."}))
    _, said = process.communicate()
    assert (process.returncode, "changed" in said) == (1, True), said
    assert not (place / "run" / "run.json").exists()
    assert curate_json(*arguments)["counts"]["ingested"] == 20_001


def test_another_build_s_directory_a_foreign_one_and_a_file_are_refused(place: Path) -> None:
    (place / "data" / "a.jsonl").write_bytes(b"\n".join(lines(3)))
    (place / "foreign").mkdir()
    (place / "foreign" / "thesis.doc").write_text("precious")
    assert "is no run" in build(place, source("jsonl", "a.jsonl"), status=2, more=("--out", place / "foreign"))["error"]
    assert (place / "foreign" / "thesis.doc").read_text() == "precious"
    afile = place / "foreign" / "thesis.doc"
    assert "is a file" in build(place, source("jsonl", "a.jsonl"), status=2, more=("--out", afile))["error"]


def test_two_builds_in_one_directory_do_not_meet(place: Path) -> None:
    (place / "data" / "a.jsonl").write_bytes(b"\n".join(lines(16_000)))
    (place / "recipe.yaml").write_text(yaml.safe_dump({"stage": "mid", "sources": [source("jsonl", "a.jsonl")]}))
    arguments = ["build", "--recipe", place / "recipe.yaml", "--data", place / "data", "--out", place / "run"]
    first = subprocess.Popen(
        [*CURATE, *map(str, arguments), *WITHOUT_CONTRACTS, *WITHOUT_NEAR], stderr=subprocess.DEVNULL
    )
    while first.poll() is None and not (place / "run" / "events.jsonl").exists():
        time.sleep(0.005)
    assert "another build is running here" in curate_json(*arguments, status=2)["error"]
    assert first.wait() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_said_and_the_run_resumes_when_there_is_room(place: Path) -> None:
    (place / "data" / "a.jsonl").write_bytes(b"\n".join(lines(20_000)))
    disk = place / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "curate", str(disk)], check=False).returncode:
        pytest.skip("no disk may be mounted here")
    try:
        answer = build(place, source("jsonl", "a.jsonl"), status=1, more=("--out", disk / "run"))
        assert "No space left on device" in answer["error"]
        assert "resumes" in answer["hint"]
        assert not list((disk / "run").glob("shards/*"))
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        assert build(place, source("jsonl", "a.jsonl"), more=("--out", disk / "run"))["counts"]["kept"] == 20_000
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def test_a_record_file_behind_a_link_out_of_the_data_is_refused_by_name(place: Path) -> None:
    (place / "outside.jsonl").write_bytes(b"\n".join(lines(3)))
    (place / "data" / "a.jsonl").symlink_to(place / "outside.jsonl")
    answer = build(place, source("jsonl", "a.jsonl"), status=2)
    assert "a.jsonl" in answer["error"]


def test_no_source_at_all_is_a_usage_error(place: Path) -> None:
    answer = curate_json("build", "--stage", "mid", "--data", place / "data", "--out", place / "run", status=2)
    assert "none of the recipe's" in answer["error"]
    assert not (place / "run").exists()
