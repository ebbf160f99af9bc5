"""Eval sets from the hub: a repository on this machine, and a server that answers as the hub does."""

import io
import json
import zipfile
from pathlib import Path

import pytest
import yaml

from dedup.evalsets.checking import check
from dedup.evalsets.fetching import UNFINISHED, fetch, must_be_signed_for, unpack
from dedup.evalsets.locating import find_evalset
from dedup.evalsets.reading import items_of
from dedup.evalsets.registry import EvalSet, EvalSetError, Hub, known
from sources.readers.hf_library import datasets_library
from sources.storage import LocalFolder
from sources.storage import hub as hub_module
from tests.sources.hf_sets import png
from tests.sources.hub_server import COMMIT, REPOSITORY, serving


def repository(folder: Path) -> Path:
    """PathVQA as the hub has it, only smaller."""
    library = datasets_library()
    features = library.Features(
        {"image": library.Image(), "question": library.Value("string"), "answer": library.Value("string")}
    )
    for split, rows in (("train", 4), ("test", 3)):
        columns = {
            "image": [{"bytes": png(n), "path": None} for n in range(rows)],
            "question": [f"What is shown in {split} {n}?" for n in range(rows)],
            "answer": ["necrosis"] * rows,
        }
        (folder / "data").mkdir(parents=True, exist_ok=True)
        library.Dataset.from_dict(columns, features=features).to_parquet(
            str(folder / f"data/{split}-00000-of-00001.parquet")
        )
    return folder


def moved(name: str, repo: Path | str, **hub: object) -> EvalSet:
    """A registered set whose repository is another place."""
    own = known(name).hub
    assert own is not None
    return known(name).model_copy(update={"hub": Hub.model_validate({**own.model_dump(), "repo": str(repo), **hub})})


def test_the_judged_split_is_fetched_described_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    card, into = moved("path_vqa", repository(tmp_path / "repo")), LocalFolder(tmp_path / "evals")
    said: list[str] = []
    made = fetch(card, into, said.append)
    assert (made.items, made.already_there, len(said)) == (3, False, 1)
    described = yaml.safe_load((tmp_path / "evals/path_vqa/evalset.yaml").read_text())
    assert (described["name"], described["content"]) == ("path_vqa", made.content)
    assert not (tmp_path / "evals/path_vqa" / UNFINISHED).exists()
    found = find_evalset(known("path_vqa"), [into])
    assert found is not None
    items = items_of(found).items.to_pylist()
    assert [len(item["images"]) for item in items] == [1, 1, 1]
    assert {item["split"] for item in items} == {"test"}
    again = fetch(card, into, said.append)
    assert (again.already_there, again.content, len(said)) == (True, made.content, 1)


def test_a_fetch_that_was_stopped_goes_on_with_the_commit_it_began_with(tmp_path: Path) -> None:
    card, into = moved("path_vqa", repository(tmp_path / "repo")), LocalFolder(tmp_path / "evals")
    into.inside("path_vqa").write(UNFINISHED, yaml.safe_dump({"revision": COMMIT}).encode())
    (tmp_path / "evals/path_vqa/default/test.part").mkdir(parents=True)
    (tmp_path / "evals/path_vqa/default/test.part/data-00000-of-00001.arrow").write_bytes(b"half")
    made = fetch(card, into, lambda _: None)
    assert (made.revision, made.items) == (COMMIT, 3)
    assert not (tmp_path / "evals/path_vqa/default/test.part").exists()


def test_items_swapped_after_the_fetch_are_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    folder.mkdir()
    line = {"prompt_id": "1", "prompt": [{"role": "user", "content": "May I take both pills?"}]}
    (folder / "2025-05-07-06-14-12_oss_eval.jsonl").write_text(json.dumps(line))
    into = LocalFolder(tmp_path / "evals")
    fetch(moved("healthbench", folder), into, lambda _: None)
    file = tmp_path / "evals/healthbench/2025-05-07-06-14-12_oss_eval.jsonl"
    found = find_evalset(known("healthbench"), [into])
    assert found is not None
    assert "the items are not those that were fetched" not in check(found)["mismatches"]
    file.write_text(file.read_text().replace("both", "two "))
    assert "the items are not those that were fetched" in check(found)["mismatches"]


def test_files_come_from_the_pinned_commit_and_archives_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "repository"
    folder.mkdir()
    record = {
        "qid": 1,
        "img_name": "xmlab7/source.jpg",
        "question": "What modality is it?",
        "answer": "CT",
        "q_lang": "en",
    }
    (folder / "test.json").write_text(json.dumps([record]))
    with zipfile.ZipFile(folder / "imgs.zip", "w") as archive:
        archive.writestr("imgs/xmlab7/source.jpg", png(1))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    into = LocalFolder(tmp_path / "evals")
    with serving(folder) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        hub_module._tree.cache_clear()
        made = fetch(moved("slake", REPOSITORY, revision=COMMIT), into, lambda _: None)
        hub_module._tree.cache_clear()
    assert (made.items, made.revision) == (1, COMMIT)
    found = find_evalset(known("slake"), [into])
    assert found is not None
    [item] = items_of(found).items.to_pylist()
    assert item["images"][0]["uri"] == "imgs/xmlab7/source.jpg"
    assert found.evalset.revision == COMMIT


def test_what_was_not_had_is_said_and_what_is_not_as_the_card_says_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = LocalFolder(tmp_path / "evals")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(EvalSetError, match="cannot be fetched") as refused:
        fetch(known("slake"), into, lambda _: None)
    assert "goes on where it stopped" in refused.value.hint
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvalSetError, match=r"has no file \*\.json or \*\.zip"):
        fetch(moved("slake", tmp_path / "empty"), into, lambda _: None)
    (tmp_path / "empty/other.json").write_text("[]")
    with pytest.raises(EvalSetError, match="not readable as its card says"):
        fetch(moved("slake", tmp_path / "empty"), into, lambda _: None)


def test_what_needs_a_signature_is_never_fetched(tmp_path: Path) -> None:
    assert must_be_signed_for(known("mimic_cxr_report"))
    assert not must_be_signed_for(known("medqa"))
    with pytest.raises(EvalSetError, match="cannot be fetched") as refused:
        fetch(known("mimic_cxr_report"), LocalFolder(tmp_path), lambda _: None)
    assert "physionet.org" in refused.value.hint


def packed(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("films")
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize(
    "data",
    [
        packed(("../outside.png", b"x")),
        packed(("a/../../outside.png", b"x")),
        packed(("/etc/outside.png", b"x")),
        packed((link(), b"/etc")),
        packed(("bomb.png", bytes(8 * 2**20))),
        b"PK\x03\x04 no zip",
    ],
    ids=["above", "above_within", "absolute", "link", "bomb", "broken"],
)
def test_an_archive_that_would_do_harm_is_refused(tmp_path: Path, data: bytes) -> None:
    inside = tmp_path / "set"
    inside.mkdir()
    (inside / "images.zip").write_bytes(data)
    with pytest.raises(EvalSetError):
        unpack(LocalFolder(inside), "images.zip")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["images.zip", "set"]


def test_unpacking_again_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "images.zip").write_bytes(packed(("films/a.png", png(1)), ("films/b.png", png(2))))
    assert unpack(LocalFolder(tmp_path), "images.zip") == 2
    assert unpack(LocalFolder(tmp_path), "images.zip") == 0
    assert (tmp_path / "films/b.png").read_bytes() == png(2)
