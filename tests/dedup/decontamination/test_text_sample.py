"""The background sample: by what samples say, whatever the files."""

import pyarrow as pa

from dedup.decontamination.text_sample import MOST_DOCUMENTS, chosen_for_background, halvings_of
from sources.schema import SAMPLES

TURNS = pa.schema([SAMPLES.field("turns")])


def said(texts: list[str]) -> pa.Table:
    return pa.Table.from_pylist([{"turns": [{"role": "user", "text": text}]} for text in texts], schema=TURNS)


def test_the_same_texts_are_chosen_however_they_are_cut_and_spaced() -> None:
    texts = [f"a finding number {number}" for number in range(4000)]
    whole = chosen_for_background(said(texts), 2).tolist()
    assert 850 < len(whole) < 1150
    cut = [
        low + row
        for low in range(0, 4000, 37)
        for row in chosen_for_background(said(texts[low : low + 37]), 2).tolist()
    ]
    assert cut == whole
    spaced = [f"<image>\n{text}  " for text in texts]
    assert chosen_for_background(said(spaced), 2).tolist() == whole
    assert set(chosen_for_background(said(texts), 3).tolist()) < set(whole)


def test_few_samples_are_all_taken() -> None:
    assert halvings_of(MOST_DOCUMENTS) == 0
    assert halvings_of(MOST_DOCUMENTS + 1) == 1
    assert halvings_of(2 * MOST_DOCUMENTS) == 1
    assert halvings_of(9 * MOST_DOCUMENTS) == 4
    assert len(chosen_for_background(said(["one", "two"]), 0)) == 2
