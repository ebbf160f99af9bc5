import base64
import dataclasses
import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from shards.card import card_text
from shards.columns import LISTED_SHARDS, data_files
from shards.croissant import croissant_bytes
from shards.manifest import Manifest, Mixture, ShardEntry
from shards.obligations import Terms
from shards.samples import SampleJson
from tests.shards.companions import facts_of, load_fails, loaded, manifest_in
from tests.shards.conftest import TEXTS, ShardFolder, key_of, members_of


def front_matter(text: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return content


def shards_named(*names: str) -> tuple[ShardEntry, ...]:
    return tuple(
        ShardEntry(name=name, sha256="0" * 64, bytes=10, samples=1, tokens=1, first_key=key_of(1), last_key=key_of(1))
        for name in names
    )


def manifest_of(*names: str, validation: tuple[str, ...] = (), weights: dict[str, float] | None = None) -> Manifest:
    return Manifest(
        build="ab" * 16,
        stage="mid",
        tokenizer="o200k_harmony",
        context_tokens=4096,
        mixture=Mixture(seed=0, epochs=1, weights=weights or {}),
        shards=shards_named(*names),
        validation=shards_named(*validation) or None,
    )


def pictures_and_json(folder: ShardFolder) -> dict[str, dict[str, bytes]]:
    """Key -> suffix -> bytes, as the tars hold them."""
    found: dict[str, dict[str, bytes]] = {}
    for entry in manifest_in(folder.root).shards:
        for name, data in members_of(folder.place(entry.name)):
            key, _, suffix = name.partition(".")
            found.setdefault(key, {})[suffix] = data
    return found


def test_load_dataset_gives_every_sample_its_text_and_the_very_bytes_of_its_pictures(
    shard_folder: ShardFolder, tmp_path: Path
) -> None:
    facts = facts_of(manifest_in(shard_folder.root))
    (shard_folder.root / "README.md").write_text(card_text(facts))
    rows = loaded(shard_folder.root, tmp_path)
    expected = pictures_and_json(shard_folder)
    assert [row["key"] for row in rows] == list(expected)
    for row in rows:
        members = expected[row["key"]]
        assert SampleJson.model_validate(row["json"]) == SampleJson.model_validate_json(members.pop("json"))
        assert {suffix: base64.b64decode(data) for suffix, data in row["pictures"].items()} == members
    assert {len(row["pictures"]) for row in rows} == {0, 1, 2}


def test_shards_without_a_single_picture_load_too(shard_folder: ShardFolder, tmp_path: Path) -> None:
    whole = manifest_in(shard_folder.root)
    texts = whole.model_copy(update={"shards": tuple(entry for entry in whole.shards if entry.name == TEXTS)})
    (shard_folder.root / "README.md").write_text(card_text(facts_of(texts, ())))
    rows = loaded(shard_folder.root, tmp_path)
    assert len(rows) == 30
    assert all(row["json"]["images"] == [] and not row["pictures"] for row in rows)


def test_a_validation_split_is_never_part_of_train(shard_folder: ShardFolder, tmp_path: Path) -> None:
    whole = manifest_in(shard_folder.root)
    held = [entry for entry in whole.shards if entry.name == TEXTS]
    entry = held[0].model_copy(update={"name": f"validation-{TEXTS}"})
    shard_folder.place(TEXTS).rename(shard_folder.place(entry.name))
    split = whole.model_copy(
        update={"shards": tuple(one for one in whole.shards if one.name != TEXTS), "validation": (entry,)}
    )
    text = card_text(facts_of(split))
    assert "36 samples of" in text
    assert "6 of the samples are for training; 30 are the split `validation`: do not train on them." in text
    assert "training samples" not in text + croissant_bytes(facts_of(split)).decode()
    (shard_folder.root / "README.md").write_text(text)
    train, validation = loaded(shard_folder.root, tmp_path), loaded(shard_folder.root, tmp_path, "validation")
    assert (len(train), len(validation)) == (6, 30)
    assert not {row["key"] for row in train} & {row["key"] for row in validation}


def test_without_declared_columns_the_same_shards_do_not_load(shard_folder: ShardFolder, tmp_path: Path) -> None:
    front = front_matter(card_text(facts_of(manifest_in(shard_folder.root))))
    del front["dataset_info"]
    (shard_folder.root / "README.md").write_text(f"---\n{yaml.safe_dump(front)}---\n")
    assert "don't share the same prefix or the same types" in load_fails(shard_folder.root, tmp_path)


def test_a_lost_sample_is_noticed_when_the_data_is_loaded(shard_folder: ShardFolder, tmp_path: Path) -> None:
    manifest = manifest_in(shard_folder.root)
    (shard_folder.root / "README.md").write_text(card_text(facts_of(manifest)))
    shard_folder.change_members(TEXTS, lambda members: members.pop())
    assert "NonMatchingSplitsSizesError" in load_fails(shard_folder.root, tmp_path)


def test_many_shards_are_patterns_that_match_no_other_source_and_no_held_out_shard() -> None:
    count = LISTED_SHARDS // 2 + 1
    names = [f"mid-{source}-{number:06d}.tar" for source in ("a", "a_b") for number in range(count)]
    others = ["mid-b-000000.tar", "validation-mid-a-000000.tar", "mid-a-notes.tar", "align-a-000000.tar"]
    patterns = data_files(shards_named(*names))
    assert patterns == ["mid-a-[0-9]*.tar", "mid-a_b-[0-9]*.tar"]
    matched = [name for name in [*names, *others] if any(fnmatch.fnmatchcase(name, one) for one in patterns)]
    assert matched == names


def test_many_shards_load_through_their_patterns(shard_folder: ShardFolder, tmp_path: Path) -> None:
    manifest = manifest_in(shard_folder.root)
    text = card_text(facts_of(manifest)).replace("    - mid-demo-000000.tar\n", "    - mid-demo-[0-9]*.tar\n")
    (shard_folder.root / "README.md").write_text(text.replace("    - mid-demo-000001.tar\n", ""))
    assert len(loaded(shard_folder.root, tmp_path)) == 36


def test_the_card_depends_on_nothing_but_its_facts() -> None:
    one = manifest_of("mid-a-000000.tar", "mid-b-000000.tar", weights={"a": 1.0, "b": 2.0})
    other = manifest_of("mid-a-000000.tar", "mid-b-000000.tar", weights={"b": 2.0, "a": 1.0})
    settings = {"tokens": {"min": 1, "max": 2}, "exact": {}}
    turned = {"exact": {}, "tokens": {"max": 2, "min": 1}}
    assert card_text(facts_of(one, settings=settings)) == card_text(facts_of(other, settings=turned))


def test_one_licence_is_named_as_the_hub_names_it_and_several_are_other() -> None:
    manifest = manifest_of("mid-a-000000.tar")
    one = facts_of(manifest, terms=(Terms("a", "CC-BY-NC-4.0", "open", 1),))
    assert front_matter(card_text(one))["license"] == "cc-by-nc-4.0"
    two = dataclasses.replace(one, terms=(*one.terms, Terms("b", "MIT", "open", 1)))
    front = front_matter(card_text(two))
    assert (front["license"], front["license_link"]) == ("other", "README.md")


def test_a_licence_that_no_kept_sample_has_is_not_named() -> None:
    manifest = manifest_of("mid-a-000000.tar")
    terms = (Terms("a", "MIT", "open", 1), Terms("b", "CC-BY-NC-4.0", "gated", 0))
    text = card_text(facts_of(manifest, terms=terms))
    assert front_matter(text)["license"] == "mit"
    assert "gated" not in text.split("| source | licence")[0]


def test_a_language_that_a_record_made_up_does_not_reach_the_card() -> None:
    facts = facts_of(manifest_of("mid-a-000000.tar"), languages={"en": 3, "<script>|\n#": 2, "not stated": 1})
    text = card_text(facts)
    assert front_matter(text)["language"] == ["en"]
    assert "script" not in text
    assert "| not stated | 3 |" in text


@pytest.mark.parametrize(
    ("samples", "category"), [(1, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (999_999, "100K<n<1M")]
)
def test_the_size_is_told_in_the_hub_s_classes(samples: int, category: str) -> None:
    manifest = manifest_of("mid-a-000000.tar")
    entry = manifest.shards[0].model_copy(update={"samples": samples})
    text = card_text(facts_of(manifest.model_copy(update={"shards": (entry,)})))
    assert front_matter(text)["size_categories"] == [category]


def test_a_build_that_kept_nothing_has_a_card_that_says_so() -> None:
    facts = facts_of(manifest_of(), sources=(), terms=(), tasks={}, modalities={}, languages={}, members=())
    text = card_text(facts)
    assert not front_matter(text).keys() & {"configs", "dataset_info", "license", "language"}
    assert "There is nothing to load" in text


def test_limits_are_named_until_a_step_lifts_them() -> None:
    manifest = manifest_of("mid-a-000000.tar")
    plain = card_text(facts_of(manifest))
    for words in ("not compared with any benchmark", "near-duplicate texts", "names of people"):
        assert words in plain
    names = ("exact", "near_text", "near_image", "decontaminate", "phi")
    steps = tuple({"name": name, "in": 1, "made": 0, "kept": 1, "dropped": {}, "quarantined": {}} for name in names)
    lifted = card_text(facts_of(manifest, steps=steps))
    for words in ("not compared with any benchmark", "Not searched for", "names of people"):
        assert words not in lifted
