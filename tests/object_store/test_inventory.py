"""An inventory is believed for what there is, and its word is compared with the objects when they are read."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from sources.cards import Card, Layout
from sources.find import find_corpus
from sources.identity import Identity
from sources.readers.registry import reader_named
from sources.records import ChangedInputError, Corpus, CorpusError
from sources.storage import BucketFolder, Folder, InventoryFolder
from sources.storage.inventory import with_inventory
from sources.storage.inventory_file import InventoryError
from tests.object_store.fault_proxy import FaultProxy
from tests.object_store.server import S3Server

PATHS = ("pics/a.png", "pics/b c.png", "pics/deep/ü+%.png", "pics/.hidden/x.png", "lines/1.jsonl", "other/2.jsonl")


@pytest.fixture
def filled(folder: BucketFolder) -> BucketFolder:
    for path in PATHS:
        folder.write(path, b'{"id": "1", "text": "one"}\n')
    return folder


def rows(server: S3Server, folder: BucketFolder) -> list[dict[str, object]]:
    found = server.client().list_objects_v2(Bucket="corpora", Prefix=folder.prefix)["Contents"]
    return [{"path": row["Key"], "size": row["Size"], "etag": row["ETag"]} for row in found]


def csv_of_ours(table: pl.DataFrame, place: Path) -> Path:
    table.write_csv(place / "inventory.csv")
    return place / "inventory.csv"


def parquet_with_urls(table: pl.DataFrame, place: Path) -> Path:
    table.with_columns("s3://corpora/" + pl.col("path")).rename({"path": "Key", "etag": "ETag"}).write_parquet(
        place / "inventory.parquet"
    )
    return place / "inventory.parquet"


def csv_of_aws(table: pl.DataFrame, place: Path) -> Path:
    """As S3 Inventory writes it: no header, all quoted, keys as in URLs, compressed."""
    from urllib.parse import quote_plus

    lines = [
        f'"corpora","{quote_plus(row["path"], safe="/")}","{row["size"]}","2026-01-01T00:00:00.000Z",'
        f'"{row["etag"].strip(chr(34))}","STANDARD"\n'
        for row in table.to_dicts()
    ]
    elsewhere = '"another","x","1","2026-01-01T00:00:00.000Z","d41d8cd98f00b204e9800998ecf8427e","STANDARD"\n'
    (place / "inventory.csv.gz").write_bytes(gzip.compress("".join([*lines, elsewhere]).encode()))
    return place / "inventory.csv.gz"


@pytest.mark.parametrize("form", [csv_of_ours, parquet_with_urls, csv_of_aws])
def test_in_every_form_it_lists_what_the_bucket_lists(
    filled: BucketFolder, proxy: FaultProxy, server: S3Server, tmp_path: Path, form: object
) -> None:
    assert callable(form)
    file = form(pl.DataFrame(rows(server, filled)), tmp_path)
    proxy.clear()
    (listed,) = with_inventory([filled], file)
    assert isinstance(listed, InventoryFolder)
    assert listed.exists()
    assert listed.has_folder("pics/deep")
    assert not listed.has_folder("pic")
    answers = [listed.listing(patterns) for patterns in (["**/*"], ["pics/*.png"], ["*/1.jsonl", "lines/1.jsonl"])]
    stats = [listed.stat(path) for path in (*PATHS, "none", "../x")]
    assert proxy.requests.total() == 0
    assert answers == [filled.listing(p) for p in (["**/*"], ["pics/*.png"], ["*/1.jsonl", "lines/1.jsonl"])]
    assert stats == [filled.stat(path) for path in (*PATHS, "none", "../x")]
    assert listed.inside("pics").glob(["**/*.png"]) == filled.inside("pics").glob(["**/*.png"])
    assert listed.read("lines/1.jsonl") == filled.read("lines/1.jsonl")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("path,size\nx,1\n", "no column 'etag'"),
        ("", "no column 'path'"),
        ("path,size,etag\nx,many,e\n", "neither CSV nor Parquet"),
        ("path,size,etag\ns3://another/x,1,e\n", "lists nothing of s3://corpora"),
        ('"corpora","x","2026-01-01"\n', "Size and ETag"),
    ],
)
def test_what_is_wrong_with_an_inventory_is_said(folder: BucketFolder, tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "i.csv").write_text(content)
    with pytest.raises(InventoryError, match=told):
        with_inventory([folder], tmp_path / "i.csv")


def corpus(root: Folder, reader: str, files: str, path: str | None = None) -> Corpus | None:
    card = Card(
        name="test", reader=reader, layout=Layout(files=(files,)), task="caption", access="open",
        fields={"image": "image", "text": "text"} if reader == "image_folder" else {"id": "id", "text": "text"},
    )  # fmt: skip
    return find_corpus(card, "test", [root], Identity("test"), path)


def test_planning_a_folder_asks_for_no_file_and_reading_it_finds_what_changed(
    filled: BucketFolder, proxy: FaultProxy, server: S3Server, tmp_path: Path
) -> None:
    (listed,) = with_inventory([filled], csv_of_ours(pl.DataFrame(rows(server, filled)), tmp_path))
    proxy.clear()
    found = corpus(listed, "image_folder", "pics/**/*.png")
    assert found is not None
    reader = reader_named("image_folder")
    (fragment,) = reader.plan(found, found.files)
    assert len(fragment.files) == 3
    assert proxy.requests.total() <= 2  # whether there is metadata
    assert len(list(reader.read(found, fragment))) == 3
    import pickle

    elsewhere = pickle.loads(pickle.dumps(found))  # as a worker has it
    assert type(elsewhere.root) is BucketFolder
    assert len(list(reader.read(elsewhere, fragment))) == 3
    filled.write("pics/b c.png", b"changed")
    with pytest.raises(ChangedInputError):
        list(reader.read(elsewhere, fragment))


def test_planning_a_listed_bucket_asks_for_no_file_either(filled: BucketFolder, proxy: FaultProxy) -> None:
    found = corpus(filled, "image_folder", "pics/**/*.png")
    assert found is not None
    proxy.clear()
    assert [len(fragment.files) for fragment in reader_named("image_folder").plan(found, found.files)] == [3]
    assert proxy.requests.total() <= 2


def test_record_files_that_changed_or_went_since_the_inventory_are_an_error(
    filled: BucketFolder, server: S3Server, tmp_path: Path
) -> None:
    (listed,) = with_inventory([filled], csv_of_ours(pl.DataFrame(rows(server, filled)), tmp_path))
    assert corpus(listed, "jsonl", "lines/*.jsonl") is not None
    found = corpus(listed, "jsonl", f"{filled.place}/lines/*.jsonl", f"{filled.place}/lines/*.jsonl")
    assert found is not None
    assert found.files == ("1.jsonl",)
    filled.write("lines/1.jsonl", b'{"id": "2", "text": "two"}\n')
    with pytest.raises(CorpusError, match="not what the inventory says"):
        corpus(listed, "jsonl", "lines/*.jsonl")
    filled.delete("other/2.jsonl")
    with pytest.raises(CorpusError, match="not there any more"):
        corpus(listed, "jsonl", "other/*.jsonl")
