"""The leaks that really exist between public text sets (leaks/text_pairs.jsonl), each found or explained."""

import csv
import json
import re

import pytest

from dedup.decontamination.text_index import TextIndex
from dedup.decontamination.text_scan import scan_texts
from dedup.decontamination.text_settings import TextSettings
from tests.dedup.decontamination.texts import SHARED, items_of, sample, samples_of

PAIRS = SHARED / "leaks/text_pairs.jsonl"
MIRAGE = SHARED / "text/eval_mirage_raw/rawdata"
SHORT_TOKENS = TextSettings().short_tokens


@pytest.fixture(scope="module")
def pairs():
    if not PAIRS.is_file():
        pytest.skip(f"{PAIRS} is not there")
    return [json.loads(line) for line in PAIRS.read_text().splitlines()]


def found(items, samples):
    return scan_texts(TextIndex.of(items_of(*items), TextSettings()), samples_of(*samples)).to_pylist()


def test_medqa_questions_in_medxpertqa_are_found(pairs):
    path = MIRAGE / "medqa/data_clean/questions/US/4_options/phrases_no_exclude_test.jsonl"
    questions = [json.loads(line) for line in path.read_text().splitlines()]
    wanted = [pair for pair in pairs if pair["set_a"] == "medqa_test"]
    # text_pairs.jsonl has the first 300 characters of the other side, of one a part of a table: the items are cut too.
    tables = {int(pair["id_a"]) for pair in wanted if "|" in pair["text_b"]}
    lengths = [230 if number in tables else 290 for number in range(len(questions))]
    items = [
        {"question": row["question"][:length], "answer": row["answer"]}
        for row, length in zip(questions, lengths, strict=True)
    ]

    hits = found(items, [sample(pair["text_b"]) for pair in wanted])

    assert {(int(pair["id_a"]), row) for row, pair in enumerate(wanted)} == {
        (hit["item"], hit["row"]) for hit in hits if hit["grade"] in ("exact", "near_text")
    }


def test_medmcqa_questions_in_the_huatuo_demo_are_exact(pairs):
    rows = json.loads((SHARED / "text/train_huatuo_o1_demo/data/demo_data.json").read_text())
    dev = [json.loads(line) for line in (MIRAGE / "medmcqa/data/dev.json").read_text().splitlines()]
    items = [{"question": row["question"], "answer": row["op" + "abcd"[row["cop"] - 1]]} for row in dev]
    wanted = {(pair["id_a"], int(pair["id_b"])) for pair in pairs if pair["set_b"] == "huatuo_o1_demo"}

    hits = found(items, [sample(row["question"], row["answer"]) for row in rows])

    assert wanted == {(dev[hit["item"]]["id"], hit["row"]) for hit in hits if hit["grade"] == "exact"}


@pytest.mark.parametrize("split", ["val", "test1", "test2"])
def test_dialogues_of_mts_train_in_its_other_splits_are_found(pairs, split):
    wanted = [pair for pair in pairs if pair["set_b"] == f"mts_{split}"]
    folder = SHARED / "text/text_mts_dialog"
    train = {
        row["ID"]: row["dialogue"] for path in folder.rglob("*raining*.csv") for row in csv.DictReader(path.open())
    }
    items = [{"text": pair["text_b"]} for pair in wanted]
    # One dialogue ("Do you have any known allergies ...? No.") is in two items of a split: a template, no evidence.
    templates = {row for row, item in enumerate(items) if items.count(item) > 1}

    hits = found(items, [sample(train[pair["id_a"]]) for pair in wanted])

    matched = {hit["row"] for hit in hits if hit["row"] == hit["item"] and hit["grade"] != "template_sibling"}
    assert matched == set(range(len(wanted))) - templates


@pytest.fixture(scope="module")
def captions():
    folder = SHARED / "text/caption_roco/data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return {
        f"roco_{split}": dict(
            line.split("\t", 1)
            for path in sorted((folder / split).rglob("captions.txt"))
            for line in path.read_text().splitlines()
        )
        for split in ("train", "validation", "test")
    }


@pytest.mark.parametrize("split", ["roco_validation", "roco_test"])
def test_roco_captions_of_another_split_are_found_and_those_of_few_words_with_their_picture(pairs, captions, split):
    wanted = [pair for pair in pairs if pair["set_b"] == split]
    items = [{"text": caption} for caption in captions[split].values()]
    samples = [sample(captions[pair["set_a"]][pair["id_a"]]) for pair in wanted]
    picture = {"uri": "a.png", "frame": None, "image_id": "0" * 32, "width": 1, "height": 1}

    hits = found(items, samples)
    with_pictures = found(items, [{**row, "images": [picture]} for row in samples])

    tokens = [len(re.findall(r"\w+", captions[split][pair["id_b"]])) for pair in wanted]
    short = {row for row, count in enumerate(tokens) if count < SHORT_TOKENS}
    # "Pretreatment orthopantomography.": with its picture the picture says it.
    of_two_words = {row for row, count in enumerate(tokens) if count < 3}
    assert {hit["row"] for hit in hits} == set(range(len(wanted))) - short
    assert {hit["row"] for hit in with_pictures} == set(range(len(wanted))) - of_two_words
    same = {row for row, pair in enumerate(wanted) if pair["kind"] == "exact_normalised"}
    assert {hit["row"] for hit in hits if hit["grade"] == "exact" and hit["row"] in same} == same - short
