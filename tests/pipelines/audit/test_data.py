"""Data of any form is recognised as corpora with cards."""

import io
import shutil
import tarfile
import tracemalloc
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines.audit.data import Data, recognised
from pipelines.audit.fields import GivenFields, fields_by_name, read_fields
from pipelines.audit.kinds import IN_RUNS, UNREADABLE
from pipelines.audit.names import names_for
from pipelines.errors import UsageError
from sources.joins import MAX_COMPANION_BYTES
from sources.mapping import Prompts, to_sample
from sources.readers.registry import reader_named
from sources.records import Record
from tests.pipelines.audit.forms import ROWS, write_csv, write_llava, write_parquet, write_pictures, write_tars


def samples(data: Data) -> list[dict[str, object]]:
    """The rows that ingest would make."""
    found = []
    for corpus in data.corpora:
        reader = reader_named(corpus.card.reader)
        for fragment in reader.plan(corpus, corpus.files):
            for record in reader.read(corpus, fragment):
                assert isinstance(record, Record)
                found.append(to_sample(corpus, fragment.path, record, Prompts()))
    return found


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_llava, write_tars])
def test_the_same_questions_and_pictures_come_out_of_every_form(tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    place = write(tmp_path)
    found = samples(recognised(str(place), "data", None, None))
    assert len(found) == len(ROWS)
    for row, sample in zip(ROWS, found, strict=True):
        said = " ".join(turn["text"] for turn in sample["turns"])  # type: ignore[attr-defined]
        assert row["question"] in said
        assert row["answer"] in said
        assert len(sample["images"]) == 1  # type: ignore[arg-type]


def test_pictures_in_a_folder_beside_the_records_are_found(tmp_path: Path) -> None:
    place = write_llava(tmp_path)
    (tmp_path / "pictures").mkdir()
    for path in sorted(tmp_path.glob("*.png")):
        shutil.move(path, tmp_path / "pictures" / path.name)
    (corpus,) = recognised(str(place), "data", None, None).corpora
    assert corpus.card.layout.images == "pictures"


def test_a_folder_of_pictures_with_its_metadata(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    lines = ["file_name,caption", *(f"{row['image']},{row['answer']}" for row in ROWS)]
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    found = samples(recognised(str(tmp_path), "data", None, None))
    said = [sample["turns"][-1]["text"] for sample in found]  # type: ignore[index]
    assert sorted(said) == sorted(row["answer"] for row in ROWS)


@pytest.mark.parametrize("broken", [b"", b"a,b\n1,2\n", "file_name,caption\na.png,Lost.\n".encode("utf-16")])
def test_a_table_beside_pictures_that_cannot_be_read_is_told_and_hides_none(tmp_path: Path, broken: bytes) -> None:
    write_pictures(tmp_path)
    (tmp_path / "metadata.csv").write_bytes(broken)
    data = recognised(str(tmp_path), "data", None, None)
    assert [len(sample["images"]) for sample in samples(data)] == [1] * len(ROWS)  # type: ignore[arg-type]
    assert (data.unreadable, list(data.left_out.values())) == (("data: metadata.csv",), [1])
    for path in tmp_path.glob("*.png"):
        path.unlink()
    with pytest.raises(UsageError, match=r"metadata\.csv"):
        recognised(str(tmp_path), "data", None, None)


def test_a_table_beside_pictures_that_is_too_large_is_told_and_not_read(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    with (tmp_path / "metadata.csv").open("wb") as file:
        file.write(b"file_name,caption\n" + b"".join(b"%s,A film.\n" % str(row["image"]).encode() for row in ROWS))
        file.truncate(MAX_COMPANION_BYTES + 1)
    tracemalloc.start()
    data = recognised(str(tmp_path), "data", None, None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22
    assert [len(sample["images"]) for sample in samples(data)] == [1] * len(ROWS)  # type: ignore[arg-type]
    assert (data.unreadable, data.left_out) == (("data: metadata.csv",), {UNREADABLE: 1})


def test_a_table_that_cannot_be_read_does_not_hide_a_good_one_beside_it(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    (tmp_path / "metadata.csv").write_bytes(b"")
    (tmp_path / "metadata.jsonl").write_bytes(lines(*({"file_name": row["image"], "caption": "Q"} for row in ROWS)))
    data = recognised(str(tmp_path), "data", None, None)
    assert [sample["turns"][-1]["text"] for sample in samples(data)] == ["Q"] * len(ROWS)  # type: ignore[index]
    assert (data.unreadable, data.left_out) == (("data: metadata.csv",), {UNREADABLE: 1})
    (tmp_path / "metadata.jsonl").write_bytes(b"[]\n")
    data = recognised(str(tmp_path), "data", None, None)
    assert [len(sample["images"]) for sample in samples(data)] == [1] * len(ROWS)  # type: ignore[arg-type]
    assert (data.unreadable, data.left_out) == (("data: metadata.csv", "data: metadata.jsonl"), {UNREADABLE: 2})


def test_pictures_without_any_table(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    found = samples(recognised(str(tmp_path), "data", None, None))
    assert [len(sample["images"]) for sample in found] == [1] * len(ROWS)  # type: ignore[arg-type]


def test_records_of_other_columns_in_one_folder_are_corpora_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(orjson.dumps({"question": "What is it?", "answer": "a cyst"}))
    (tmp_path / "b.jsonl").write_bytes(orjson.dumps({"text": "A note of some length."}))
    data = recognised(str(tmp_path), "data", None, None)
    assert sorted(corpus.card.task for corpus in data.corpora) == ["text", "text_qa"]
    assert len({corpus.name for corpus in data.corpora}) == 2


def test_text_of_columns_that_no_field_is_for_is_kept_beside_the_sample(tmp_path: Path) -> None:
    row = {"question": "What is it?", "answer": "a cyst", "Complex_CoT": "It is round.", "n": 3}
    (tmp_path / "a.jsonl").write_bytes(orjson.dumps(row))
    (sample,) = samples(recognised(str(tmp_path / "a.jsonl"), "data", None, None))
    assert orjson.loads(sample["meta"]) == {"Complex_CoT": "It is round."}  # type: ignore[arg-type]


def test_files_that_no_reader_is_for_are_told_and_what_goes_with_data_is_not(tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "more.xlsx").write_bytes(b"PK")
    assert recognised(str(tmp_path), "data", None, None).left_out == {".xlsx": 1}


def lines(*rows: object) -> bytes:
    return b"\n".join(map(orjson.dumps, rows))


def test_columns_that_only_late_records_have_are_looked_at_text_and_picture(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    late = {"question": "What is it?", "answer": "a cyst", "images": ["one.png"]}
    for rows in ([{"caption": "A film."}] * 300 + [late], [late, *[{"caption": "A film."}] * 300]):
        (tmp_path / "a.jsonl").write_bytes(lines(*rows))
        found = samples(recognised(str(tmp_path / "a.jsonl"), "data", None, None))
        said = [orjson.dumps(sample).decode() for sample in found]
        assert sum("What is it?" in one and "a cyst" in one and "one.png" in one for one in said) == 1
        assert sum("A film." in one for one in said) == 300


@pytest.mark.parametrize("first", ["", None, "12", "?"])
def test_a_column_is_looked_at_whatever_its_first_values_are(tmp_path: Path, first: str | None) -> None:
    rows = [{"text": "A film.", "note": first}] * 250 + [{"text": "A film.", "note": "round"}]
    (tmp_path / "a.jsonl").write_bytes(lines(*rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        found = samples(recognised(str(tmp_path / name), "data", None, None))
        assert orjson.loads(str(found[-1]["meta"])) == {"note": "round"}
        assert found[0]["meta"] is None


def test_every_tar_of_a_folder_says_what_its_columns_are(tmp_path: Path) -> None:
    members = {"a": [("one.txt", b"A film.")], "b": [("two.json", orjson.dumps({"question": "Why?", "answer": "So."}))],
               "c": []}  # fmt: skip
    for name, inside in members.items():
        with tarfile.open(tmp_path / f"{name}.tar", "w") as tar:
            for member, data in inside:
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    data = recognised(str(tmp_path), "data", None, None)
    assert {corpus.card.task for corpus in data.corpora} == {"text", "text_qa"}
    assert sorted(file for corpus in data.corpora for file in corpus.files) == ["a.tar", "b.tar", "c.tar"]
    assert [sample["question"] for sample in samples(data)] == [None, "Why?"]


def test_a_saved_set_deep_in_a_folder_does_not_hide_the_records_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "A note."}))
    for deep in ("old/trainer", "old"):
        (tmp_path / deep).mkdir(parents=True, exist_ok=True)
        (tmp_path / deep / "state.json").write_text("{}")
        data = recognised(str(tmp_path), "data", None, None)
        assert [corpus.card.reader for corpus in data.corpora] == ["jsonl"]


def test_records_beside_a_saved_set_are_read_too(tmp_path: Path) -> None:
    import datasets

    datasets.Dataset.from_list([{"text": "Saved."}]).save_to_disk(tmp_path / "saved")
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "Beside."}))
    found = samples(recognised(str(tmp_path), "data", None, None))
    assert sorted(sample["turns"][0]["text"] for sample in found) == ["Beside.", "Saved."]  # type: ignore[index]


def test_names_that_sound_like_a_readme_are_read_and_pages_that_are_none_are_told(tmp_path: Path) -> None:
    for name in ("citation_contexts.jsonl", "changelog.jsonl"):
        (tmp_path / name).write_bytes(lines({"text": name}))
    for name in ("README.md", "LICENSE", "notes.md", "articles.html", "license_texts.txt"):
        (tmp_path / name).write_text("text")
    data = recognised(str(tmp_path), "data", None, None)
    assert len(samples(data)) == 2
    assert data.left_out == {".html": 1, ".md": 1, ".txt": 1}


def test_links_that_lead_out_of_the_folder_are_told(tmp_path: Path) -> None:
    (tmp_path / "outside.jsonl").write_bytes(lines({"text": "Out."}))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_bytes(lines({"text": "In."}))
    (tmp_path / "in" / "b.jsonl").symlink_to(tmp_path / "outside.jsonl")
    data = recognised(str(tmp_path / "in"), "data", None, None)
    assert list(data.left_out.values()) == [1]
    assert "links" in next(iter(data.left_out))


def test_parts_of_names_that_may_identify_are_not_told_as_endings(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "In."}))
    for name in ("1.2.840.113619.2.55", "1.2.840.113619.2.56", "study.Smith_John", "more.ZIP", "bare"):
        (tmp_path / name).write_bytes(b"x")
    assert recognised(str(tmp_path), "data", None, None).left_out == {"(none)": 1, "(other)": 3, ".zip": 1}


def test_columns_are_known_whatever_their_case_and_by_usual_names() -> None:
    found = fields_by_name(["Question", "ANSWER", "file_name", "pmcid", "Complex_CoT"])
    assert found == {"question": "Question", "answer": "ANSWER", "image": "file_name", "article": "pmcid"}


def test_a_map_says_what_columns_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("q,a\nWhat is it?,a cyst\n")
    with pytest.raises(UsageError, match=r"no column that is known \(it has a, q\)"):
        recognised(str(tmp_path / "a.csv"), "data", None, None)
    (tmp_path / "fields.yaml").write_text("question: q\nanswer: a\n")
    given = read_fields(tmp_path / "fields.yaml")
    (sample,) = samples(recognised(str(tmp_path / "a.csv"), "data", given, None))
    assert (sample["question"], sample["answer"]) == ("What is it?", "a cyst")


def test_answers_that_are_numbers_of_nobody_knows_what_do_not_lose_the_question(tmp_path: Path) -> None:
    row = {"question": "What is it?", "options": ["a cyst", "a stone"], "answer": 1}
    (tmp_path / "a.jsonl").write_bytes(orjson.dumps(row))
    (sample,) = samples(recognised(str(tmp_path / "a.jsonl"), "data", None, None))
    assert (sample["question"], sample["answer"]) == ("What is it?", None)
    based = GivenFields(columns={"question": "question", "options": "options", "answer": "answer"}, answer_base=0)
    (sample,) = samples(recognised(str(tmp_path / "a.jsonl"), "data", based, None))
    assert sample["answer"] == "a stone"


@pytest.mark.parametrize("text", ["[1, 2]", "colour: x", "question: 3", "answer_base: 7\nquestion: q"])
def test_a_map_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "fields.yaml").write_text(text)
    with pytest.raises(UsageError):
        read_fields(tmp_path / "fields.yaml")


def test_nothing_there_and_nothing_readable_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        recognised(str(tmp_path / "absent"), "data", None, None)
    (tmp_path / "x.xlsx").write_bytes(b"PK")
    for place in (tmp_path, tmp_path / "x.xlsx"):
        with pytest.raises(UsageError, match=rf"^(?=.*\.xlsx){place}: nothing here that can be read"):
            recognised(str(place), "data", None, None)


def test_every_place_has_a_name_of_its_own() -> None:
    assert names_for(["runs/mid", "other/Mid/shards/", "s3://b/LLaVA-Med.json"]) == ["mid", "mid_2", "llava_med"]


def test_parquet_with_pictures_inside(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    pictures = [{"bytes": (tmp_path / str(row["image"])).read_bytes(), "path": row["image"]} for row in ROWS]
    table = pa.table({"image": pictures, "question": [row["question"] for row in ROWS],
                      "answer": [row["answer"] for row in ROWS]})  # fmt: skip
    (tmp_path / "inside").mkdir()
    pq.write_table(table, tmp_path / "inside" / "part.parquet")
    found = samples(recognised(str(tmp_path / "inside"), "data", None, None))
    assert [len(sample["images"]) for sample in found] == [1] * len(ROWS)  # type: ignore[arg-type]
    assert Image.open(tmp_path / str(ROWS[0]["image"])).size == (160, 160)


def test_a_file_that_is_only_called_like_a_description_is_data(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "In."}))
    names = {"manifest.json": [{"text": "One."}], "state.json": {"k": {"text": "Two."}}}
    for name, said in names.items():
        (tmp_path / name).write_bytes(orjson.dumps(said))
    (tmp_path / "events.jsonl").write_bytes(lines({"text": "Three."}, {"text": "Four."}))
    (tmp_path / "dataset_info.json").write_bytes(orjson.dumps({"features": {}, "splits": {}}))
    (tmp_path / "a.jsonl.idx").write_bytes(b"\0")
    (tmp_path / "other.index").write_bytes(b"\0")
    data = recognised(str(tmp_path), "data", None, None)
    said = [sample["turns"][0]["text"] for sample in samples(data)]  # type: ignore[index]
    assert sorted(said) == ["Four.", "In.", "One.", "Three.", "Two."]
    assert data.left_out == {".index": 1}


def test_hidden_files_of_people_are_read_and_those_of_programs_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "In."}))
    for name in (
        ".x/b.jsonl",
        ".git/c.jsonl",
        ".cache/huggingface/d.json",
        ".nv-meta/.info.json",
        ".e.npy",
        ".DS_Store",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(lines({"text": "Hidden."}))
    data = recognised(str(tmp_path), "data", None, None)
    assert len(samples(data)) == 2
    assert data.left_out == {".npy": 1}


def test_a_run_inside_the_folder_is_told_and_an_audit_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "In."}))
    for name in ("run/shards/manifest.json", "run/.curate-run", "audit/contamination.json", "audit/.curate-run"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert recognised(str(tmp_path), "data", None, None).left_out == {IN_RUNS: 1}


def test_one_broken_file_does_not_hide_the_others_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines({"text": "In."}))
    pq.write_table(pa.table({"text": ["Lost."]}), tmp_path / "b.parquet")
    (tmp_path / "b.parquet").write_bytes((tmp_path / "b.parquet").read_bytes()[:-20])
    (tmp_path / "c.csv").write_text("what,is,this\n1,Lost,3\n")
    (tmp_path / "d.tar").write_bytes(b"")
    (tmp_path / "e.json").write_bytes('[{"text": "Lost."}]'.encode("utf-16"))
    data = recognised(str(tmp_path), "data", None, None)
    assert len(samples(data)) == 1
    assert list(data.left_out.values()) == [4]
    assert data.unreadable == ("data: b.parquet", "data: c.csv", "data: d.tar", "data: e.json")
    with pytest.raises(UsageError, match="is not a Parquet file, or is truncated"):
        recognised(str(tmp_path / "b.parquet"), "data", None, None)
    with pytest.raises(UsageError, match="is UTF-16 or UTF-32"):
        recognised(str(tmp_path / "e.json"), "data", None, None)


def test_what_stands_between_the_columns_of_a_table_is_told_by_its_first_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id;text\n1;Fever, and a cough.\n")
    (sample,) = samples(recognised(str(tmp_path / "a.csv"), "data", None, None))
    assert sample["turns"][0]["text"] == "Fever, and a cough."  # type: ignore[index]


def test_columns_that_name_pictures_that_are_there_are_pictures(tmp_path: Path) -> None:
    write_pictures(tmp_path / "films")
    row = {"text": "A film.", "image": "one.png", "second_view": "two.png", "origin": "elsewhere/one.png"}
    (tmp_path / "a.jsonl").write_bytes(lines(row))
    for place in (tmp_path / "a.jsonl", tmp_path):
        (sample,) = samples(recognised(str(place), "data", None, None))
        assert [image["uri"] for image in sample["images"]] == ["films/one.png", "films/two.png"]  # type: ignore[attr-defined]


def test_records_inside_a_json_document_are_read_where_the_map_says(tmp_path: Path) -> None:
    document = {"version": [1], "data": {"rows": [{"question": "What is it?", "answer": "a cyst"}]}}
    (tmp_path / "a.json").write_bytes(orjson.dumps(document))
    with pytest.raises(UsageError) as refused:
        recognised(str(tmp_path / "a.json"), "data", None, None)
    assert "`items: NAME`" in refused.value.hint
    for said in ("items: data.rows\n", "items: data.rows\nquestion: question\nanswer: answer\n"):
        (tmp_path / "fields.yaml").write_text(said)
        (sample,) = samples(recognised(str(tmp_path / "a.json"), "data", read_fields(tmp_path / "fields.yaml"), None))
        assert (sample["question"], sample["answer"]) == ("What is it?", "a cyst")
