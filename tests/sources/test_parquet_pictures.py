import io
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sources.mapping import to_sample
from sources.readers import parquet, parquet_pictures
from sources.readers.parquet import ParquetReader
from sources.records import FRAGMENT_BYTES, Corpus, CorpusError, Record, Unreadable
from sources.storage import TooLargeError
from sources.uris import PICTURE
from tests.sources.corpora import PROMPTS, corpus_in, planned, read, samples
from tests.sources.packed_files import png

HF = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def corpus_of(folder: Path, table: pa.Table, group_rows: int = 100, **card: Any) -> Corpus:
    pq.write_table(table, folder / "a.parquet", row_group_size=group_rows)
    return corpus_in(folder, "parquet", "a.parquet", **{"task": "caption", **card})


def pictures(corpus: Corpus) -> list[list[bytes | str]]:
    """The pictures of every record: their bytes, or the path of a file."""
    reader = ParquetReader()
    found: list[list[bytes | str]] = []
    for fragment in planned(corpus):
        for record in reader.read(corpus, fragment):
            assert isinstance(record, Record)
            uris = [image["uri"] for image in to_sample(corpus, fragment.path, record, PROMPTS)["images"]]
            found.append([reader.open_picture(corpus, fragment, uri) if "#" in uri else uri for uri in uris])
    return found


def hf(number: int | None, path: str | None = None) -> dict[str, Any]:
    return {"bytes": None if number is None else png(number), "path": path}


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_a_column_of_bytes_holds_the_pictures(tmp_path: Path, kind: pa.DataType) -> None:
    table = pa.table({"image": pa.array([png(0), None, png(2)], kind), "caption": ["a", "b", "c"]})
    assert pictures(corpus_of(tmp_path, table)) == [[png(0)], [], [png(2)]]


def test_without_bytes_the_path_beside_them_is_a_file_of_the_corpus(tmp_path: Path) -> None:
    rows = [hf(0, "0.png"), hf(None, "1.png"), hf(None, None), None]
    table = pa.table({"image": pa.array(rows, HF), "caption": list("abcd")})
    assert pictures(corpus_of(tmp_path, table, images="files")) == [[png(0)], ["files/1.png"], [], []]
    assert pictures(corpus_of(tmp_path, table)) == [[png(0)], ["1.png"], [], []]


@pytest.mark.parametrize(
    ("kind", "wrap"),
    [
        (pa.list_(HF), hf),
        (pa.large_list(pa.binary()), lambda number: hf(number)["bytes"]),
    ],
)
def test_a_list_holds_several_in_order_and_places_without_picture_are_passed_over(
    tmp_path: Path, kind: pa.DataType, wrap: Any
) -> None:
    rows = [[wrap(0), wrap(1)], [], None, [wrap(2), None, wrap(3)]]
    table = pa.table({"images": pa.array(rows, kind), "caption": list("abcd")})
    corpus = corpus_of(tmp_path, table, group_rows=2)
    assert pictures(corpus) == [[png(0), png(1)], [], [], [png(2), png(3)]]
    [*_, last] = read(corpus)
    assert isinstance(last, Record)
    assert last.row[PICTURE] == ["a.parquet#3/images/0", "a.parquet#3/images/2"]


def test_several_columns_are_the_pictures_of_one_sample(tmp_path: Path) -> None:
    table = pa.table({"left": [png(0), png(1)], "right": [png(2), None], "caption": ["a", "b"]})
    corpus = corpus_of(tmp_path, table, fields={"image": ("left", "right"), "text": "caption"})
    assert pictures(corpus) == [[png(0), png(2)], [png(1)]]


def test_a_dataset_that_datasets_saved_as_parquet_is_read_as_datasets_reads_it(tmp_path: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "caption": datasets.Value("string")})
    rows = {"image": [hf(n, f"{n}.png") for n in range(5)], "caption": [f"Caption {n}." for n in range(5)]}
    saved = datasets.Dataset.from_dict(rows, features=features)
    saved.to_parquet(str(tmp_path / "a.parquet"))
    corpus = corpus_in(tmp_path, "parquet", "a.parquet", task="caption", fields={"image": "image", "text": "caption",
                                                                                "id": "image.path"})  # fmt: skip
    theirs = [row["image"].tobytes() for row in saved]
    ours = [Image.open(io.BytesIO(own)).tobytes() for [own] in pictures(corpus) if isinstance(own, bytes)]
    assert ours == theirs
    assert [sample["source_key"] for sample in samples(corpus)] == [f"a.parquet#{n}.png" for n in range(5)]


def test_a_file_of_pictures_alone_has_a_record_a_row(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, pa.table({"image": [png(0), png(1)]}))
    assert pictures(corpus) == [[png(0)], [png(1)]]


def test_bytes_never_reach_the_row_of_a_record(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, pa.table({"image": pa.array([hf(0, "0.png")], HF), "caption": ["a"]}))
    [record] = read(corpus)
    assert isinstance(record, Record)
    assert record.row == {"caption": "a", "image": {"path": "0.png"}, PICTURE: ["a.parquet#0/image/0"]}


@pytest.mark.parametrize("fields", [{"text": "image"}, {"text": "image.bytes"}])
def test_bytes_mapped_to_text_are_refused(tmp_path: Path, fields: dict[str, str]) -> None:
    table = pa.table({"image": pa.array([hf(0)], HF)})
    with pytest.raises(CorpusError, match="column 'image' holds bytes, which are no text: map it to `image`"):
        planned(corpus_of(tmp_path, table, fields=fields))


@pytest.mark.parametrize(
    "name", ["a.parquet#7/image/0", "a.parquet#0/caption/0", "a.parquet#0/image/1", "a.parquet#x/image/0", "a.parquet#"]
)
def test_an_inner_name_that_is_not_there_is_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    corpus = corpus_of(tmp_path, pa.table({"image": pa.array([hf(0)], HF), "caption": ["a"]}))
    [fragment] = planned(corpus)
    with pytest.raises(FileNotFoundError):
        ParquetReader().open_picture(corpus, fragment, name)


def test_a_picture_above_the_limit_is_too_large_as_a_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = corpus_of(tmp_path, pa.table({"image": [png(0)]}))
    [fragment] = planned(corpus)
    monkeypatch.setattr(parquet_pictures, "MAX_READ_BYTES", 100)
    with pytest.raises(TooLargeError):
        ParquetReader().open_picture(corpus, fragment, "a.parquet#0/image/0")


def test_another_picture_is_another_digest(tmp_path: Path) -> None:
    before, after = (
        planned(corpus_of(tmp_path, pa.table({"image": [png(0), png(number)]})))[0].digest for number in (1, 2)
    )
    assert before != after


@pytest.mark.parametrize("group_rows", [1, 4, 30])
def test_pictures_are_the_same_however_the_file_is_cut_and_in_whatever_order_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group_rows: int
) -> None:
    table = pa.table({"image": [png(n) for n in range(30)], "caption": [f"{n}" for n in range(30)]})
    corpus = corpus_of(tmp_path, table, group_rows)
    expected = [[png(n)] for n in range(30)]
    assert pictures(corpus) == expected
    monkeypatch.setattr(parquet, "FRAGMENT_BYTES", 40_000)
    fragments = planned(corpus)
    assert len(fragments) > 5
    assert pictures(corpus) == expected
    for fragment in (fragments[3], fragments[1], fragments[4], fragments[3]):
        row = fragment.first_row
        assert ParquetReader().open_picture(corpus, fragment, f"a.parquet#{row}/image/0") == png(row)


def test_a_damaged_page_of_pictures_costs_its_rows(tmp_path: Path) -> None:
    table = pa.table({"image": [png(n) for n in range(8)], "caption": [f"{n}" for n in range(8)]})
    corpus = corpus_of(tmp_path, table, 4)
    path = tmp_path / "a.parquet"
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    data = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data[start : start + 60] = b"\xff" * 60
    path.write_bytes(data)
    records = read(corpus)
    assert [type(record) for record in records] == [Unreadable] * 4 + [Record] * 4
    [fragment] = planned(corpus)
    assert ParquetReader().open_picture(corpus, fragment, "a.parquet#5/image/0") == png(5)


def test_a_large_row_group_is_read_in_pieces_where_its_pages_are_small(tmp_path: Path) -> None:
    """256 MiB of pictures in one row group; what Arrow holds at once stays at a fragment or two."""
    rows, side = 256, 2**20
    schema = pa.schema([("image", pa.binary()), ("caption", pa.string())])
    with pq.ParquetWriter(tmp_path / "a.parquet", schema, use_dictionary=False, write_batch_size=4) as writer:
        content = [bytes([number % 256]) * side for number in range(rows)]
        writer.write_table(pa.table({"image": content, "caption": ["x"] * rows}, schema), row_group_size=rows)
    del content
    corpus = corpus_in(tmp_path, "parquet", "a.parquet", task="caption")
    pool, most = pa.default_memory_pool(), 0
    before = pool.bytes_allocated()
    fragments = planned(corpus)
    assert len(fragments) >= 16
    reader = ParquetReader()
    for fragment in fragments:
        for record in reader.read(corpus, fragment):
            data = reader.open_picture(corpus, fragment, record.row[PICTURE][0])  # type: ignore[union-attr]
            assert data == bytes([int(record.key) % 256]) * side
            most = max(most, pool.bytes_allocated() - before)
    assert most < 5 * FRAGMENT_BYTES
