import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from pipelines import plugins
from pipelines.errors import UsageError
from pipelines.nodes import is_ours, is_taken
from pipelines.plugins import _step, listing
from pipelines.recipe_file import load_recipe
from tests.end_to_end.other_steps import corpus, package, step_code

OURS = ("survey", "card", "exact_answers", "images_runs", "holdout_links", "contracts_kept", "join_rows", "join", "tmp")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "others", raising=False)
    _step.cache_clear()
    return folder


@pytest.mark.parametrize("name", [*OURS, "ingest", "others_not"])
def test_a_step_whose_work_would_lie_where_ours_does_is_refused_with_the_recipe(
    tmp_path: Path, site: Path, name: str
) -> None:
    package(site, "others", {name: "make"}, step_code("return all_kept(samples.num_rows)").replace("added", name))
    recipe = corpus(tmp_path, ["An answer."], **{name: {}})[1]
    assert isinstance(recipe, Path)
    if name == "others_not":
        assert load_recipe(None, recipe, ()).steps.others is not None
        return
    with pytest.raises(UsageError, match="none of our own names"):
        load_recipe(None, recipe, ())


def test_doctor_says_so_before_anybody_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {name: EntryPoint(name, "json:loads", "curate.steps") for name in ("survey", "prior_study")}
    monkeypatch.setattr(plugins, "installed", lambda: points)
    hints = {row["name"]: row["hint"] for row in listing()}
    assert hints["prior_study"] is None
    assert "one of our own" in hints["survey"]


def test_names_that_only_look_like_ours_are_free() -> None:
    assert not any(
        map(is_taken, ("exactly", "joined", "card_numbers", "license_text", "prior_study", "tokens_per_turn"))
    )
    assert not is_ours("prior_study_facts")
