import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.index_file import PART, Index, IndexAbout, open_index, write_index
from shards.manifest import Manifest, Mixture, ShardEntry
from shards.mixture import PlanSettings, multipliers, uses
from shards.plan import MadePlan, make_plan
from shards.plan_file import ImagePolicy, Plan, PlanError, PlanRow, open_plan
from shards.plan_settings import SettingError, settings_of_manifest, settings_of_plan, with_values
from sources.storage import LocalFolder

SOURCES = ("a", "b", "c")


def manifest_of(*samples: int, held: int = 0) -> Manifest:
    entries = tuple(
        ShardEntry(
            name=f"mid-s-{number:06d}.tar", sha256="0" * 64, bytes=1, samples=count, tokens=1,
            first_key="0" * 32, last_key="0" * 32,
        )
        for number, count in enumerate(samples)
    )  # fmt: skip
    mixture = Mixture(seed=3, epochs=2, weights={"a": 2.0})
    return Manifest(
        build="b", stage="mid", tokenizer="t", context_tokens=4096, mixture=mixture,
        shards=entries[: len(samples) - held], validation=entries[len(samples) - held :] or None,
    )  # fmt: skip


def part(source: str, tokens: list[int], pictures: list[tuple[int, int]] | None = None, task: str = "vqa") -> pa.Table:
    rows = [
        {
            "offset": 1024 * place, "size": 1024, "tokens": count, "loss_tokens": 1, "source": source, "task": task,
            "images": [{"width": width, "height": height} for width, height in pictures or ()],
            "modality": "ct" if pictures else "", "license": "CC-BY-4.0", "access": "open",
        }
        for place, count in enumerate(tokens)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, PART)


def index_of(folder: Path, parts: list[pa.Table]) -> Index:
    with (folder / "index.arrow").open("wb") as file:
        write_index(file, IndexAbout(build="b", tokenizer="t"), parts)
    return open_index(LocalFolder(folder))


def planned(folder: Path, parts: list[pa.Table], held: int = 0, **given: Any) -> MadePlan:
    settings = PlanSettings(**{"context": 1000, "rows_per_step": 4} | given)
    return make_plan(
        index_of(folder, parts), manifest_of(*(rows.num_rows for rows in parts), held=held), "0" * 64, settings
    )


def written(folder: Path, plan: MadePlan) -> Plan:
    with (folder / "plan.arrow").open("wb") as file:
        plan.write(file)
    return open_plan(LocalFolder(folder))


def rows_of(folder: Path, plan: MadePlan) -> list[PlanRow]:
    opened = written(folder, plan)
    return opened.rows(0, opened.about.rows)


def used(rows: list[PlanRow]) -> Counter[tuple[int, int, int]]:
    """How often each sample (shard, offset) is in an epoch."""
    return Counter((row.epoch, place.shard, place.offset) for row in rows for place in row.samples)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_sample_is_used_exactly_as_often_as_the_mixture_says(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lengths = st.lists(st.integers(1, 1200), min_size=1, max_size=40)
    parts = [part(source, data.draw(lengths)) for source in SOURCES]
    given_settings = {
        "weights": {"source": {"a": data.draw(st.sampled_from([0.0, 0.5, 1.0, 2.25]))}},
        "temperature": data.draw(st.sampled_from([1.0, 2.0])),
        "caps": data.draw(st.sampled_from([{}, {"b": 3}])),
        "token_caps": data.draw(st.sampled_from([{}, {"b": 2000, "c": 500}])),
        "epochs": data.draw(st.integers(1, 3)),
        "seed": data.draw(st.integers(0, 9)),
        "rows_per_step": data.draw(st.integers(1, 5)),
    }
    folder = tmp_path_factory.mktemp("plan")
    plan = planned(folder, parts, **given_settings)
    about, rows = plan.about, rows_of(folder, plan)
    samples, wishes = plan.samples, PlanSettings(**{"context": 1000, "rows_per_step": 4} | given_settings)
    wanted = multipliers(wishes, samples.words, samples.tokens <= 1000)
    expected: Counter[tuple[int, int, int]] = Counter()
    for epoch in range(wishes.epochs):
        for number, count in enumerate(uses(wishes, wanted, samples.words["source"], samples.tokens, epoch).tolist()):
            if count:
                expected[epoch, int(samples.shard[number]), int(samples.offset[number])] = count
    surplus = used(rows) - expected
    assert not expected - used(rows)
    assert surplus.total() == about.padding_rows
    assert len(rows) == about.rows == about.steps * about.rows_per_step
    assert all(row.tokens == sum(place.tokens for place in row.samples) <= 1000 for row in rows)
    assert sum(row.tokens for row in rows) == about.tokens
    assert sum(len(row.samples) for row in rows) == about.samples
    distinct = {(shard, offset) for _, shard, offset in used(rows)}
    assert len(distinct) + sum(about.excluded.values()) == len(samples.tokens)


def test_a_plan_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    lengths = np.random.default_rng(0).integers(1, 900, 400).tolist()
    files = []
    for _ in range(2):
        file = io.BytesIO()
        planned(tmp_path, [part("a", lengths)], epochs=2).write(file)
        files.append(file.getvalue())
    assert files[0] == files[1]


def test_epochs_come_one_after_another_each_in_an_order_of_its_own(tmp_path: Path) -> None:
    lengths = np.random.default_rng(0).integers(1, 900, 200).tolist()
    rows = rows_of(tmp_path, planned(tmp_path, [part("a", lengths)], epochs=2))
    assert [row.epoch for row in rows] == sorted(row.epoch for row in rows)
    orders = [[place.offset for row in rows if row.epoch == epoch for place in row.samples] for epoch in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]


def test_held_out_shards_are_not_planned(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, planned(tmp_path, [part("a", [10] * 9), part("b", [10] * 9)], held=1))
    assert {place.shard for row in rows for place in row.samples} == {0}


def test_pictures_take_the_tokens_of_the_policy(tmp_path: Path) -> None:
    parts = [part("a", [24] * 4, [(1024, 1024)])]
    fixed = planned(tmp_path, parts, context=8192)
    tiles = ImagePolicy(policy="tiles", tokens_per_tile=576, side=336, max_tiles=12)
    tiled = planned(tmp_path, parts, context=8192, images=tiles)
    assert {place.tokens for row in rows_of(tmp_path, fixed) for place in row.samples} == {600}
    assert {place.tokens for row in rows_of(tmp_path, tiled) for place in row.samples} == {24 + 5760}


def test_documents_longer_than_the_context_are_left_out_and_counted(tmp_path: Path) -> None:
    plan = planned(tmp_path, [part("a", [10, 1000, 1001]), part("b", [424], [(9, 9)]), part("c", [425], [(9, 9)])])
    assert plan.about.excluded == {"tokens.too_long": 2}


def test_only_texts_are_cut_and_only_if_the_plan_says_so(tmp_path: Path) -> None:
    parts = [part("a", [2500], task="text"), part("b", [2500]), part("c", [2500], [(9, 9)], task="text")]
    assert planned(tmp_path, parts).about.rows == 0
    plan = planned(tmp_path, parts, cut=True, rows_per_step=1)
    assert plan.about.excluded == {"tokens.too_long": 2}
    places = sorted((place.start, place.tokens) for row in rows_of(tmp_path, plan) for place in row.samples)
    assert places == [(0, 834), (834, 834), (1668, 832)]


def test_weight_zero_and_shares_that_were_not_drawn_are_counted(tmp_path: Path) -> None:
    parts = [part("a", [10] * 5), part("b", [10] * 1000)]
    about = planned(tmp_path, parts, weights={"source": {"a": 0, "b": 0.25}}).about
    assert about.excluded["mixture.no_weight"] == 5
    assert 700 < about.excluded["mixture.not_drawn"] < 800


def test_no_samples_make_a_plan_of_no_steps(tmp_path: Path) -> None:
    about = planned(tmp_path, []).about
    assert (about.steps, about.rows, about.fill) == (0, 0, 0.0)
    assert rows_of(tmp_path, planned(tmp_path, [])) == []


def test_an_index_of_another_build_is_refused(tmp_path: Path) -> None:
    index = index_of(tmp_path, [part("a", [10])])
    other = manifest_of(1).model_copy(update={"build": "c"})
    with pytest.raises(PlanError, match="of another build than the manifest"):
        make_plan(index, other, "0" * 64, PlanSettings(context=10, rows_per_step=1))


@pytest.mark.parametrize("samples", [(1, 2), (2, 1, 1), (1, 1)])
def test_an_index_with_other_numbers_of_samples_than_the_manifest_is_refused(
    tmp_path: Path, samples: tuple[int, ...]
) -> None:
    index = index_of(tmp_path, [part("a", [10, 10]), part("b", [10])])
    settings = PlanSettings(context=10, rows_per_step=1)
    assert make_plan(index, manifest_of(2, 1), "0" * 64, settings).about.samples == 3
    with pytest.raises(PlanError, match="has other samples than the manifest"):
        make_plan(index, manifest_of(*samples), "0" * 64, settings)


def test_the_mean_row_of_a_large_plan_is_full_and_its_steps_are_even(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    parts = [
        part("a", (60 + random.lognormal(4, 1, 3000)).astype(int).tolist(), [(512, 512)]),
        part("b", random.lognormal(5, 1, 3000).astype(int).tolist()),
    ]
    about = planned(tmp_path, parts, context=4096, rows_per_step=16).about
    assert about.fill > 0.97
    assert about.balance.after < 1.02 < about.balance.before


def test_settings_of_a_plan_make_the_same_plan(tmp_path: Path) -> None:
    wishes = {
        "epochs": 2,
        "seed": 5,
        "temperature": 1.5,
        "caps": {"a": 20},
        "token_caps": {"b": 9000},
        "cut": True,
        "max_repeats": 2,
    }
    about = planned(tmp_path, [part("a", [10] * 50)], weights={"task": {"vqa": 1.5}}, **wishes).about
    assert settings_of_plan(about) == PlanSettings(
        context=1000, rows_per_step=4, weights={"task": {"vqa": 1.5}}, **wishes
    )


def test_rows_of_a_step_that_nobody_asked_for_are_chosen_anew_for_other_samples(tmp_path: Path) -> None:
    small = planned(tmp_path, [part("a", [900] * 2)], rows_per_step=None).about
    large = planned(tmp_path, [part("a", [900] * 2_000)], rows_per_step=None).about
    assert small.rows_per_step < large.rows_per_step
    kept = planned(tmp_path, [part("a", [900] * 2_000)], **settings_of_plan(small).model_dump()).about
    assert kept == large
    asked = planned(tmp_path, [part("a", [900] * 2)], rows_per_step=2).about
    assert settings_of_plan(asked).rows_per_step == 2


def test_the_manifest_gives_context_seed_epochs_and_weights() -> None:
    found = settings_of_manifest(manifest_of(1))
    assert (found.context, found.seed, found.epochs, found.weights) == (4096, 3, 2, {"source": {"a": 2.0}})
    assert found.rows_per_step is None


def test_values_are_put_into_settings_by_their_path() -> None:
    given_values = ["context=131072", "weights.task.vqa=2", "caps.a=10", "images.policy=tiles", "weights.source.a=0"]
    found = with_values(settings_of_manifest(manifest_of(1)), given_values, SOURCES)
    assert found.context == 131_072
    assert (found.weights, found.caps) == ({"source": {"a": 0.0}, "task": {"vqa": 2.0}}, {"a": 10})
    assert (found.images.policy, found.images.max_tiles) == ("tiles", 12)
    whole = ["weights={task: {vqa: 2}, source: {a: 0}}", "token_caps={a: 10}", "weights.modality={ct: 1.5}", "caps={}"]
    found = with_values(settings_of_manifest(manifest_of(1)), whole, SOURCES)
    assert found.weights == {"source": {"a": 0.0}, "task": {"vqa": 2.0}, "modality": {"ct": 1.5}}
    assert (found.caps, found.token_caps) == ({}, {"a": 10})


def test_rows_of_a_step_are_kept_until_the_context_changes() -> None:
    base = settings_of_manifest(manifest_of(1)).model_copy(update={"rows_per_step": 7})
    assert with_values(base, ["seed=1"], ()).rows_per_step == 7
    assert with_values(base, ["context=512"], ()).rows_per_step is None
    assert with_values(base, ["context=512", "rows_per_step=3"], ()).rows_per_step == 3


def test_little_data_makes_small_steps_that_are_full(tmp_path: Path) -> None:
    lengths = np.random.default_rng(0).integers(1, 900, 300).tolist()
    about = planned(tmp_path, [part("a", lengths)], context=4096, rows_per_step=None).about
    assert about.rows_per_step < 256
    assert about.fill > 0.95


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("contxt=1", "there is no 'contxt'", "did you mean 'context'?"),
        ("weights.source.d=1", "there is no 'd'", "known here: a, b, c"),
        ("weights.task.vqaa=1", "there is no 'vqaa'", "did you mean 'vqa'?"),
        ("context=many", "context: Input should be a valid integer", "docs/packing.md"),
        ("weights={source: {d: 1}}", "there is no 'd'", "known here: a, b, c"),
        ("token_caps={aa: 1}", "there is no 'aa'", "did you mean 'a'?"),
        ("context=1000000000000", "context: Input should be less than or equal to 16777216", "docs/packing.md"),
        ("context=0", "context: Input should be greater than or equal to 1", "docs/packing.md"),
        ("seed.x=1", "seed has no keys", "docs/packing.md"),
        ("context", "no value", "write --set context=4096"),
        ("context=[", "not valid YAML", "quote it"),
    ],
)
def test_a_setting_that_is_none_is_told_with_what_was_meant(text: str, message: str, hint: str) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        with_values(settings_of_manifest(manifest_of(1)), [text], SOURCES)
    assert hint in caught.value.hint
