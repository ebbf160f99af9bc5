"""An inventory is believed for what there is, and its word is compared with the objects when they are read."""

import gzip
import pickle
from base64 import b64encode
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

FOLDER_MARKS = ("pics/deep/", "pics/empty/", "lines/")
"""Empty objects that consoles and tools put down for folders; no listing of ours names them."""
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


def csv_of_google(table: pl.DataFrame, place: Path) -> Path:
    """As Storage Insights writes it: the ETag of another interface, the MD5 in base64, none of composite objects."""
    lines = ["bucket,name,size,etag,md5Hash\n"]
    for number, row in enumerate(table.to_dicts()):
        etag = row["etag"].strip('"')
        md5 = b64encode(bytes.fromhex(etag)).decode()
        lines.append(
            f'corpora,"{row["path"]}",{row["size"]},' + (f"{etag},\n" if number == 0 else f"CKih16Gjyc=,{md5}\n")
        )
    (place / "google.csv").write_text("".join(lines))
    return place / "google.csv"


def csv_of_md5s_alone(table: pl.DataFrame, place: Path) -> Path:
    md5 = (
        pl.col("etag")
        .str.strip_chars('"')
        .map_elements(lambda etag: b64encode(bytes.fromhex(etag)).decode(), pl.String)
    )
    table.select("path", "size", md5Hash=md5).write_parquet(place / "md5.parquet")
    return place / "md5.parquet"


@pytest.mark.parametrize("form", [csv_of_ours, parquet_with_urls, csv_of_aws, csv_of_google, csv_of_md5s_alone])
def test_in_every_form_it_lists_what_the_bucket_lists(
    filled: BucketFolder, proxy: FaultProxy, server: S3Server, tmp_path: Path, form: object
) -> None:
    assert callable(form)
    for mark in FOLDER_MARKS:
        server.put(f"{filled.prefix}/{mark}", b"")
    file = form(pl.DataFrame(rows(server, filled)), tmp_path)
    proxy.clear()
    (listed,) = with_inventory([filled], file)
    assert isinstance(listed, InventoryFolder)
    assert listed.exists()
    assert listed.has_folder("pics/deep")
    assert not listed.has_folder("pic")
    everything = listed.names(), sorted(listed.files(), key=repr), sorted(listed.files("pics"), key=repr)
    answers = [listed.listing(patterns) for patterns in (["**/*"], ["pics/*.png"], ["*/1.jsonl", "lines/1.jsonl"])]
    stats = [listed.stat(path) for path in (*PATHS, "none", "../x")]
    assert proxy.requests.total() == 0
    assert everything == (
        ["lines", "other", "pics"], sorted(filled.files(), key=repr), sorted(filled.files("pics"), key=repr)
    )  # fmt: skip
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


def lists(proxy: FaultProxy) -> list[str]:
    """The listings that were asked for, but for the look whether the bucket answers at all."""
    return [path for _, path, _ in proxy.log if "list-type" in path and "curate-is-there" not in path]


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


@pytest.mark.parametrize("path", ["../lines/*.jsonl", "../lines/1.jsonl", "pics/../../x.jsonl"])
def test_a_path_that_leads_out_of_the_data_root_is_told_with_and_without_an_inventory(
    filled: BucketFolder, server: S3Server, tmp_path: Path, path: str
) -> None:
    (listed,) = with_inventory([filled], csv_of_ours(pl.DataFrame(rows(server, filled)), tmp_path))
    for root in (filled, listed):
        with pytest.raises(CorpusError, match=r"leads out of the data root; .* as --data") as error:
            corpus(root, "jsonl", path, path)
        assert path in str(error.value)
        assert root.glob([path]) == []


ARTICLE = b"""<article><front><article-meta><article-id pub-id-type="pmc">1</article-id></article-meta></front><body>
<fig id="F1"><caption><p>A hand.</p></caption><graphic xlink:href="figures/hand" xmlns:xlink="x"/></fig></body>
</article>
"""


def test_articles_are_planned_without_a_listing(
    folder: BucketFolder, proxy: FaultProxy, server: S3Server, tmp_path: Path
) -> None:
    folder.write("PMC1/PMC1.nxml", ARTICLE)
    folder.write("PMC1/figures/hand.png", b"x")
    reader = reader_named("nxml")
    card = Card(name="test", reader="nxml", layout=Layout(files=("**/*.nxml",)), task="caption", access="open",
                fields={"text": "caption"})  # fmt: skip
    plain = find_corpus(card, "test", [folder], Identity("test"))
    assert plain is not None
    expected = list(reader.plan(plain, plain.files))
    assert lists(proxy)
    (listed,) = with_inventory([folder], csv_of_ours(pl.DataFrame(rows(server, folder)), tmp_path))
    proxy.clear()
    found = find_corpus(card, "test", [listed], Identity("test"))
    assert found is not None
    assert list(reader.plan(found, found.files)) == expected
    assert lists(proxy) == []


def test_a_data_set_of_hugging_face_is_planned_and_read_by_workers_without_a_listing(
    folder: BucketFolder, proxy: FaultProxy, server: S3Server, tmp_path: Path
) -> None:
    pytest.importorskip("datasets")
    for split in ("train", "test"):
        pl.DataFrame({"id": ["1"], "text": [split]}).write_parquet(tmp_path / "part.parquet")
        folder.write(f"data/{split}-00000-of-00001.parquet", (tmp_path / "part.parquet").read_bytes())
    folder.write("README.md", b"# A data set")
    reader = reader_named("hf")
    card = Card(name="test", reader="hf", layout=Layout(files=("**/*.parquet",)), task="text", access="open",
                fields={"id": "id", "text": "text"})  # fmt: skip

    def read(root: Folder) -> list[object]:
        found = find_corpus(card, "test", [root], Identity("test"))
        assert found is not None
        elsewhere = pickle.loads(pickle.dumps(found))  # as a worker has it
        fragments = list(reader.plan(elsewhere, found.files))
        return [fragments, *(record for part in fragments for record in reader.read(elsewhere, part))]

    expected = read(folder)
    assert len(expected) == 3
    assert lists(proxy)
    (listed,) = with_inventory([folder], csv_of_ours(pl.DataFrame(rows(server, folder)), tmp_path))
    proxy.clear()
    assert read(listed) == expected
    assert lists(proxy) == []
