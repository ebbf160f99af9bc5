from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from shards.manifest import Manifest, Mixture, ShardEntry, manifest_bytes
from shards.samples import ShardSample
from shards.union import Build, MergeError, Union, union_of
from shards.writer import write_shard
from sources.storage import LocalFolder
from tests.shards.conftest import key_of, sample_of

Shards = dict[str, Sequence[ShardSample]]


def build_at(place: Path, shards: Shards, held: Shards | None = None, **settings: Any) -> LocalFolder:
    """A folder of shards with a manifest, and nothing else."""
    place.mkdir()
    entries = {}
    for name, samples in {**shards, **(held or {})}.items():
        with (place / name).open("wb") as file:
            entries[name] = ShardEntry(name=name, **asdict(write_shard(file, samples)))
    mixture = Mixture(seed=0, epochs=1, weights=settings.pop("weights", {"demo": 1.0}))
    facts = {"build": place.name, "stage": "mid", "tokenizer": "o200k_harmony", "context_tokens": 4096, **settings}
    manifest = Manifest(
        **facts, mixture=mixture, shards=tuple(entries[name] for name in shards),
        validation=None if held is None else tuple(entries[name] for name in held),
    )  # fmt: skip
    (place / "manifest.json").write_bytes(manifest_bytes(manifest))
    return LocalFolder(place)


def samples(*numbers: int, source: str = "demo") -> list[ShardSample]:
    return [sample_of(number, source=source) for number in numbers]


def union(*folders: LocalFolder, drop_repeated: bool = False) -> Union:
    with ExitStack() as held:
        return union_of([Build(folder, held) for folder in folders], drop_repeated=drop_repeated)


def names_of(made: Union) -> list[tuple[int, str, bool]]:
    return [(chosen.build, chosen.name, chosen.held_out) for chosen in made.shards]


def test_a_name_that_is_taken_gets_the_next_number_of_its_source(tmp_path: Path) -> None:
    one = build_at(tmp_path / "a", {"mid-demo-000000.tar": samples(1), "mid-demo-000004.tar": samples(2)}, {})
    other = build_at(
        tmp_path / "b",
        {"mid-demo-000000.tar": samples(3), "mid-demo-000001.tar": samples(4), "mid-other-000000.tar": samples(5)},
        {"validation-mid-demo-000000.tar": samples(6)},
    )
    made = union(one, other)
    assert names_of(made) == [
        (0, "mid-demo-000000.tar", False), (0, "mid-demo-000004.tar", False), (1, "mid-demo-000005.tar", False),
        (1, "mid-demo-000001.tar", False), (1, "mid-other-000000.tar", False),
        (1, "validation-mid-demo-000000.tar", True),
    ]  # fmt: skip
    assert made.renamed == {f"{other.place}/mid-demo-000000.tar": "mid-demo-000005.tar"}


def test_a_shard_that_two_builds_have_is_taken_once_whatever_it_is_called(tmp_path: Path) -> None:
    one = build_at(tmp_path / "a", {"mid-demo-000000.tar": samples(1, 2)})
    other = build_at(tmp_path / "b", {"mid-demo-000007.tar": samples(1, 2), "mid-demo-000008.tar": samples(3)})
    made = union(one, other)
    assert names_of(made) == [(0, "mid-demo-000000.tar", False), (1, "mid-demo-000008.tar", False)]
    assert (made.same, made.repeated) == (1, 0)


def test_a_sample_in_two_shards_that_differ_is_refused_with_its_key_and_place(tmp_path: Path) -> None:
    one = build_at(tmp_path / "a", {"mid-demo-000000.tar": samples(1, 2)})
    other = build_at(tmp_path / "b", {"mid-demo-000000.tar": samples(2, 3)})
    with pytest.raises(MergeError) as told:
        union(one, other)
    assert str(told.value) == (
        f"1 samples are in several shards that differ, {key_of(2)} in {other.place}/mid-demo-000000.tar and another"
    )
    assert "--drop-repeated" in told.value.hint


def test_a_repeated_sample_stays_where_it_is_held_out_else_in_the_first_build(tmp_path: Path) -> None:
    one = build_at(tmp_path / "a", {"mid-demo-000000.tar": samples(1, 2, 3), "mid-demo-000001.tar": samples(4)})
    other = build_at(
        tmp_path / "b",
        {"mid-demo-000002.tar": samples(2, 5)},
        {"validation-mid-demo-000000.tar": samples(3, 4)},
    )
    made = union(one, other, drop_repeated=True)
    assert {chosen.name: chosen.removed for chosen in made.shards} == {
        "mid-demo-000000.tar": {key_of(3)},
        "mid-demo-000002.tar": {key_of(2)},
        "validation-mid-demo-000000.tar": frozenset(),
    }
    assert (made.repeated, made.left_out) == (3, 1)
    assert any("held out in one build and trained on in another" in note for note in made.notes)


@pytest.mark.parametrize("drop_repeated", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_a_shard_that_one_build_trains_on_and_another_holds_out_is_held_out(
    tmp_path: Path, drop_repeated: bool, turned: bool
) -> None:
    builds = [
        build_at(tmp_path / "a", {"mid-demo-000000.tar": samples(1, 2), "mid-demo-000001.tar": samples(3)}),
        build_at(
            tmp_path / "b", {"mid-demo-000002.tar": samples(4)}, {"validation-mid-demo-000000.tar": samples(1, 2)}
        ),
    ]
    made = union(*(reversed(builds) if turned else builds), drop_repeated=drop_repeated)
    assert {(chosen.name, chosen.held_out) for chosen in made.shards} == {
        ("mid-demo-000001.tar", False),
        ("mid-demo-000002.tar", False),
        ("validation-mid-demo-000000.tar", True),
    }
    assert (made.same, made.repeated) == (1, 0)
    assert any("held out in one build and trained on in another" in note for note in made.notes)


@pytest.mark.parametrize(
    ("setting", "value"), [("stage", "align"), ("tokenizer", "f" * 64), ("context_tokens", 131072)]
)
def test_builds_for_another_stage_tokenizer_or_context_do_not_go_together(
    tmp_path: Path, setting: str, value: object
) -> None:
    one = build_at(tmp_path / "a", {"mid-demo-000000.tar": samples(1)})
    other = build_at(tmp_path / "b", {"mid-demo-000000.tar": samples(2)}, **{setting: value})
    with pytest.raises(MergeError, match=f"{setting} is .* in .*/a and {value} in .*/b"):
        union(one, other)


def test_the_weight_of_a_source_is_that_of_the_first_build_that_names_it_and_that_is_told(tmp_path: Path) -> None:
    one = build_at(tmp_path / "a", {"mid-demo-000000.tar": samples(1)}, weights={"demo": 2.0})
    other = build_at(tmp_path / "b", {"mid-demo-000000.tar": samples(2)}, weights={"demo": 3.0, "other": 0.5})
    made = union(one, other)
    assert made.mixture.weights == {"demo": 2.0, "other": 0.5}
    assert made.notes == ["source demo has weight 2.0 and 3.0: 2.0 holds"]


def test_a_shard_that_is_gone_or_truncated_is_told_before_anything_is_made(tmp_path: Path) -> None:
    one = build_at(tmp_path / "a", {"mid-demo-000000.tar": samples(1)})
    other = build_at(tmp_path / "b", {"mid-demo-000000.tar": samples(2)})
    tar = tmp_path / "b" / "mid-demo-000000.tar"
    tar.write_bytes(tar.read_bytes()[:512])
    with pytest.raises(MergeError, match=r"b/mid-demo-000000\.tar: missing, or not of 10240 bytes"):
        union(one, other)
    tar.unlink()
    with pytest.raises(MergeError, match="missing"):
        union(one, other)
