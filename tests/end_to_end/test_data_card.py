"""The files beside the shards of a real build: other programs load every sample by them."""

import base64
import io
import tarfile
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from PIL import Image

from tests.end_to_end.runs import WITHOUT_CONTRACTS, WITHOUT_READING, curate_json, published
from tests.shards.companions import croissant, loaded
from workflows.demo_corpus import write_demo_corpus


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The demo corpus, and studies of two and three pictures."""
    place = tmp_path_factory.mktemp("card")
    recipe = write_demo_corpus(place / "corpora")
    studies = place / "corpora" / "studies"
    studies.mkdir()
    for name in ("a.png", "b.jpg", "c.bmp"):
        shade = 40 * (ord(name[0]) - 96)
        Image.linear_gradient("L").point([min(255, value + shade) for value in range(256)]).save(studies / name)
    rows = [
        {"id": "two", "images": ["a.png", "b.jpg"], "text": "Two views of the same gradient, seen from above."},
        {
            "id": "three",
            "images": ["b.jpg", "c.bmp", "a.png"],
            "text": "Three views of it in another order than before.",
        },
    ]
    (studies / "studies.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    document = yaml.safe_load(recipe.read_bytes())
    document["sources"].append(
        {"name": "studies", "reader": "jsonl", "path": "studies/*.jsonl", "images": "studies", "task": "caption",
         "fields": {"id": "id", "images": "images", "text": "text"}, "access": "open", "license": "CC-BY-NC-4.0"}
    )  # fmt: skip
    recipe.write_text(yaml.safe_dump(document))
    return place, curate_json(*command(place), "--out", place / "run")


def command(place: Path) -> tuple[object, ...]:
    """Contracts, and the reading of pictures, have tests of their own, and take seconds."""
    without = (*WITHOUT_CONTRACTS, *WITHOUT_READING)
    return ("build", "--recipe", place / "demo.yaml", "--data", place / "corpora", *without)


def members_of(shards: Path) -> dict[str, dict[str, bytes]]:
    found: dict[str, dict[str, bytes]] = {}
    for entry in orjson.loads((shards / "manifest.json").read_bytes())["shards"]:
        with tarfile.open(shards / entry["name"]) as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")
                file = tar.extractfile(member)
                assert file is not None
                found.setdefault(key, {})[suffix] = file.read()
    return found


def test_load_dataset_gives_every_sample_with_its_text_and_bytes(
    built: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    shards = built[0] / "run" / "shards"
    expected = members_of(shards)
    rows = loaded(shards, tmp_path)
    assert [row["key"] for row in rows] == list(expected)
    assert len(rows) == built[1]["samples_written"]
    for row in rows:
        members = dict(expected[row["key"]])
        assert row["json"] == orjson.loads(members.pop("json"))
        assert {suffix: base64.b64decode(data) for suffix, data in row["pictures"].items()} == members
    assert {len(row["pictures"]) for row in rows} == {0, 1, 2, 3}
    assert all(
        Image.open(io.BytesIO(base64.b64decode(data))).size == (image["width"], image["height"])
        for row in rows
        for image, data in ((image, row["pictures"][image["member"]]) for image in row["json"]["images"])
    )


def test_mlcroissant_reads_every_sample(built: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    shards = built[0] / "run" / "shards"
    found = croissant(shards, tmp_path)
    assert found["errors"] == []
    assert {orjson.loads(row)["sample_id"] for row in found["rows"]} == set(members_of(shards))


def test_the_card_counts_what_was_written_and_names_the_strictest_terms(built: tuple[Path, dict[str, Any]]) -> None:
    text = (built[0] / "run" / "shards" / "README.md").read_text()
    for name, row in built[1]["sources"].items():
        assert (f"\n| {name} | {row['kept']} | " in text) == bool(row["kept"])
    assert "| non-commercial | not for commercial use | 2 | studies |" in text
    assert "gated access" not in text  # the one gated source was refused


def test_verify_takes_the_files_for_what_they_are(built: tuple[Path, dict[str, Any]]) -> None:
    assert curate_json("shards", "verify", built[0] / "run" / "shards") == {"ok": True, "problems": []}


def test_they_hold_no_time_and_no_place(built: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    curate_json(*command(built[0]), "--workers", 1, "--out", tmp_path / "again")
    names = ("shards/README.md", "shards/croissant.json")
    once, again = published(built[0] / "run"), published(tmp_path / "again")
    assert [once[name] for name in names] == [again[name] for name in names]
    assert str(built[0]) not in "".join((built[0] / "run" / name).read_text() for name in names)


def test_a_companion_that_was_changed_is_put_right_by_the_next_build(built: tuple[Path, dict[str, Any]]) -> None:
    before = published(built[0] / "run")
    card = built[0] / "run" / "shards" / "README.md"
    card.unlink()
    card.write_text("mine")
    curate_json(*command(built[0]), "--out", built[0] / "run")
    assert published(built[0] / "run") == before
