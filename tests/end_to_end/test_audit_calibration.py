"""The calibration of `curate audit`: probes planted for it, found or not, the same for any number of workers."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.end_to_end.audits import FREE, document, eval_set
from tests.end_to_end.runs import curate, curate_json
from tests.end_to_end.test_audit_in_a_build import build
from tests.pipelines.audit.forms import ROWS, drawn, write_csv

TOLD = ("calibration", "probes", "residual", "residual_assumes", "verdict", "reasons")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An eval set, and data in which nothing of it is."""
    root = tmp_path_factory.mktemp("calibration")
    eval_set(root)
    (root / "d.jsonl").write_bytes(orjson.dumps({"text": "Why do gulls fly inland before a storm at sea?"}))
    return root


def audit(place: Path, out: Path, *more: object, status: int = 0) -> dict[str, Any]:
    arguments = ("--against", place / "mine", "--calibrate", 2, "--out", out, *more)
    return curate_json("audit", place / "d.jsonl", *arguments, status=status)


@pytest.fixture(scope="module")
def audited(place: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("audited") / "a"
    return out, audit(place, out, "--workers", 2)


def test_an_audit_says_what_it_would_have_found(audited: tuple[Path, dict[str, Any]]) -> None:
    out, answer = audited
    assert answer["verdict"] == "clean"
    calibration = answer["calibration"]
    assert set(calibration) == {"image", "pair", "text", "false_positives"}
    for channel in ("image", "pair", "text"):
        for one in calibration[channel].values():
            assert set(one) == {"planted", "found", "recall", "ci95"}
            assert 0 < one["planted"] <= 2
            assert one["ci95"][0] <= one["recall"] <= one["ci95"][1]
    assert calibration["text"]["verbatim"]["recall"] == 1
    assert len(calibration["image"]) >= 28
    assert (calibration["false_positives"]["flagged"], calibration["false_positives"]["decoys"] > 0) == (0, True)
    told = document(out)
    assert (told["probes"]["seed"], told["probes"]["pictures"]) == (0, 2)
    assert set(told["residual"]["mine"]) == {"image", "text"}
    assert "as the probes are" in told["residual_assumes"]
    statement = orjson.loads((out / "contamination.intoto.json").read_bytes())
    assert statement["predicate"]["mean_recall"] == told["probes"]["mean_recall"]
    assert not [sentence for sentence in told["not_covered"] if "recall" in sentence]
    events = [orjson.loads(line) for line in (out / "events.jsonl").read_bytes().splitlines()]
    (timed,) = [event for event in events if event["event"] == "calibrated"]
    assert 0 < timed["seconds"] < answer["seconds"]
    assert timed["probes"] >= sum(
        one["planted"] for channel in ("image", "pair", "text") for one in calibration[channel].values()
    )


def test_short_questions_about_absent_pictures_are_no_probes_since_the_search_cannot_find_them(
    place: Path, tmp_path: Path
) -> None:
    for picture in eval_set(tmp_path).glob("*.png"):
        picture.unlink()
    arguments = ("--against", tmp_path / "mine", "--calibrate", 2, "--out", tmp_path / "a")
    answer = curate_json("audit", place / "d.jsonl", *arguments, status=1)
    assert answer["verdict"] == "incomplete"
    assert "eval set mine: 2 pictures that its items name are not there" in answer["reasons"]
    assert document(tmp_path / "a")["probes"]["eval_sets"]["mine"]["text"]["items"] == 1


def test_no_file_of_the_audit_holds_a_planted_text(audited: tuple[Path, dict[str, Any]]) -> None:
    out, _ = audited
    probes = [path for path in (out / "work").rglob("*.parquet") if "probes" in str(path) or "decoys" in str(path)]
    assert probes
    for path in probes:
        data = path.read_bytes()
        assert not [row for row in (*ROWS, FREE) if row["question"][:24].encode() in data]
    assert not [path for path in out.rglob("*") if path.suffix in {".png", ".jpg"}]


def test_workers_and_resuming_do_not_show(place: Path, audited: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, _ = audited
    audit(place, tmp_path / "b", "--workers", 1)
    one, two = document(out), document(tmp_path / "b")
    assert {name: one[name] for name in TOLD} == {name: two[name] for name in TOLD}
    for path in (tmp_path / "b" / "work").rglob("*audit_picture_probes*.json"):
        path.unlink()
    audit(place, tmp_path / "b", "--workers", 1)
    assert document(tmp_path / "b") == two


def test_a_policy_that_the_probes_do_not_reach_makes_it_insensitive(place: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    lines = [
        {"eval_set": "mine", "eval_id": "free", "text": "Gulls, storms and tides: an introduction.", "expect": "found",
         "transform": "translated"},
        {"eval_set": "mine", "eval_id": "free", "text": f"Quiz. {FREE['question']}", "expect": "found",
         "transform": "quoted"},
        {"eval_set": "mine", "eval_id": "one", "image": "x.jpg", "expect": "found", "transform": "scanned"},
        {"eval_set": "mine", "text": "Which gull flies inland?", "expect": "not_found", "transform": "gulls"},
    ]  # fmt: skip
    (given / "probes.jsonl").write_bytes(b"\n".join(map(orjson.dumps, lines)))
    drawn(0).resize((120, 120)).convert("RGB").save(given / "x.jpg", quality=70)
    answer = audit(place, tmp_path / "a", "--probes", given, "--no-calibrate", status=1)
    assert answer["verdict"] == "insensitive"
    assert answer["reasons"] == ["channel text: mean recall of its probes is 0.50, below 0.80"]
    text, image = answer["calibration"]["text"], answer["calibration"]["image"]
    assert {name: one["found"] for name, one in text.items()} == {"given.translated": 0, "given.quoted": 1}
    assert image["given.scanned"]["found"] == 1
    assert answer["calibration"]["false_positives"]["kinds"]["given.gulls"]["flagged"] == 0
    audit(place, tmp_path / "b", "--probes", given, "--no-calibrate", "--min-recall", "0.5")


def test_probes_of_what_is_not_audited_are_refused(place: Path, tmp_path: Path) -> None:
    line = {"eval_set": "mine", "eval_id": "nobody", "text": "x", "transform": "t", "expect": "found"}
    for number, (said, more) in enumerate((("no such item", {}), ("is not audited", {"eval_set": "theirs"}))):
        (tmp_path / "probes.jsonl").write_bytes(orjson.dumps({**line, **more}))
        done = curate("audit", place / "d.jsonl", "--against", place / "mine", "--no-calibrate", "--probes", tmp_path,
                      "--out", tmp_path / str(number))  # fmt: skip
        assert done.returncode == 2
        assert said in done.stderr


def test_without_calibration_nothing_is_said_of_recall(place: Path, tmp_path: Path) -> None:
    answer = curate_json(
        "audit", place / "d.jsonl", "--against", place / "mine", "--no-calibrate", "--out", tmp_path / "a"
    )
    assert (answer["verdict"], answer["calibration"]) == ("clean", {})
    assert [sentence.partition(":")[0] for sentence in answer["not_covered"]] == [
        "the data have no picture",
        "recall not measured (no probes were planted)",
    ]
    statement = orjson.loads((tmp_path / "a" / "contamination.intoto.json").read_bytes())
    assert statement["predicate"]["mean_recall"] is None


def test_what_a_build_removed_says_what_may_remain_in_its_shards(tmp_path: Path) -> None:
    write_csv(tmp_path / "csv")
    eval_set(tmp_path / "evals")
    answer = build(tmp_path, tmp_path / "run", calibrate={"pictures": 1, "texts": 2})
    assert (answer["counts"]["dropped"], answer["audit"]) == ({"leak.exact": 2}, "clean")
    told = orjson.loads((tmp_path / "run" / "shards" / "contamination.json").read_bytes())
    assert told["findings"] == {}
    assert {channel: one["seen"] for channel, one in told["residual"]["mine"].items()} == {"image": 2, "text": 0}
    assert told["residual"]["mine"]["image"]["upper95"] <= 1  # there are three items
    assert {one["planted"] for one in told["calibration"]["text"].values()} <= {1, 2}
    assert {one["planted"] for one in told["calibration"]["image"].values()} == {1}
