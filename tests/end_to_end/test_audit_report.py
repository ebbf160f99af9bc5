"""What an audit leaves for people: its pages, its statement, and what `--verify` notices."""

import hashlib
import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import blake3
import orjson
import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.end_to_end.audits import eval_set
from tests.end_to_end.runs import curate_json
from tests.pipelines.audit.forms import ROWS, drawn, write_csv

QUESTION = str(ROWS[1]["question"])
SAID = QUESTION.split("painless ")[1][:40]
"""Words of a question that is in the data and in the eval set."""
PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, an eval set, and a key."""
    root = tmp_path_factory.mktemp("report")
    write_csv(root / "csv")
    eval_set(root)
    write_keys(root, "key")
    return root


@pytest.fixture(scope="module")
def audited(place: Path) -> Path:
    """An audit with everything it can leave."""
    curate_json(*command(place), "--public", "--sign", place / "key.pem", status=3)
    return place / "audit"


def write_keys(root: Path, name: str) -> None:
    """`NAME.pem`, the private key, and `NAME.pub`."""
    key = Ed25519PrivateKey.generate()
    (root / f"{name}.pem").write_bytes(key.private_bytes(PEM, PKCS8, serialization.NoEncryption()))
    public = key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (root / f"{name}.pub").write_bytes(public)


def command(place: Path) -> tuple[object, ...]:
    data = place / "csv" / "data.csv"
    return ("audit", data, "--against", place / "mine", "--out", place / "audit", "--workers", 1, "--no-calibrate")


def text(path: Path) -> str:
    return html.unescape(path.read_text(encoding="utf-8"))


def test_the_page_has_both_texts_and_both_pictures(audited: Path) -> None:
    page = text(audited / "reports" / "contamination.html")
    assert page.count(SAID) == 2
    assert page.count("data:image/jpeg") == 4


def test_the_page_for_outsiders_has_neither(audited: Path) -> None:
    page = text(audited / "reports" / "contamination.public.html")
    assert page.count("<article") == 2
    for row in ROWS:
        for name in ("question", "answer", "image"):
            assert str(row[name])[:20] not in page
    assert "data:image" not in page
    assert str(audited.parent) not in page
    assert "data.csv" not in page


def test_the_registry_gets_its_columns(audited: Path) -> None:
    lines = (audited / "reports" / "conda.csv").read_text().splitlines()
    assert lines[0].split(";")[:3] == ["Evaluation Dataset", "Subset", "Contaminated Source"]
    assert lines[1:] == ["mine;;data;corpus;;;66.7;data-based;;"]


def test_shortcuts_of_the_eval_sets_are_a_second_page(audited: Path) -> None:
    told = orjson.loads((audited / "reports" / "shortcuts.json").read_bytes())
    assert told["mine"]["items"] == 3
    assert "Answer leaks and shortcuts" in text(audited / "reports" / "shortcuts.html")


def test_the_statement_names_every_file_of_the_audit_by_its_hash(audited: Path) -> None:
    statement = orjson.loads((audited / "contamination.intoto.json").read_bytes())
    subjects = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    assert subjects == {
        name: hashlib.sha256((audited / name).read_bytes()).hexdigest()
        for name in (
            "contamination.json", "tables/findings/part-000000.parquet", "reports/contamination.html",
            "reports/contamination.public.html", "reports/shortcuts.html", "reports/shortcuts.json",
            "reports/conda.csv", "reports/clean_subset/mine.json",
        )
    }  # fmt: skip
    assert statement["predicate"]["verdict"] == "leaks"


def test_an_audit_of_which_nothing_was_swapped_is_verified(place: Path, audited: Path) -> None:
    told = curate_json(*command(place), "--verify", "--key", place / "key.pub")
    assert (told["ok"], told["problems"], told["verdict"]) == (True, [], "leaks")


def test_whatever_was_swapped_is_noticed(tmp_path: Path) -> None:
    write_csv(tmp_path / "csv")
    folder = eval_set(tmp_path)
    curate_json(*command(tmp_path), status=3)
    data = tmp_path / "csv" / "data.csv"
    data.write_text(data.read_text().replace("forearm", "hand"))
    test = folder / "test.jsonl"
    test.write_text(test.read_text().replace("follicular", "mantle cell"))
    page = tmp_path / "audit" / "reports" / "contamination.html"
    page.write_text(page.read_text().replace("Leaks", "Clean"))
    told = curate_json(*command(tmp_path), "--verify", status=1)
    assert told["problems"] == [
        "reports/contamination.html: not the file that the statement speaks of",
        "data data: not what was audited",
        "eval set mine: not what the audit was against",
    ]


def test_a_picture_of_the_data_that_was_swapped_is_noticed(tmp_path: Path) -> None:
    write_csv(tmp_path / "csv")
    eval_set(tmp_path)
    curate_json(*command(tmp_path), status=3)
    swapped_pictures(tmp_path / "csv")
    told = curate_json(*command(tmp_path), "--verify", status=1)
    assert told["problems"] == ["data data: not what was audited"]


def test_a_file_that_breaks_late_is_bound_by_the_statement(tmp_path: Path) -> None:
    write_csv(tmp_path / "csv")
    eval_set(tmp_path)
    write_keys(tmp_path, "key")
    broken = orjson.dumps([{"text": "Lost."}] * 5000) + b"[]"
    late = tmp_path / "csv" / "late.json"
    late.write_bytes(broken)
    folder = tuple(tmp_path / "csv" if one == tmp_path / "csv" / "data.csv" else one for one in command(tmp_path))
    curate_json(*folder, "--sign", tmp_path / "key.pem", status=3)
    said = orjson.loads((tmp_path / "audit" / "contamination.json").read_bytes())
    (listed,) = [row for one in said["data"][0]["inputs"] for row in one["listing"] if row["path"] == "late.json"]
    assert listed == {"path": "late.json", "bytes": len(broken), "digest": blake3.blake3(broken).hexdigest()}
    told = curate_json(*folder, "--verify", "--key", tmp_path / "key.pub")
    assert (told["ok"], told["problems"]) == (True, [])
    late.write_bytes(broken.replace(b"Lost.", b"Lust.", 1))
    told = curate_json(*folder, "--verify", "--key", tmp_path / "key.pub", status=1)
    assert told["problems"] == ["data csv: not what was audited"]


def test_eval_pictures_with_several_frames_are_told_as_not_covered(tmp_path: Path) -> None:
    write_csv(tmp_path / "csv")
    place = eval_set(tmp_path) / str(ROWS[0]["image"])
    place.unlink()
    frames = [drawn(seed) for seed in range(3)]
    frames[0].save(place, "TIFF", save_all=True, append_images=frames[1:])
    told = curate_json(*command(tmp_path), status=3)
    assert told["not_covered"][0] == "eval set mine: of 1 pictures with several frames only the middle one"


def swapped_ids(folder: Path) -> None:
    test = folder / "test.jsonl"
    one, two, *rest = map(orjson.loads, test.read_bytes().splitlines())
    one["id"], two["id"] = two["id"], one["id"]
    test.write_bytes(b"\n".join(map(orjson.dumps, [one, two, *rest])))


def swapped_pictures(folder: Path) -> None:
    one, two = (folder / str(row["image"]) for row in ROWS[:2])
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)


@pytest.mark.parametrize("swap", [swapped_ids, swapped_pictures])
def test_items_that_changed_places_are_noticed(tmp_path: Path, swap: Callable[[Path], None]) -> None:
    write_csv(tmp_path / "csv")
    folder = eval_set(tmp_path)
    curate_json(*command(tmp_path), status=3)
    swap(folder)
    told = curate_json(*command(tmp_path), "--verify", status=1)
    assert told["problems"] == ["eval set mine: not what the audit was against"]


def test_a_statement_that_another_key_signed_or_that_was_rewritten_is_noticed(tmp_path: Path) -> None:
    write_csv(tmp_path / "csv")
    eval_set(tmp_path)
    write_keys(tmp_path, "key")
    write_keys(tmp_path, "other")
    curate_json(*command(tmp_path), "--sign", tmp_path / "key.pem", status=3)
    told = curate_json(*command(tmp_path), "--verify", "--key", tmp_path / "other.pub", status=1)
    assert told["problems"] == ["contamination.dsse.json: the signature is not one of this key"]
    statement = tmp_path / "audit" / "contamination.intoto.json"
    statement.write_text(statement.read_text().replace('"leaks"', '"clean"'))
    told = curate_json(*command(tmp_path), "--verify", "--key", tmp_path / "key.pub", status=1)
    assert told["problems"] == ["contamination.intoto.json: not the one that was signed"]
    curate_json(*command(tmp_path), status=3)  # audited again, and not signed
    told = curate_json(*command(tmp_path), "--verify", "--key", tmp_path / "key.pub", status=1)
    assert told["problems"] == ["contamination.dsse.json: not there, so nothing is signed"]


def recipe(root: Path, **more: Any) -> Path:
    fields = {"id": "id", "image": "image", "question": "question", "answer": "answer"}
    source = {"name": "src", "reader": "csv", "path": "csv/data.csv", "task": "vqa", "access": "open",
              "fields": fields, "images": "csv", **more}  # fmt: skip
    settings = {"against": ["mine"], "drop": [], "calibrate": {"enabled": False}}
    path = root / "recipe.yaml"
    path.write_text(yaml.safe_dump({"stage": "mid", "sources": [source], "steps": {"decontaminate": settings}}))
    return path


def test_a_build_has_the_page_of_the_shards_that_it_wrote_and_swapped_shards_are_noticed(place: Path) -> None:
    run = place / "run"
    where = ("--data", place, "--evals", place, "--out", run)
    answer = curate_json("build", "--recipe", recipe(place), *where)
    assert answer["audit"] == "leaks"
    page = text(run / "reports" / "contamination.html")
    assert page.count(SAID) == 2
    assert orjson.loads((run / "shards" / "contamination.json").read_bytes())["shards"]["manifest_sha256"] in page
    again = ("audit", run, "--against", place / "mine", "--out", place / "of_run", "--workers", 1, "--no-calibrate")
    curate_json(*again, status=3)
    assert curate_json(*again, "--verify")["ok"]
    (tar,) = (run / "shards").glob("*.tar")
    data = bytearray(tar.read_bytes())
    data[600] ^= 1
    tar.write_bytes(data)
    (problem,) = curate_json(*again, "--verify", status=1)["problems"]
    assert "other bytes than the manifest says" in problem


def test_of_a_keyed_source_no_text_or_picture_is_on_the_page_of_its_run(place: Path, tmp_path: Path) -> None:
    (tmp_path / "site.key").write_bytes(b"k" * 32)
    keyed = ("--id-key", tmp_path / "site.key")
    run = tmp_path / "run"
    where = ("--data", place, "--evals", place, "--out", run)
    curate_json("build", "--recipe", recipe(tmp_path, identifiers="keyed"), *where, *keyed)
    audit = tmp_path / "audit"
    more = ("--out", audit, "--workers", 1, "--no-calibrate", "--public", *keyed)
    curate_json("audit", run, "--against", place / "mine", *more, status=3)
    pages = [run / "reports" / "contamination.html", *sorted((audit / "reports").glob("contamination*.html"))]
    assert len(pages) == 3
    for page in pages:
        assert SAID not in text(page)
    for page in pages[:2]:
        assert "they may tell of people" in text(page)
        assert text(page).count("data:image/jpeg") <= 2  # the pictures of the eval set, which is open
