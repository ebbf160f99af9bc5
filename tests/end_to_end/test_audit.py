"""`curate audit`: any form of data, one answer; verdicts and exit statuses; the same bytes every time."""

import hashlib
import io
import tarfile
from pathlib import Path

import orjson
import polars as pl
import pytest
import yaml

from tests.end_to_end.audits import AUDIT, FREE, LEAKED, document, eval_set, what
from tests.end_to_end.runs import curate, curate_json
from tests.pipelines.audit.forms import ROWS, drawn, write_csv, write_llava, write_parquet, write_tars


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data in four forms, and the eval set."""
    root = tmp_path_factory.mktemp("audit")
    write_llava(root / "llava")
    write_csv(root / "csv")
    write_parquet(root / "parquet")
    write_tars(root / "theirs")
    eval_set(root)
    return root


FORMS = {"llava": "llava/data.json", "csv": "csv/data.csv", "parquet": "parquet/data.parquet", "tars": "theirs/tars"}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_data_gives_the_same_findings(place: Path, tmp_path: Path, form: str) -> None:
    answer = curate_json(*AUDIT, place / FORMS[form], "--against", place / "mine", "--out", tmp_path / "a", status=3)
    assert (answer["verdict"], answer["items"], answer["leaked_items"]) == ("leaks", 3, 2)
    assert answer["eval_sets"]["mine"]["by_grade"] == {"exact": 2}
    assert what(tmp_path / "a") == [("mine", name, "pair", "exact") for name in LEAKED]
    clean = orjson.loads((tmp_path / "a" / "reports" / "clean_subset" / "mine.json").read_bytes())
    assert clean["clean"] == ["free"]


def test_a_run_gives_the_same_findings_and_swapped_shards_are_refused(place: Path, tmp_path: Path) -> None:
    source = {
        "name": "src",
        "reader": "csv",
        "path": "csv/data.csv",
        "task": "vqa",
        "access": "open",
        "fields": {"id": "id", "image": "image", "question": "question", "answer": "answer"},
        "images": "csv",
    }
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({"stage": "mid", "sources": [source]}))
    run = tmp_path / "run"
    built = curate_json("build", "--recipe", tmp_path / "r.yaml", "--data", place, "--out", run)
    assert (built["counts"]["kept"], built["audit"]) == (3, "not_run")
    curate_json(*AUDIT, run, "--against", place / "mine", "--out", tmp_path / "a", status=3)
    assert what(tmp_path / "a") == [("mine", name, "pair", "exact") for name in LEAKED]
    told = document(tmp_path / "a")
    manifest = (run / "shards" / "manifest.json").read_bytes()
    assert told["shards"]["manifest_sha256"] == hashlib.sha256(manifest).hexdigest()
    assert list(told["sources"]) == ["src"]
    (tar,) = (run / "shards").glob("*.tar")
    data = bytearray(tar.read_bytes())
    data[600] ^= 1
    tar.write_bytes(data)
    refused = curate_json(*AUDIT, run, "--against", place / "mine", "--out", tmp_path / "b", status=1)
    assert "other bytes than the manifest says" in refused["error"]
    assert not (tmp_path / "b" / "contamination.json").exists()


def test_data_without_leaks_is_clean_and_the_evidence_says_what_was_looked_at(place: Path, tmp_path: Path) -> None:
    row = {"question": ROWS[2]["question"], "answer": ROWS[2]["answer"]}
    (tmp_path / "d.jsonl").write_bytes(orjson.dumps(row))
    answer = curate_json(*AUDIT, tmp_path / "d.jsonl", "--against", place / "mine", "--out", tmp_path / "a")
    assert (answer["verdict"], answer["findings"]) == ("clean", {})
    told = document(tmp_path / "a")
    assert told["data"][0]["inputs"][0]["listing"][0]["path"] == "d.jsonl"
    assert told["eval_sets"]["mine"]["version"] == "1"
    assert told["sources"]["d"]["samples"] == 1


def test_an_audit_that_could_not_read_everything_never_says_clean(place: Path, tmp_path: Path) -> None:
    good = orjson.dumps({"question": "What is the first line here?", "answer": "this"})
    (tmp_path / "d.jsonl").write_bytes(good + b"\n{not json}\n")
    answer = curate_json(*AUDIT, tmp_path / "d.jsonl", "--against", place / "mine", "--out", tmp_path / "a", status=1)
    assert answer["verdict"] == "incomplete"
    assert answer["reasons"] == ["source d: 1 x record.malformed"]


def test_a_question_in_a_column_that_only_a_late_record_has_is_found(place: Path, tmp_path: Path) -> None:
    rows = [{"caption": f"Film number {number} of the series."} for number in range(210)]
    rows.append({key: ROWS[1][key] for key in ("question", "answer")})
    (tmp_path / "d.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    curate_json(*AUDIT, tmp_path / "d.jsonl", "--against", place / "mine", "--out", tmp_path / "a", status=3)
    assert [(item, channel) for _, item, channel, _ in what(tmp_path / "a")] == [("two", "text")]


def test_records_pictures_and_links_at_which_nobody_looked_are_told(place: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = [{"text": "Nothing of the kind.", "image": "named.png"}, {"text": None, "number": 3}]
    (data / "d.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    for name in ("named.png", "other.png"):
        drawn(77).save(data / name)
    (data / "out.jsonl").symlink_to(place / FORMS["csv"])
    answer = curate_json(*AUDIT, data, "--against", place / "mine", "--out", tmp_path / "a", status=1)
    assert answer["verdict"] == "incomplete"
    assert answer["reasons"] == [
        "source data: 1 x record.empty", "data: 1 files are links that lead out of the folder",
        "data: 1 files are pictures that no record names",
    ]  # fmt: skip
    assert answer["not_covered"][-3:] == answer["reasons"]


def test_what_a_reader_had_in_hand_and_left_makes_it_incomplete_on_either_side(place: Path, tmp_path: Path) -> None:
    mine = eval_set(tmp_path, "unsaid")
    said = {"name": "unsaid", "version": "1", "license": "CC0-1.0", "reader": "jsonl", "path": "test.jsonl"}
    (mine / "evalset.yaml").write_text(orjson.dumps(said).decode())
    (mine / "test.jsonl").write_bytes(orjson.dumps({"id": "1", "question": "What is it?", "shot": "one.png"}))
    many = [{"id": str(number), "question": f"What is number {number}?"} for number in range(5000)]
    torn = eval_set(tmp_path, "torn", reader="json", path="*.json", fields={"id": "id", "question": "question"})
    (torn / "good.json").write_bytes(orjson.dumps(many[:1]))
    (torn / "late.json").write_bytes(orjson.dumps(many) + b"[]")
    perhaps = "Or this is perhaps another version of the corpus: name its columns in `fields`"
    no_answer = "films: metadata.csv: no column 'answer'; did you mean 'note'?"
    films = eval_set(tmp_path, "films", reader="image_folder", path="*.png")
    (films / "metadata.csv").write_text("file_name,note\none.png,Lost.\n")
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.csv").write_text("what,is,this\n1,Lost,3\n")
    # Broken behind the records that tell its columns.
    (data / "late.json").write_bytes(orjson.dumps([{"text": "Lost."}] * 5000) + b"[]")
    with tarfile.open(data / "b.tar", "w") as tar:
        for name, inside in (("one.txt", b"Nothing of the kind."), ("one.pyd", b"\0\1")):
            info = tarfile.TarInfo(name)
            info.size = len(inside)
            tar.addfile(info, io.BytesIO(inside))
    against = [word for folder in (mine, torn, films) for word in ("--against", folder)]
    answer = curate_json(*AUDIT, data, *against, "--out", tmp_path / "a", status=1)
    assert answer["verdict"] == "incomplete"
    assert answer["reasons"] == [
        "eval set films holds no item",
        f"eval set films: 1 x file that cannot be read (the first: {no_answer} {perhaps})",
        "eval set torn: 1 x file that cannot be read (the first: late.json)",
        "eval set unsaid: 1 x column shot, not looked at", "source data_2: 1 x member .pyd, not looked at",
        "data: 2 files cannot be read (`unreadable` in contamination.json names them; audited alone, one says why)",
    ]  # fmt: skip
    assert document(tmp_path / "a")["unreadable"] == ["data: a.csv", "data_1: late.json"]


def test_a_picture_that_is_not_there_or_cannot_be_decoded_makes_it_incomplete(place: Path, tmp_path: Path) -> None:
    rows = [{"image": name, "question": "What is shown?", "answer": "this"} for name in ("gone.png", "bad.png")]
    (tmp_path / "d.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    answer = curate_json(*AUDIT, tmp_path / "d.jsonl", "--against", place / "mine", "--out", tmp_path / "a", status=1)
    assert answer["verdict"] == "incomplete"
    assert answer["reasons"] == ["source d: 1 x image.missing", "source d: 1 x image.undecodable"]


def test_an_eval_set_that_is_not_there_makes_it_incomplete_and_leaks_come_first(place: Path, tmp_path: Path) -> None:
    clean = tmp_path / "d.jsonl"
    clean.write_bytes(orjson.dumps({"text": "Nothing of the kind is here."}))
    both = ["--against", place / "mine", "--against", "medqa", "--evals", tmp_path]
    answer = curate_json(*AUDIT, clean, *both, "--out", tmp_path / "a", status=1)
    assert (answer["verdict"], [one["name"] for one in answer["missing"]]) == ("incomplete", ["medqa"])
    answer = curate_json(*AUDIT, place / FORMS["csv"], *both, "--out", tmp_path / "b", status=3)
    assert answer["verdict"] == "leaks"


@pytest.mark.parametrize(("arguments", "said"), [
    (("--against", "medqaa"), "did you mean 'medqa'"),
    (("--against", "mine/", "--fail-on", "near_txt"), "did you mean 'near_text'"),
    ((), "--against"),
])  # fmt: skip
def test_wrong_usage_names_what_was_meant(place: Path, arguments: tuple[str, ...], said: str) -> None:
    done = curate(*AUDIT, place / FORMS["csv"], *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_splits_and_records_without_answers_are_looked_at_too(place: Path, tmp_path: Path) -> None:
    rows = [{"question": ROWS[1]["question"], "split": "test"}, {"question": FREE["question"]}]
    (tmp_path / "d.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    curate_json(*AUDIT, tmp_path / "d.jsonl", "--against", place / "mine", "--out", tmp_path / "a", status=3)
    assert {(item, channel) for _, item, channel, _ in what(tmp_path / "a")} == {("two", "text"), ("free", "text")}


def test_a_review_accepts_what_was_looked_at_and_says_so(place: Path, tmp_path: Path) -> None:
    arguments = (*AUDIT, place / FORMS["csv"], "--against", place / "mine", "--out", tmp_path / "a")
    curate_json(*arguments, status=3)
    ids = pl.read_parquet(tmp_path / "a" / "tables" / "findings" / "*.parquet")["finding_id"].to_list()
    (tmp_path / "review.yaml").write_text(yaml.safe_dump({"reason": "known", "accept": [*ids, "0123456789abcdef"]}))
    answer = curate_json(*arguments, "--accept", tmp_path / "review.yaml")
    assert (answer["verdict"], answer["leaked_items"]) == ("clean", 2)
    assert answer["accepted"]["findings"] == sorted(ids)
    assert answer["accepted"]["unknown"] == ["0123456789abcdef"]
    (tmp_path / "old.yaml").write_text("reason: known\naccept: all\nuntil: 2020-01-01\n")
    done = curate(*arguments, "--accept", tmp_path / "old.yaml")
    assert done.returncode == 3
    assert "expired" in done.stderr


def test_workers_and_order_of_questions_do_not_show_in_any_byte(place: Path, tmp_path: Path) -> None:
    other = eval_set(tmp_path, "other")
    sets = [("--against", place / "mine"), ("--against", other)]
    runs = [(sets, 1), (sets[::-1], 2)]
    for number, (asked, workers) in enumerate(runs):
        flat = [word for pair in asked for word in pair]
        data = place / FORMS["csv"]
        curate_json(*AUDIT, data, *flat, "--workers", workers, "--out", tmp_path / str(number), status=3)
    one, two = (published(tmp_path / str(number)) for number in range(2))
    assert one == two


def published(audit: Path) -> dict[str, bytes]:
    names = ["contamination.json", "tables/findings/part-000000.parquet"]
    names += [f"reports/clean_subset/{name}.json" for name in ("mine", "other")]
    return {name: (audit / name).read_bytes() for name in names}


def test_an_audit_resumes_and_costs_only_what_is_new(place: Path, tmp_path: Path) -> None:
    arguments = (*AUDIT, place / FORMS["csv"], "--against", place / "mine", "--out", tmp_path / "a")
    curate_json(*arguments, status=3)
    before = (tmp_path / "a" / "contamination.json").read_bytes()
    log = (tmp_path / "a" / "events.jsonl").stat().st_size
    curate_json(*arguments, status=3)
    assert (tmp_path / "a" / "contamination.json").read_bytes() == before
    events = [orjson.loads(line) for line in (tmp_path / "a" / "events.jsonl").read_bytes()[log:].splitlines()]
    anew = {event["step"] for event in events if event["event"] == "unit" and not event["reused"]}
    assert anew <= {"shards"}
    refused = curate_json(*arguments, "--fail-on", "exact", status=2)
    assert "other settings" in refused["error"]


def test_two_audits_side_by_side(place: Path, tmp_path: Path) -> None:
    less = tmp_path / "less.csv"
    less.write_text(f'question,answer\n"{ROWS[1]["question"]}",{ROWS[1]["answer"]}\n')
    for name, data in (("a", place / FORMS["csv"]), ("b", less)):
        curate_json(*AUDIT, data, "--against", place / "mine", "--out", tmp_path / name, status=3)
    found = curate_json("diff", tmp_path / "a", tmp_path / "b")
    assert found["verdict"] == {"a": "leaks", "b": "leaks"}
    assert sum(row["findings"] for row in found["only_in_a"]) == 2
    assert [(row["eval_set"], row["channel"]) for row in found["only_in_b"]] == [("mine", "text")]
    assert "only in A" in curate("diff", tmp_path / "a", tmp_path / "b").stderr


def test_one_picture_stored_anew_is_still_found(place: Path, tmp_path: Path) -> None:
    drawn(0).resize((120, 120)).convert("RGB").save(tmp_path / "x.jpg", quality=70)
    (tmp_path / "d.jsonl").write_bytes(orjson.dumps({"image": "x.jpg", "text": "Something about it."}))
    curate_json(*AUDIT, tmp_path / "d.jsonl", "--against", place / "mine", "--out", tmp_path / "a", status=3)
    assert what(tmp_path / "a") == [("mine", "one", "image", "reencoded")]


def test_nothing_that_identifies_is_in_an_audit_with_a_site_key_and_groups_still_meet(tmp_path: Path) -> None:
    planted = ("PAT-778899", "DOE-JANE", "ACC7654321")
    ward = tmp_path / "DOE-JANE"
    ward.mkdir()
    drawn(5).save(ward / "ACC7654321.png")
    row = {"id": "ACC7654321", "image": "ACC7654321.png", "text": "A film of the chest.", "patient": "PAT-778899"}
    (ward / "PAT-778899.jsonl").write_bytes(orjson.dumps(row) + b"\nbroken PAT-778899\n")
    theirs = eval_set(tmp_path, "theirs", access="credentialed", fields={
        "id": "id", "question": "question", "answer": "answer", "images": "image", "patient": "patient",
    })  # fmt: skip
    item = {**FREE, "id": "ACC7654321-e", "image": None, "patient": "PAT-778899"}
    (theirs / "test.jsonl").write_bytes(orjson.dumps(item))
    (tmp_path / "site.key").write_text("a-site-key-of-enough-bytes")
    command = (*AUDIT, ward / "PAT-778899.jsonl", "--against", theirs, "--out", tmp_path / "a")
    assert "--id-key" in curate_json(*command, status=2)["hint"]
    done = curate(*command, "--id-key", tmp_path / "site.key", "--json")
    assert done.returncode == 1  # the broken record: incomplete
    assert [(channel, grade) for *_, channel, grade in what(tmp_path / "a")] == [("group", "same_group")]
    everything = done.stdout + done.stderr
    for path in (tmp_path / "a").rglob("*"):
        everything += path.name
        if path.suffix == ".parquet":
            everything += str(pl.read_parquet(path).to_dicts())
        elif path.is_file():
            everything += path.read_text(errors="replace")
    assert not [name for name in planted if name in everything]


def test_no_page_shows_what_shards_hold_that_were_given_with_a_site_key_but_without_their_run(tmp_path: Path) -> None:
    row = {"question": f"Nurse Zephyrine asks: {ROWS[1]['question']}", "answer": "Mycobacterium marinum."}
    (tmp_path / "d.jsonl").write_bytes(orjson.dumps(row))
    source = {"name": "src", "reader": "jsonl", "path": "d.jsonl", "task": "text_qa", "access": "open",
              "identifiers": "keyed"}  # fmt: skip
    (tmp_path / "r.yaml").write_text(yaml.safe_dump({"stage": "mid", "sources": [source]}))
    (tmp_path / "site.key").write_text("a-site-key-of-enough-bytes")
    key = ("--id-key", tmp_path / "site.key")
    curate_json("build", "--recipe", tmp_path / "r.yaml", "--data", tmp_path, "--out", tmp_path / "run", *key)
    (tmp_path / "run" / "shards").rename(tmp_path / "alone")
    mine = eval_set(tmp_path)
    for more, shown in (((), True), (key, False)):
        out = tmp_path / f"a{shown}"
        curate_json(*AUDIT, tmp_path / "alone", "--against", mine, "--out", out, *more, status=3)
        assert ("Zephyrine" in (out / "reports" / "contamination.html").read_text()) == shown


def test_ray_gives_the_same_bytes(place: Path, tmp_path: Path) -> None:
    for engine in ("local", "ray"):
        more = ("--engine", engine, "--workers", "1", "--out", tmp_path / engine)
        curate_json("audit", "--calibrate", "1", place / FORMS["csv"], "--against", place / "mine", *more, status=3)
    for name in ("contamination.json", "tables/findings/part-000000.parquet"):
        assert (tmp_path / "local" / name).read_bytes() == (tmp_path / "ray" / name).read_bytes()
