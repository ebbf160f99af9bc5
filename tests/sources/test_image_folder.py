from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sources.identity import keyed_digest
from sources.mapping import unreadable_sample
from sources.readers.registry import reader_named
from sources.records import ChangedInputError, Corpus, CorpusError, Fragment, Record, Unreadable
from sources.schema import SAMPLES, Reason
from tests.sources.corpora import KEY, corpus_in, planned, read, samples


def pictures(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"not looked at")


def corpus_of(folder: Path, metadata: str | None = None, name: str = "metadata.csv", **card: Any) -> Corpus:
    if metadata is not None:
        (folder / name).write_text(metadata, encoding="utf-8")
    settings = {"task": "caption", "fields": {"text": "caption"} if metadata is not None else {}, **card}
    return corpus_in(folder, "image_folder", "**/*.png", **settings)


def shown(corpus: Corpus) -> list[tuple[str, str | None, list[str]]]:
    """Key, caption and picture of every sample."""
    return [
        (
            sample["source_key"],
            sample["turns"][-1]["text"] if sample["turns"] else None,
            [i["uri"] for i in sample["images"]],
        )
        for sample in samples(corpus)
    ]


def test_pictures_without_metadata_are_records_with_only_an_image(tmp_path: Path) -> None:
    pictures(tmp_path, "b.png", "sub/a.png")
    assert shown(corpus_of(tmp_path)) == [("b.png", None, ["b.png"]), ("sub/a.png", None, ["sub/a.png"])]


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("metadata.csv", "file_name,caption\na.png,first\ngone.png,second\n"),
        (
            "metadata.jsonl",
            '{"file_name": "a.png", "caption": "first"}\n{"file_name": "gone.png", "caption": "second"}\n',
        ),
    ],
)
def test_metadata_meets_pictures_and_rows_without_picture_stay_to_be_reported(
    tmp_path: Path, name: str, metadata: str
) -> None:
    pictures(tmp_path, "a.png", "unlisted.png")
    assert shown(corpus_of(tmp_path, metadata, name)) == [
        ("a.png", "first", ["a.png"]),
        ("gone.png", "second", ["gone.png"]),
        ("unlisted.png", None, ["unlisted.png"]),
    ]


def test_names_are_matched_wherever_the_picture_lies(tmp_path: Path) -> None:
    pictures(tmp_path, "x/a.png", "y/a.png", "y/b.png")
    corpus = corpus_of(
        tmp_path,
        "file,caption\na.png,of both\n",
        fields={"image": "file", "text": "caption"},
        options={"match": "name", "metadata": "metadata.csv"},
    )
    assert shown(corpus) == [
        ("x/a.png", "of both", ["x/a.png"]), ("y/a.png", "of both", ["y/a.png"]), ("y/b.png", None, ["y/b.png"]),
    ]  # fmt: skip


def test_names_are_under_the_folder_of_pictures_that_the_layout_names(tmp_path: Path) -> None:
    pictures(tmp_path, "images/a.png")
    corpus = corpus_of(tmp_path, "file_name,caption\na.png,first\n", images="images")
    assert shown(corpus) == [("images/a.png", "first", ["images/a.png"])]


def test_a_picture_with_two_rows_is_two_samples(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    corpus = corpus_of(tmp_path, "file_name,caption\na.png,first\na.png,second\n")
    assert [caption for _, caption, _ in shown(corpus)] == ["first", "second"]
    assert len({sample["sample_id"] for sample in samples(corpus)}) == 2


def test_a_bad_row_of_the_metadata_is_the_only_one_lost(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    corpus = corpus_of(tmp_path, "file_name,caption\na.png,first\nb.png,x,too many\n")
    [lost] = [record for record in read(corpus) if isinstance(record, Unreadable)]
    assert (lost.key, lost.reason) == ("metadata.csv#1", Reason.RECORD_MALFORMED)
    assert len(samples(corpus)) == 2


def test_metadata_that_the_card_names_must_be_there_and_have_its_columns(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    with pytest.raises(CorpusError, match=r"table\.csv: the metadata that the card names is not there"):
        planned(corpus_of(tmp_path, options={"metadata": "table.csv"}))
    with pytest.raises(CorpusError, match="no column 'file_name'; did you mean 'filename'"):
        planned(corpus_of(tmp_path, "filename,caption\na.png,first\n"))
    with pytest.raises(CorpusError, match="neither 'path' nor 'name'"):
        planned(corpus_of(tmp_path, "file_name,caption\na.png,first\n", options={"match": "stem"}))


def touched(before: list[Fragment], after: list[Fragment]) -> int:
    return len({fragment.digest for fragment in after} - {fragment.digest for fragment in before})


def test_one_more_picture_touches_one_fragment_wherever_it_sorts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sources.readers.folders._is_cut", lambda path, _every: path.endswith("7.png"))
    pictures(tmp_path, *(f"{number:03}.png" for number in range(100)))
    before = planned(corpus_of(tmp_path))
    assert len(before) == 11
    pictures(tmp_path, "0535.png")
    assert touched(before, planned(corpus_of(tmp_path))) == 1


def test_cuts_do_not_depend_on_the_number_of_files(tmp_path: Path) -> None:
    names = [f"{number:05}.png" for number in range(1600)]
    pictures(tmp_path, *names)
    before = planned(corpus_of(tmp_path))
    assert len(before) >= 2
    assert max(len(fragment.files) for fragment in before) <= 1024
    (tmp_path / names[0]).unlink()
    assert touched(before, planned(corpus_of(tmp_path))) <= 2


def test_another_row_for_a_picture_is_another_content_and_an_unmapped_column_is_not(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png")
    [one] = planned(corpus_of(tmp_path, "file_name,caption,other\na.png,first,x\n"))
    [same] = planned(corpus_of(tmp_path, "file_name,caption,other\na.png,first,y\n"))
    [another] = planned(corpus_of(tmp_path, "file_name,caption,other\na.png,second,y\n"))
    assert one.digest == same.digest != another.digest


@pytest.mark.parametrize("change", ["rewritten", "gone"])
def test_a_picture_that_changed_after_planning_is_refused(tmp_path: Path, change: str) -> None:
    pictures(tmp_path, "a.png")
    corpus = corpus_of(tmp_path)
    [fragment] = planned(corpus)
    if change == "gone":
        (tmp_path / "a.png").unlink()
    else:
        (tmp_path / "a.png").write_bytes(b"other")
    with pytest.raises(ChangedInputError):
        list(reader_named("image_folder").read(corpus, fragment))


def test_a_picture_whose_name_is_not_utf8_is_the_only_one_lost(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "caf\udce9.png")
    corpus = corpus_of(tmp_path)
    good, lost = read(corpus)
    assert isinstance(good, Record)
    assert isinstance(lost, Unreadable)
    assert lost.reason == Reason.RECORD_ENCODING
    row = unreadable_sample(corpus, "", lost)
    assert row["source_key"] == "caf%E9.png"
    assert pa.Table.from_pylist([row], schema=SAMPLES).num_rows == 1


def test_a_keyed_corpus_stores_no_names_so_that_any_will_do(tmp_path: Path) -> None:
    pictures(tmp_path, "caf\udce9.png")
    corpus = corpus_of(tmp_path, identifiers="keyed")
    [row] = samples(corpus)
    assert row["images"][0]["uri"] == keyed_digest(KEY, "path", "caf\udce9.png")
    assert pa.Table.from_pylist([row], schema=SAMPLES).num_rows == 1


def test_every_file_is_one_record(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    [fragment] = planned(corpus_of(tmp_path))
    assert (fragment.records, fragment.counted) == (2, "records")
