"""Which of the files under the roots are taken for an eval set."""

import json
from pathlib import Path

from dedup.evalsets.locating import FoundSet, find_evalset
from dedup.evalsets.registry import known
from sources.storage import folder_at


def vqa_rad(root: Path, *files: str) -> Path:
    """A root with some of the files of VQA-RAD."""
    folder = root / "vqa_rad" / "data"
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).write_text(json.dumps([{"qid": 1, "question": "Is the lung clear?", "answer": "yes"}]))
    return root


def found_under(*roots: Path) -> FoundSet:
    found = find_evalset(known("vqa_rad"), [folder_at(root) for root in roots])
    assert found is not None
    return found


def test_a_root_with_the_training_split_alone_does_not_hide_the_evaluated_one(tmp_path: Path) -> None:
    training = vqa_rad(tmp_path / "corpora", "trainset.json")
    evals = vqa_rad(tmp_path / "evals", "testset.json")
    found = found_under(training, evals)
    assert (found.root.place, found.files) == (str(evals / "vqa_rad"), ("data/testset.json",))


def test_a_form_of_which_the_training_split_is_there_does_not_hide_the_next_form(tmp_path: Path) -> None:
    root = vqa_rad(tmp_path, "trainset.json")
    (root / "vqa_rad" / "test.arrow").touch()
    assert found_under(root).files == ("test.arrow",)


def test_the_training_split_alone_is_found_and_has_no_files_to_read(tmp_path: Path) -> None:
    found = found_under(vqa_rad(tmp_path, "trainset.json"))
    assert (found.corpus.files, found.files) == (("data/trainset.json",), ())
