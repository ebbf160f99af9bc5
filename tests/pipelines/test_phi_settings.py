from pathlib import Path

import pytest
import yaml

from filters import ocr
from filters.phi_decision import Phi
from filters.phi_pictures import Examination
from pipelines.errors import UsageError
from pipelines.graph import graph_of
from pipelines.phi import settings as phi_settings
from pipelines.phi.pictures import Privacy, privacy_of
from pipelines.phi.review import load_review
from pipelines.phi.settings import PhiSettings
from pipelines.recipe_file import load_recipe
from sources.cards import Card, Layout
from sources.identity import Identity
from sources.records import Corpus
from sources.storage import LocalFolder

IMAGE = "0123456789abcdef" * 2


def recipe_with(tmp_path: Path, **phi: object) -> Path:
    path = tmp_path / "recipe.yaml"
    source = {"name": "notes", "reader": "jsonl", "path": "*.jsonl", "task": "text", "fields": {"text": "text"}}
    path.write_text(yaml.safe_dump({"stage": "mid", "sources": [source], "steps": {"phi": phi}}))
    return path


def test_what_a_machine_has_is_what_the_run_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, names, reading in ((True, "model", "rapidocr"), (False, "rules", "none")):
        monkeypatch.setattr(phi_settings, "model_is_installed", lambda there=there: there)
        monkeypatch.setattr(ocr, "is_installed", lambda there=there: there)
        assert (PhiSettings().names, PhiSettings().ocr) == (names, reading)


@pytest.mark.parametrize("asked", [{"names": "model"}, {"ocr": "rapidocr"}])
def test_what_is_asked_for_and_not_installed_is_an_error_that_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str]
) -> None:
    monkeypatch.setattr(phi_settings, "model_is_installed", lambda: False)
    monkeypatch.setattr(ocr, "is_installed", lambda: False)
    with pytest.raises(UsageError, match=r"not installed; in the checkout: uv pip install -e '\.\[phi\]'"):
        load_recipe(None, recipe_with(tmp_path, **asked), ())


@pytest.mark.parametrize("policy", ["mask", "redact"])
def test_what_cannot_be_read_again_is_not_masked(tmp_path: Path, policy: str) -> None:
    with pytest.raises(UsageError, match="needs a reader"):
        load_recipe(None, recipe_with(tmp_path, burned_in_text=policy, ocr="none"), ())


@pytest.mark.parametrize(("reader", "covered"), [("dicom", True), ("jsonl", False)])
def test_dicom_is_looked_at_whatever_its_identifiers_are_said_to_be(tmp_path: Path, reader: str, covered: bool) -> None:
    card = Card(
        name="scans", reader=reader, task="caption", access="open", identifiers="public", layout=Layout(files=("*",))
    )
    corpus = Corpus("scans", LocalFolder(tmp_path), card, Identity("scans"), ())
    assert PhiSettings().covers(corpus) is covered
    assert not PhiSettings(enabled=False).covers(corpus)


@pytest.mark.parametrize(
    "wrong", [{"text": "blur"}, {"burned_in_text": "hide"}, {"ocr_timeout_s": 0}, {"name": "rules"}]
)
def test_a_setting_that_is_none_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"steps\.phi"):
        load_recipe(None, recipe_with(tmp_path, **wrong), ())


def review(tmp_path: Path, *decisions: dict[str, object]) -> str:
    path = tmp_path / "review.yaml"
    path.write_text(yaml.safe_dump({"decisions": list(decisions)}))
    return str(path)


def test_a_review_says_of_each_picture_what_who_and_why(tmp_path: Path) -> None:
    entry = {"image": IMAGE, "decision": "mask", "who": "M. Reviewer", "why": "a name", "boxes": [[1, 2, 30, 12]]}
    (found,) = load_review(review(tmp_path, entry)).values()
    assert (found.ruling, found.who, found.why, found.boxes) == ("mask", "M. Reviewer", "a name", ((1, 2, 30, 12),))
    assert load_review(None) == {}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"image": IMAGE, "decision": "accept", "why": "x"}], "who: Field required"),
        ([{"image": IMAGE, "decision": "keep", "who": "x", "why": "x"}], "decision"),
        ([{"image": "film7.png", "decision": "drop", "who": "x", "why": "x"}], "image"),
        ([{"image": IMAGE, "decision": "drop", "who": "x", "why": "x"}] * 2, "two decisions"),
        ([{"image": IMAGE, "decision": "drop", "who": "x", "why": "x", "boxes": [[1, 2, 3, 4]]}], "boxes with 'drop'"),
        ([{"image": IMAGE, "decision": "mask", "who": "x", "why": "x", "boxes": []}], "cover nothing"),
        ([{"image": IMAGE, "decision": "mask", "who": "x", "why": "x", "boxes": [[9, 2, 3, 4]]}], "cover nothing"),
        ([{"image": IMAGE, "decision": "mask", "who": "x", "why": "x", "boxes": [[1, 20, 3, 4]]}], "cover nothing"),
    ],
)
def test_a_review_that_cannot_be_used_is_an_error_that_says_why(
    tmp_path: Path, entries: list[dict[str, object]], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        load_review(review(tmp_path, *entries))


def test_a_review_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_review(str(tmp_path / "gone.yaml"))


def test_another_way_of_looking_at_pictures_is_another_step(tmp_path: Path) -> None:
    recipe = load_recipe(None, recipe_with(tmp_path), ())
    chains = []
    for timeout_s in (1.0, 2.0):
        look = Examination(writing=True, reading="none", timeout_s=timeout_s, verify=True)
        chains.append(graph_of(recipe, None, Privacy(Phi("strip", "quarantine"), look)).fingerprints("ingest"))
    assert chains[0]["phi"] != chains[1]["phi"]


def test_another_policy_on_metadata_looks_at_pictures_in_the_same_way(tmp_path: Path) -> None:
    found = []
    for policy in ("strip", "quarantine", "keep"):
        entry: dict[str, object] = {"image": IMAGE, "decision": "drop", "who": "x", "why": "x"}
        recipe = load_recipe(None, recipe_with(tmp_path, metadata=policy, review=review(tmp_path, entry)), ())
        privacy = privacy_of(recipe, ())
        assert privacy is not None
        found.append((privacy.examination.parameters(), privacy.step.metadata))
    assert [one[0] for one in found] == [found[0][0]] * 3
    assert [one[1] for one in found] == ["strip", "quarantine", "keep"]
