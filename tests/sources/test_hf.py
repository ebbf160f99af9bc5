import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from sources.mapping import to_sample
from sources.readers.hf_library import datasets_library
from sources.readers.registry import reader_named
from sources.records import FRAGMENT_RECORDS, ChangedInputError, Corpus, CorpusError, Record, Unreadable
from sources.schema import Reason
from sources.uris import PICTURE
from tests.sources.corpora import PROMPTS, corpus_in, planned, read, samples
from tests.sources.hf_sets import film, png, save

FIELDS = {"text": "note", "image": "image"}


def corpus_of(folder: Path, **card: Any) -> Corpus:
    settings = {"fields": FIELDS, "task": "caption", **card}
    return corpus_in(folder, "hf", "**/*.arrow", **settings)


def pictures(corpus: Corpus) -> list[list[bytes]]:
    """The bytes of the pictures of every record, as the build opens them."""
    reader = reader_named("hf")
    found = []
    for fragment in planned(corpus):
        for record in reader.read(corpus, fragment):
            assert isinstance(record, Record)
            found.append([reader.open_picture(corpus, fragment, uri) for uri in record.row[PICTURE]])
    return found


@pytest.mark.parametrize("shards", [1, 3])
def test_a_saved_set_is_read_as_datasets_reads_it(tmp_path: Path, shards: int) -> None:
    save(film(50), tmp_path / "films", num_shards=shards)
    corpus = corpus_of(tmp_path / "films", meta=("label", "tags"))
    oracle = (
        datasets_library()
        .load_from_disk(str(tmp_path / "films"))
        .cast_column("image", datasets_library().Image(decode=False))
    )
    names = oracle.features["label"].names
    records = [record for record in read(corpus) if isinstance(record, Record)]
    assert [record.row["note"] for record in records] == oracle["note"][:]
    assert [record.row["label"] for record in records] == [names[label] for label in oracle["label"]]
    assert [record.row["tags"] for record in records] == [[names[tag] for tag in tags] for tags in oracle["tags"]]
    assert pictures(corpus) == [[image["bytes"]] for image in oracle["image"]]


def test_several_pictures_of_a_row_come_in_the_cards_order(tmp_path: Path) -> None:
    save(film(3), tmp_path)
    corpus = corpus_of(tmp_path, fields={"text": "note", "images": ("views", "image")})
    assert pictures(corpus) == [[png(n + 1000), png(n + 2000), png(n)] for n in range(3)]
    first = samples(corpus)[0]
    path = "data-00000-of-00001.arrow"
    assert [image["uri"] for image in first["images"]] == [
        f"{path}#0/views/0", f"{path}#0/views/1", f"{path}#0/image/0",
    ]  # fmt: skip


def test_splits_of_a_dict_are_its_folders_and_of_a_set_what_was_loaded(tmp_path: Path) -> None:
    library = datasets_library()
    save(library.DatasetDict({"train": film(2), "test": film(2, 10)}), tmp_path / "both")
    rows = samples(corpus_of(tmp_path / "both"))
    assert [row["split"] for row in rows] == ["test", "test", "train", "train"]
    alone = film(2)
    alone._split = library.NamedSplit("validation[:10%]")
    save(alone, tmp_path / "alone")
    assert [row["split"] for row in samples(corpus_of(tmp_path / "alone"))] == ["validation", "validation"]
    save(film(2), tmp_path / "plain")
    assert [row["split"] for row in samples(corpus_of(tmp_path / "plain"))] == [None, None]


def test_caches_beside_the_data_are_no_records(tmp_path: Path) -> None:
    save(film(5), tmp_path)
    library = datasets_library()
    library.load_from_disk(str(tmp_path)).map(lambda row: {"note": "cached " + row["note"]})
    assert list(tmp_path.glob("cache-*.arrow"))
    assert [record.row["note"] for record in read(corpus_of(tmp_path))] == [f"note {n}" for n in range(5)]


def test_a_missing_data_file_is_an_error(tmp_path: Path) -> None:
    save(film(10), tmp_path, num_shards=3)
    (tmp_path / "data-00001-of-00003.arrow").unlink()
    with pytest.raises(CorpusError, match=r"1 of 3 data files that state\.json names are not there"):
        planned(corpus_of(tmp_path))


@pytest.mark.parametrize("key", ["_indices_files", "_indices_data_files"])
def test_a_selection_of_rows_saved_beside_them_is_refused(tmp_path: Path, key: str) -> None:
    save(film(3), tmp_path)
    state = orjson.loads((tmp_path / "state.json").read_bytes())
    (tmp_path / "state.json").write_bytes(orjson.dumps({**state, key: [{"filename": "indices.arrow"}]}))
    with pytest.raises(CorpusError, match=r"flatten_indices\(\)"):
        planned(corpus_of(tmp_path))


def test_a_selection_that_datasets_saves_today_is_read_in_its_order(tmp_path: Path) -> None:
    save(film(9).select([8, 1, 1, 4]), tmp_path)
    assert [record.row["note"] for record in read(corpus_of(tmp_path))] == ["note 8", "note 1", "note 1", "note 4"]


@pytest.mark.parametrize("cut", [0, 5, 100, -100, -5])
def test_a_file_that_is_cut_off_is_an_error_that_names_it(tmp_path: Path, cut: int) -> None:
    save(film(20), tmp_path)
    path = tmp_path / "data-00000-of-00001.arrow"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CorpusError, match=r"data-00000-of-00001\.arrow: is (cut off|not an Arrow)"):
        planned(corpus_of(tmp_path))


def test_columns_that_cannot_be_read_are_refused_where_mapped_and_passed_over_where_not(tmp_path: Path) -> None:
    library = datasets_library()
    features = library.Features({"note": library.Value("string"), "sound": library.Audio(decode=False)})
    sound = pa.array([{"bytes": b"RIFF", "path": None}], features.arrow_schema.field("sound").type)
    write(tmp_path, pa.table({"note": ["a"], "sound": sound}).replace_schema_metadata(features.arrow_schema.metadata))
    assert len(read(corpus_of(tmp_path, fields={"text": "note"}))) == 1
    with pytest.raises(CorpusError, match="column 'sound' holds Audio, which is not read"):
        planned(corpus_of(tmp_path, fields={"text": "note", "image": "sound"}))
    with pytest.raises(CorpusError, match="did you mean 'note'"):
        planned(corpus_of(tmp_path, fields={"text": "notes"}))


def test_pictures_mapped_to_text_are_refused(tmp_path: Path) -> None:
    save(film(2), tmp_path)
    with pytest.raises(CorpusError, match="column 'image' holds bytes, which are no text: map it to `image`"):
        planned(corpus_of(tmp_path, fields={"text": "image"}))


def test_a_picture_without_bytes_is_the_file_beside_the_set_or_is_missing(tmp_path: Path) -> None:
    library = datasets_library()
    features = library.Features({"note": library.Value("string"), "image": library.Image()})
    rows = [{"bytes": None, "path": "a.png"}, None, {"bytes": png(1), "path": "a.png"}]
    table = pa.table({"note": ["a", "b", "c"], "image": pa.array(rows, features.arrow_schema.field("image").type)})
    dataset = library.Dataset(table.replace_schema_metadata(features.arrow_schema.metadata))
    dataset._info.features = features
    with (
        (tmp_path / "data-00000-of-00001.arrow").open("wb") as file,
        pa.ipc.new_stream(file, dataset.data.table.schema) as to,
    ):
        to.write_table(dataset.data.table)
    (tmp_path / "state.json").write_bytes(orjson.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    found = [record.row[PICTURE] for record in read(corpus_of(tmp_path, images="pictures"))]
    assert found == [["pictures/a.png"], [], ["data-00000-of-00001.arrow#2/image/0"]]


def test_a_label_that_has_no_name_is_the_only_record_lost(tmp_path: Path) -> None:
    library = datasets_library()
    features = library.Features({"note": library.Value("string"), "label": library.ClassLabel(names=["a", "b"])})
    table = pa.table({"note": ["x"] * 4, "label": [1, 7, -1, None]}).replace_schema_metadata(
        features.arrow_schema.metadata
    )
    write(tmp_path, table)
    records = read(corpus_of(tmp_path, fields={"text": "note"}, meta=("label",)))
    assert [type(record) for record in records] == [Record, Unreadable, Record, Record]
    assert [record.row["label"] for record in records if isinstance(record, Record)] == ["b", None, None]


def write(folder: Path, table: pa.Table, rows: int = 1000) -> None:
    """A saved set that Arrow itself writes."""
    with (folder / "data-00000-of-00001.arrow").open("wb") as file, pa.ipc.new_stream(file, table.schema) as to:
        to.write_table(table, max_chunksize=rows)
    (folder / "state.json").write_bytes(orjson.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))


def test_a_row_whose_text_is_not_utf8_is_the_only_one_lost(tmp_path: Path) -> None:
    notes = pa.array([b"a", b"\xff\xfe", b"c"], pa.binary()).view(pa.string())
    write(tmp_path, pa.table({"note": notes}))
    first, lost, last = read(corpus_of(tmp_path, fields={"text": "note"}))
    assert isinstance(first, Record)
    assert isinstance(last, Record)
    assert lost == Unreadable("1", Reason.RECORD_ENCODING, "not UTF-8")


def test_offsets_that_lead_out_of_a_damaged_batch_lose_rows_and_not_the_process(tmp_path: Path) -> None:
    write(tmp_path, pa.table({"note": [f"{n:04}" for n in range(100)]}))
    path = tmp_path / "data-00000-of-00001.arrow"
    data = bytearray(path.read_bytes())
    offsets = b"".join(n.to_bytes(4, "little") for n in range(0, 404, 4))
    at = data.index(offsets)
    data[at + 200 : at + 204] = (2**30).to_bytes(4, "little")
    path.write_bytes(data)
    records = read(corpus_of(tmp_path, fields={"text": "note"}))
    lost = [record for record in records if isinstance(record, Unreadable)]
    assert len(records) == 100
    assert 0 < len(lost) <= 2
    assert {record.detail for record in lost} == {"its Arrow values are damaged"}


@pytest.mark.parametrize("batch", [7, 300, 4096, 9000])
def test_every_row_is_read_once_whatever_the_batches(tmp_path: Path, batch: int) -> None:
    write(tmp_path, pa.table({"note": [f"note {n}" for n in range(9000)]}), batch)
    corpus = corpus_of(tmp_path, fields={"text": "note"})
    assert all(fragment.records <= FRAGMENT_RECORDS for fragment in planned(corpus))
    assert [(record.key, record.row["note"]) for record in read(corpus)] == [(str(n), f"note {n}") for n in range(9000)]


def test_fragments_can_be_read_in_any_order(tmp_path: Path) -> None:
    write(tmp_path, pa.table({"note": [f"note {n}" for n in range(9000)]}), 9000)
    corpus = corpus_of(tmp_path, fields={"text": "note"})
    reader = reader_named("hf")
    first, second, third = planned(corpus)
    for fragment in (second, first, third, second):
        keys = [record.key for record in reader.read(corpus, fragment)]
        assert keys == [str(n) for n in range(fragment.first_row, fragment.first_row + fragment.records)]


def test_a_file_that_changed_after_planning_is_refused(tmp_path: Path) -> None:
    save(film(3), tmp_path)
    corpus = corpus_of(tmp_path)
    [fragment] = planned(corpus)
    save(film(4), tmp_path)
    with pytest.raises(ChangedInputError):
        list(reader_named("hf").read(corpus, fragment))
    with pytest.raises(ChangedInputError):
        reader_named("hf").open_picture(corpus, fragment, f"{fragment.path}#0/image/0")


def test_another_split_for_the_same_bytes_is_another_fragment(tmp_path: Path) -> None:
    save(film(3), tmp_path)
    [before] = planned(corpus_of(tmp_path))
    state = orjson.loads((tmp_path / "state.json").read_bytes())
    (tmp_path / "state.json").write_bytes(orjson.dumps({**state, "_split": "test"}))
    [after] = planned(corpus_of(tmp_path))
    assert after.digest != before.digest


@pytest.mark.parametrize("name", ["9/image/0", "0/image/1", "0/note/0", "0/other/0", "x/image/0", ""])
def test_a_picture_that_the_fragment_has_not_is_not_found(tmp_path: Path, name: str) -> None:
    save(film(3), tmp_path)
    corpus = corpus_of(tmp_path)
    [fragment] = planned(corpus)
    with pytest.raises(FileNotFoundError):
        reader_named("hf").open_picture(corpus, fragment, f"{fragment.path}#{name}")


def test_a_keyed_set_stores_no_name_and_the_split_only(tmp_path: Path) -> None:
    save(film(1), tmp_path / "Smith_John")
    corpus = corpus_in(
        tmp_path, "hf", "**/*.arrow", fields={**FIELDS, "id": "note"}, task="caption", identifiers="keyed"
    )
    [fragment] = planned(corpus)
    [record] = reader_named("hf").read(corpus, fragment)
    assert isinstance(record, Record)
    sample = to_sample(corpus, fragment.path, record, PROMPTS)
    assert "Smith" not in str({**sample, "turns": []})
    assert sample["images"][0]["uri"] == corpus.identity.name("path", record.row[PICTURE][0])
    assert "Smith" not in fragment.digest


LARGE = """
import resource, sys
from pathlib import Path
from tests.sources.test_hf import PICTURE, corpus_of, datasets_library, planned, reader_named
corpus = corpus_of(Path(sys.argv[1]))
reader = reader_named("hf")
datasets_library()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = count = 0
for fragment in planned(corpus):
    assert fragment.size < 20 * 2**20, fragment.size
    for record in reader.read(corpus, fragment):
        total += sum(len(reader.open_picture(corpus, fragment, uri)) for uri in record.row[PICTURE])
        count += 1
print(count, total, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_is_bounded_by_a_fragment_where_a_batch_is_much_larger(tmp_path: Path) -> None:
    library = datasets_library()
    features = library.Features({"note": library.Value("string"), "image": library.Image()})
    body = bytes(range(256)) * 8192  # 2 MiB
    table = pa.table(
        {
            "note": [f"note {n}" for n in range(100)],
            "image": pa.array([{"bytes": body, "path": None}] * 100, features.arrow_schema.field("image").type),
        }
    ).replace_schema_metadata(features.arrow_schema.metadata)
    write(tmp_path, table)
    assert (tmp_path / "data-00000-of-00001.arrow").stat().st_size > 200 * 2**20
    done = subprocess.run([sys.executable, "-c", LARGE, str(tmp_path)], capture_output=True, text=True, check=True)
    count, total, grown_mib = map(int, done.stdout.split())
    assert (count, total) == (100, 100 * len(body))
    assert grown_mib < 64


def test_naming_the_reader_does_not_import_datasets() -> None:
    script = "import sys, sources.readers.registry as r; r.reader_named('hf'); print('datasets' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
