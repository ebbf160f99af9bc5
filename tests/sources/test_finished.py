"""Samples of our own shards, read back through WebDataset."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from sources.mapping import to_sample
from sources.readers.registry import reader_named
from sources.records import Corpus, Record, RecordError
from sources.schema import Reason
from tests.sources.corpora import PROMPTS, corpus_in, planned, read, samples
from tests.sources.packed_files import png, write_tar

SAMPLE = {
    "sample_id": "ab" * 16, "source": "other", "source_key": "notes.jsonl#7", "task": "vqa", "license": "CC-BY-4.0",
    "access": "noncommercial", "language": "en",
    "turns": [{"role": "user", "text": "<image>\nWhere?"}, {"role": "assistant", "text": "Left."}],
    "question": "Where?", "options": None, "answer": "Left.", "groups": [{"kind": "patient", "id": "p7"}],
    "images": [{"member": "png", "image_id": "cd" * 16, "width": 96, "height": 96, "modality": "ct"}],
    "tokens": 9, "parent_id": None,
}  # fmt: skip


def corpus_of(folder: Path, **card: Any) -> Corpus:
    return corpus_in(folder, "webdataset", "a.tar", **{"task": "caption", **card})


def finished(folder: Path, **changes: Any) -> Corpus:
    key = SAMPLE["sample_id"]
    write_tar(folder / "a.tar", [(f"{key}.json", orjson.dumps({**SAMPLE, **changes})), (f"{key}.png", png(1))])
    return corpus_of(folder, meta=("source",))


def test_a_sample_of_our_own_shards_is_taken_over_as_it_is(tmp_path: Path) -> None:
    [sample] = samples(finished(tmp_path))
    same = ("sample_id", "source_key", "task", "license", "access", "language", "turns", "question", "answer", "groups")
    assert {name: sample[name] for name in same} == {name: SAMPLE[name] for name in same}
    assert sample["images"] == [{"image_id": None, "uri": f"a.tar#{'ab' * 16}.png", "frame": None}]
    assert (sample["source"], sample["meta"]) == ("test", '{"source":"other"}')


def test_in_a_keyed_corpus_nothing_of_our_shards_is_stored_as_it_was(tmp_path: Path) -> None:
    finished(tmp_path)
    [sample] = samples(corpus_of(tmp_path, identifiers="keyed"))
    raw = orjson.dumps({name: sample[name] for name in ("sample_id", "source_key", "groups", "images")})
    assert all(secret not in raw for secret in (b"abab", b"notes.jsonl", b"p7", b".tar"))


def test_access_is_the_stricter_of_the_shard_s_and_the_card_s(tmp_path: Path) -> None:
    finished(tmp_path)
    found = [samples(corpus_of(tmp_path, access=access, identifiers="public"))[0]["access"]
             for access in ("open", "gated", "credentialed")]  # fmt: skip
    assert found == ["noncommercial", "gated", "credentialed"]


@pytest.mark.parametrize(
    "changes",
    [
        {"turns": []},
        {"turns": [{"role": "user", "text": "No picture."}]},
        {"task": "poem"},
        {"sample_id": "../../x"},
        {"access": "public"},
        {"groups": [{"kind": "patient"}]},
        {"images": []},
    ],
)
def test_a_sample_that_only_looks_like_ours_is_malformed(tmp_path: Path, changes: dict[str, Any]) -> None:
    corpus = finished(tmp_path, **changes)
    [record] = read(corpus)
    if isinstance(record, Record):
        with pytest.raises(RecordError):
            to_sample(corpus, "a.tar", record, PROMPTS)
    else:
        assert record.reason == Reason.RECORD_MALFORMED


def test_a_picture_that_our_json_lists_and_the_tar_lacks_is_missing(tmp_path: Path) -> None:
    key = SAMPLE["sample_id"]
    write_tar(tmp_path / "a.tar", [(f"{key}.json", orjson.dumps(SAMPLE))])
    corpus = corpus_of(tmp_path)
    [fragment] = planned(corpus)
    [sample] = samples(corpus)
    with pytest.raises(FileNotFoundError):
        reader_named("webdataset").open_picture(corpus, fragment, sample["images"][0]["uri"])  # type: ignore[attr-defined]


def test_what_lies_beside_the_json_of_a_sample_of_ours_and_is_not_named_in_it_is_told(tmp_path: Path) -> None:
    finished(tmp_path)
    key, said = SAMPLE["sample_id"], orjson.dumps(SAMPLE)
    others = [(f"{key}.txt", b"Lost."), (f"{key}.notes.json", b'"Lost."'), (f"{key}.2.png", png(2))]
    write_tar(tmp_path / "a.tar", [(f"{key}.json", said), (f"{key}.png", png(1)), *others])
    corpus = corpus_of(tmp_path, meta=("*",))
    (record,) = read(corpus)
    assert isinstance(record, Record)
    told = to_sample(corpus, "a.tar", record, PROMPTS)["passed_over"]
    assert told == [f"member {ending}, not looked at" for ending in (".json", ".png", ".txt")]
