"""Which held-out samples are read; their losses are in test_distributed.py."""

from pathlib import Path

import pytest

from shards.manifest import Manifest, read_manifest
from shards.plan_file import PlanAbout
from sources.storage import Folder, LocalFolder
from tests.workflows.train.made_shards import write_build
from tests.workflows.train.minis import mini
from workflows.train.planning import choose_plan, shards_over
from workflows.train.recipe import load_train_recipe
from workflows.train.tokenizer import write_byte_tokenizer
from workflows.train.validation import held_out_rows


def planned(tmp_path: Path, held_out: int) -> tuple[Folder, Manifest, PlanAbout]:
    build = LocalFolder(write_build(tmp_path / "run", samples=6, held_out=held_out))
    write_byte_tokenizer(tmp_path / "tokenizer.json")
    plan = choose_plan(build, mini(), load_train_recipe("mid"), 1, tmp_path, tmp_path / "plan")
    whole = shards_over(build, plan.place)
    return whole, read_manifest(whole), plan.about


@pytest.mark.parametrize("most", [1, 2, 100])
def test_at_most_so_many_rows_of_held_out_samples_are_read_and_none_that_is_trained_on(
    tmp_path: Path, most: int
) -> None:
    folder, manifest, about = planned(tmp_path, held_out=12)
    assert manifest.validation
    rows = held_out_rows(folder, manifest, about, most, 0)["films"]
    places = [place for row in rows for place in row.samples]
    assert 0 < len(rows) <= most
    assert all(0 < row.tokens <= about.context for row in rows)
    assert {place.shard for place in places} == {len(manifest.shards)}
    assert len({place.offset for place in places}) == len(places) == (12 if most == 100 else len(places))
    assert held_out_rows(folder, manifest, about, most, 0)["films"] == rows


def test_a_build_that_holds_nothing_out_has_none(tmp_path: Path) -> None:
    assert held_out_rows(*planned(tmp_path, held_out=0), 8, 0) == {}
