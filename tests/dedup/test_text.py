from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.bands import BAND_KEYS, proposed_pairs
from dedup.bandwidths import FALSE_NEGATIVE_WEIGHT, FALSE_POSITIVE_WEIGHT, MARGIN, banding_for
from dedup.exact import comparable_text
from dedup.order import survivor_order
from dedup.text import NearText, comparable_texts, difference, verify_texts
from sources.schema import IMAGES, SAMPLES, TASKS

any_text = st.text(
    st.sampled_from("aA <image>é\n\t\x1c\x85ﬁ\u00ad") | st.characters(exclude_categories=["Cs"]), max_size=20
)
pieces = st.lists(st.sampled_from(["<image>", "<ima", "ge>", "<<image>>", "Word", " ", "\n", "\r\n", "3 cm", "É"])).map(
    "".join
)
odd = st.sampled_from(["", " ", "  ", "\t", "<image>", "<", "é", "Z", "\x1f\n", "[{@`"])
long_texts = st.tuples(st.integers(0, 130), odd, st.integers(0, 130)).map(
    lambda parts: "Plain words " * 20 + "A" * parts[0] + parts[1] + "b c" * parts[2]
)
"""Longer than what is normalised at once, with something in it that must be looked at alone."""
turn = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "system", "User", "<image>", ""]),
        "text": any_text | pieces | long_texts,
    }
)
made_samples = st.fixed_dictionaries(
    {
        "task": st.sampled_from(TASKS),
        "turns": st.none() | st.lists(turn, max_size=4),
        "question": st.none() | any_text | pieces | long_texts,
    }
)


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    required = {"source": "s", "source_key": "k", "license": "MIT", "access": "open", "task": "text"}
    full = [
        dict.fromkeys(SAMPLES.names) | required | {"sample_id": f"{number:06x}{0:026x}"} | row
        for number, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(full, schema=SAMPLES)


@settings(max_examples=300, deadline=None)
@given(st.lists(made_samples, min_size=1, max_size=5), st.integers(0, 2))
def test_comparable_texts_are_those_of_exact_also_of_sliced_tables(rows: list[dict[str, Any]], skipped: int) -> None:
    table = table_of(rows).slice(skipped)
    chunked = pa.concat_tables([table, table])
    expected = [comparable_text(sample) for sample in table.to_pylist()]
    assert comparable_texts(table).to_pylist() == expected
    assert comparable_texts(chunked).to_pylist() == expected * 2


def test_a_role_that_is_null_reads_as_exact_reads_it() -> None:
    table = table_of([{"turns": [{"role": None, "text": "x"}]}, {"turns": [{"role": "user", "text": "Y"}]}])
    assert comparable_texts(table).to_pylist() == ["none: x", "user: y"]


@pytest.mark.parametrize("jaccard", [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9])
def test_bands_are_those_that_datasketch_chooses(jaccard: float) -> None:
    weights = (FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT)
    peer = MinHashLSH(threshold=jaccard - MARGIN, num_perm=128, weights=weights)
    assert banding_for(jaccard, 128) == (peer.b, peer.r)


def test_the_recipes_threshold_gives_16_bands_of_8() -> None:
    banding = banding_for(0.8, 128)
    assert banding == (16, 8)
    assert banding.chance(0.8) == pytest.approx(0.947, abs=0.001)
    assert banding.chance(0.86) > 0.995


def documents(random: np.random.Generator, count: int, length: int) -> list[str]:
    vocabulary = ["".join(random.choice(list("abcdefghijklmnop"), 6)) for _ in range(2000)]
    return [" ".join(random.choice(vocabulary, length)) for _ in range(count)]


def paired_rows(step: NearText, texts: list[str], salt: list[int] | None = None) -> set[tuple[int, int]]:
    order = np.arange(len(texts), dtype=np.uint64)
    salts = None if salt is None else np.array(salt, np.uint64)
    keys = step.keys_of_texts(pa.array(texts), order, np.arange(len(texts), dtype=np.int32), salts)
    assert keys.schema.equals(BAND_KEYS)
    assert keys["key"].to_pylist() == sorted(keys["key"].to_pylist())
    pairs = proposed_pairs(keys.append_column("fragment", pa.array(np.zeros(keys.num_rows, np.int32)))).pairs
    return set(zip(pairs["row"].to_pylist(), pairs["other_row"].to_pylist(), strict=True))


@pytest.mark.parametrize("length", [20, 60, 200])
def test_a_text_meets_its_copy_with_one_word_replaced_and_no_other(length: int) -> None:
    random = np.random.default_rng(length)
    texts = documents(random, 60, length)
    edited = [text.split() for text in texts]
    for words in edited:
        words[int(random.integers(len(words)))] = "replaced"
    pairs = paired_rows(NearText(), texts + [" ".join(words) for words in edited])
    wanted = {(number, number + 60) for number in range(60)}
    assert len(wanted & pairs) >= 59
    assert pairs <= wanted


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("axial ct of the abdomen showing a hepatic mass", "axial ct of the abdomen, showing hepatic mass"),
        ("chest x-ray showing consolidation of the lung", "chest xray showing consolidation of the lungs"),
        ("a tumour of the oesophagus on barium swallow study", "a tumor of the esophagus on barium swallow study"),
        (
            "axial mr image of the brain showing a ring enhancing lesion",
            "the axial mr image of the brain showing a ring enhancing lesion",
        ),
    ],
    ids=["an_article", "another_division", "british_spelling", "11_and_12_tokens"],
)
def test_short_captions_that_are_near_meet_and_are_accepted_at_a_lower_threshold(one: str, other: str) -> None:
    step = NearText(jaccard=0.6)
    assert paired_rows(step, [one, other]) == {(0, 1)}
    assert verify_texts(pa.array([one]), pa.array([other]), 0.6)["verdict"].to_pylist() == ["accepted"]


def test_texts_under_three_tokens_are_left_to_exact() -> None:
    assert paired_rows(NearText(), ["normal film", "normal film"]) == set()
    assert paired_rows(NearText(), ["a normal film", "a normal film"]) == {(0, 1)}


def test_only_texts_of_equal_salt_meet() -> None:
    text = documents(np.random.default_rng(1), 1, 40)[0]
    assert paired_rows(NearText(), [text] * 4, [1, 2, 1, 2]) == {(0, 2), (1, 3)}


def test_samples_with_pictures_are_not_compared_by_text_alone() -> None:
    turns = [{"role": "text", "text": "the same text of at least some words"}]
    images = [{"image_id": "aa", "uri": "a", "frame": 0}]
    table = table_of([{"turns": turns}, {"turns": turns, "images": images}, {"turns": turns, "images": []}])
    keys = NearText().keys(table, pa.array([7, 8, 9], pa.int32()), {"images": IMAGES.empty_table()})
    assert set(keys["row"].to_pylist()) == {7, 9}


def test_keys_depend_on_the_samples_alone_not_on_their_order() -> None:
    rows = [{"turns": [{"role": "text", "text": text}]} for text in documents(np.random.default_rng(2), 20, 30)]
    table, numbers = table_of(rows), pa.array(range(20), pa.int32())
    turned = pa.array(range(19, -1, -1), pa.int32())
    found = NearText().keys(table, numbers, {}), NearText().keys(table.take(turned), turned, {})
    assert found[0].equals(found[1])


def test_an_empty_fragment_has_no_keys() -> None:
    assert NearText().keys(SAMPLES.empty_table(), pa.array([], pa.int32()), {}).equals(BAND_KEYS.empty_table())


@pytest.mark.parametrize("jaccard", [0.49, 1.01, -1, float("nan")])
def test_a_threshold_that_is_no_similarity_is_refused(jaccard: float) -> None:
    with pytest.raises(ValueError, match=r"from 0\.5 to 1"):
        NearText(jaccard=jaccard)


def test_the_difference_is_told_in_words_as_written() -> None:
    assert difference("No effusion is\nseen.", "No large effusion seen!") == [
        ("equal", "No"), ("insert", "large"), ("equal", "effusion"), ("delete", "is seen."), ("insert", "seen!"),
    ]  # fmt: skip


@settings(deadline=None)
@given(any_text, any_text)
def test_the_difference_holds_all_words_of_both(a: str, b: str) -> None:
    runs = difference(a, b)
    assert " ".join(text for kind, text in runs if kind != "insert").split() == a.split()
    assert " ".join(text for kind, text in runs if kind != "delete").split() == b.split()


def ranked(*rows: dict[str, Any], images: pa.Table | None = None, sources: tuple[str, ...] = ()) -> list[int]:
    """Numbers of the rows from the best to the worst."""
    order = survivor_order(table_of(list(rows)), images, sources)
    assert len(set(order.tolist())) == len(rows)
    return np.argsort(order).tolist()


def spoken(text: str) -> list[dict[str, str]]:
    return [{"role": "text", "text": text}]


def test_survivors_are_the_most_open_then_those_with_pictures_then_larger_then_longer_then_earlier() -> None:
    image = [{"image_id": "big", "uri": "a", "frame": 0}]
    small = [{"image_id": "small", "uri": "a", "frame": 0}]
    row = dict.fromkeys(IMAGES.names, 0) | {"format": "x", "modality": "x", "modality_from": "x"}
    row |= {name: None for name in IMAGES.names if IMAGES.field(name).nullable}
    sizes = [
        row | {"image_id": "big", "width": 1000, "height": 10},
        row | {"image_id": "small", "width": 990, "height": 10},
    ]
    images = pa.Table.from_pylist(sizes, schema=IMAGES)
    rows: list[dict[str, Any]] = [
        {"access": "gated", "images": image},
        {"turns": spoken("long" * 600)},
        {"turns": spoken("long" * 600 + "er"), "source": "third"},
        {"images": small, "turns": spoken("a")},
        {"images": image},
        {"turns": spoken("short"), "source": "second"},
        {"turns": spoken("short"), "source": "first"},
        {"turns": spoken("short"), "source": "first"},
    ]
    assert ranked(*rows, images=images, sources=("first", "second")) == [4, 3, 2, 1, 6, 7, 5, 0]
