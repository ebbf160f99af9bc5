import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dedup.decontamination import text_index
from dedup.decontamination.text_background import NONE
from dedup.decontamination.text_index import TextIndex, chunks_of
from dedup.decontamination.text_scan import scan_texts
from dedup.decontamination.text_settings import TextSettings
from tests.dedup.decontamination.texts import ALL, PASSAGE, SHORT, VIGNETTE, items_of, sample, samples_of

TEXTS = ["The glomerular tuft and the census of miners.", "Fomepizole, fomepizole!", VIGNETTE["question"]]


def test_tables_give_the_index_back_through_parquet(tmp_path):
    index = TextIndex.of(items_of(*ALL), TextSettings(short_tokens=6))
    index = index.weighted(index.background(samples_of(*TEXTS)), 3)
    for name, table in index.tables().items():
        pq.write_table(table, tmp_path / name)
    samples = samples_of(*[sample(item["question"], item["answer"]) for item in ALL if "question" in item])

    again = TextIndex.from_tables({name: pq.read_table(tmp_path / name) for name in index.tables()})

    assert again.settings == index.settings
    assert scan_texts(again, samples).equals(scan_texts(index, samples))
    assert all(again.tables()[name].equals(table) for name, table in index.tables().items())


def test_tables_of_another_format_are_refused():
    tables = TextIndex.of(items_of(VIGNETTE), TextSettings()).tables()
    tables["texts"] = tables["texts"].replace_schema_metadata({"curate": '{"format": 99}'})

    with pytest.raises(ValueError, match="format 99"):
        TextIndex.from_tables(tables)


def test_background_counts_each_text_once_and_adds_up_over_fragments():
    index = TextIndex.of(items_of(*ALL), TextSettings())
    samples = samples_of(*TEXTS, *[f"{text} Once more." for text in TEXTS], *TEXTS)

    whole, documents = index.counted(samples, NONE)
    first, rest = samples.slice(0, 4), samples.slice(4)
    apart = index.counted(first, NONE), index.counted(rest, index.text_digests(first))

    assert documents == 6 == sum(count for _, count in apart)
    assert np.array_equal(whole, apart[0][0] + apart[1][0])
    assert np.array_equal(whole, index.background(samples))
    (fomepizole,) = index.background(samples_of("Fomepizole, fomepizole!")).nonzero()[0]
    assert whole[fomepizole] == 2


def test_a_text_under_other_pictures_is_another_one_and_written_otherwise_it_is_not():
    index = TextIndex.of(items_of(*ALL), TextSettings())
    text = "Fomepizole, fomepizole!"
    pictures = [sample(text, images=[{"image_id": name}]) for name in "aabc"]

    _, documents = index.counted(samples_of(text, text.upper(), *pictures), NONE)

    assert documents == 4


def test_a_background_of_another_index_is_refused():
    index = TextIndex.of(items_of(VIGNETTE), TextSettings())

    with pytest.raises(ValueError, match="background"):
        index.weighted(np.zeros(3, np.int64), 1)


def test_wording_that_the_background_is_full_of_weighs_less():
    report = "The heart is normal in size and the lungs are clear without focal airspace disease or effusion today."
    index = TextIndex.of(items_of({"text": report}, VIGNETTE), TextSettings())
    normal = samples_of(*[f"{report} Film {number}." for number in range(500)], *TEXTS * 100)
    known = index.weighted(index.background(normal), normal.num_rows)

    assert [hit["alone"] for hit in scan_texts(index, samples_of(report)).to_pylist()] == [True]
    assert scan_texts(known, samples_of(report)).num_rows == 0


CAPTION = {
    "text": (
        "Axial section of a wombat's spleen with a crescent shaped calcified hydatid cyst that displaces the greater "
        "curvature of the stomach towards the umbilicus and erodes two vertebrae."
    )
}
ASKED = {"question": "Which enzyme did Krause isolate from porcupine bile?", "answer": "", "options": []}


@pytest.mark.parametrize("copies", [1, 3, 4, 10, 300])
def test_a_leak_is_found_however_often_it_is_there(copies):
    index = TextIndex.of(items_of(CAPTION, ASKED), TextSettings())
    noise = [
        f"The clinic of district {number} opens at nine and weighs {number * 7919 % 1000} infants."
        for number in range(1500)
    ]
    prompts = ["Describe the picture.", "What is shown?", "Write a caption.", "Say what you see."]
    captions = [sample(prompts[copy % 4], CAPTION["text"]) for copy in range(copies)]
    known = index.weighted(*index.counted(samples_of(*noise, *captions, *[ASKED["question"]] * copies), NONE))

    found = scan_texts(known, samples_of(CAPTION["text"], ASKED["question"])).to_pylist()

    assert [(hit["item"], hit["grade"], hit["alone"]) for hit in found] == [(0, "exact", True), (1, "exact", True)]


def test_an_upsampled_leak_in_the_background_is_still_found():
    index = TextIndex.of(items_of(VIGNETTE, SHORT), TextSettings())
    copies = samples_of(*[VIGNETTE["question"]] * 300, *TEXTS[:2] * 300)
    known = index.weighted(index.background(copies), copies.num_rows)

    (hit,) = scan_texts(known, samples_of(VIGNETTE["question"])).to_pylist()

    assert (hit["grade"], hit["alone"]) == ("exact", True)


def test_the_order_of_items_changes_only_their_numbers():
    samples = samples_of(*[sample(item["question"], item["answer"]) for item in ALL if "question" in item])
    forth = scan_texts(TextIndex.of(items_of(*ALL), TextSettings()), samples).to_pylist()
    back = scan_texts(TextIndex.of(items_of(*ALL[::-1]), TextSettings()), samples).to_pylist()

    def renumbered(hits, numbers):
        return sorted((hit["row"], numbers[hit["item"]], hit["grade"], hit["score"], hit["alone"]) for hit in hits)

    assert renumbered(forth, range(len(ALL))) == renumbered(back, range(len(ALL) - 1, -1, -1))


def test_very_long_passages_are_cut_and_still_found():
    long = {"context": " ".join(f"word{number} says {number * 7919 % 1000}" for number in range(3000))}
    index = TextIndex.of(items_of(long, PASSAGE), TextSettings())

    hits = scan_texts(index, samples_of(long["context"][-2000:])).to_pylist()

    assert [(hit["item"], hit["grade"]) for hit in hits] == [(0, "passage_shared")]


def test_columns_of_items_may_be_chunked():
    items = items_of(*ALL)
    chunked = pa.concat_tables([items.slice(0, 3), items.slice(3)])

    index, other = (TextIndex.of(given, TextSettings()).tables() for given in (items, chunked))

    assert all(index[name].equals(other[name]) for name in index)


def test_samples_are_grouped_by_the_bytes_of_their_texts_and_a_long_one_stands_alone(monkeypatch):
    monkeypatch.setattr(text_index, "BYTES_AT_ONCE", 100)
    rows = ["a" * 40, "b" * 40, "c" * 1000, {"turns": None, "question": "d" * 60}, sample("e" * 30, "f" * 30), "g" * 30]
    samples = samples_of(*rows).select(["turns", "question"])
    for given in (samples, pa.concat_tables([samples.slice(0, 4), samples.slice(4)])):
        assert [chunk.num_rows for chunk in chunks_of(given)] == [2, 1, 1, 2]
    assert [chunk.num_rows for chunk in chunks_of(samples.slice(1))] == [1, 1, 1, 2]
    assert chunks_of(samples.slice(0, 0)) == []
