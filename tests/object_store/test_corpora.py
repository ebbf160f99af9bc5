"""The same cards read a corpus from a folder, from a bucket, from the hub, and with its pictures in a zip."""

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.check_source import check_source
from pipelines.errors import CurateError
from sources.storage import BucketFolder, Folder, LocalFolder, folder_at
from sources.storage import hub as hub_module
from tests.sources.corpora_fixtures import MAKERS
from tests.sources.hub_server import COMMIT, REPOSITORY, Hub, serving
from tests.sources.test_packed_corpora import PACKERS
from tests.sources.test_pictures_in_zips import pack

NAMES = ("path_vqa", "pmc_oa_jsonl", "slake", "biomedica", "mimic_cxr_jpg", "pmc_oa")
PLACE = f"hf://datasets/{REPOSITORY}@{COMMIT}"


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    for name in NAMES:
        MAKERS[name](tmp_path / "corpora")
    pack(tmp_path / "corpora", "pmc_oa_jsonl")
    (tmp_path / "site.key").write_text("a site key of a test")
    return tmp_path / "corpora"


@pytest.fixture
def hub(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    hub_module._tree.cache_clear()
    with serving(corpora) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server
    hub_module._tree.cache_clear()


def checked(corpora: Path, root: Folder, name: str) -> dict[str, Any]:
    found = check_source(name, [root], corpora.parent / "site.key")
    return {key: value for key, value in found.items() if key != "where"}


def test_a_corpus_in_a_bucket_is_the_corpus_on_disk(corpora: Path, folder: BucketFolder) -> None:
    for path in corpora.rglob("*"):
        if path.is_file():
            folder.write(path.relative_to(corpora).as_posix(), path.read_bytes())
    for name in NAMES:
        on_disk = checked(corpora, LocalFolder(corpora), name)
        assert on_disk["pictures"]["missing"] == 0
        assert checked(corpora, folder, name) == on_disk


@pytest.mark.parametrize(
    ("name", "suffix"), [("slake", ".zip"), ("path_vqa", ".tar"), ("mimic_cxr_jpg", ".tgz"), ("slake", ".json.gz")]
)
def test_archives_in_a_bucket_are_read_where_they_are(
    name: str, suffix: str, tmp_path: Path, folder: BucketFolder
) -> None:
    plain, inside = tmp_path / "plain", tmp_path / "inside"
    (tmp_path / "site.key").write_text("a site key of a test")
    for data in (plain, inside):
        MAKERS[name](data)
    [top] = [path.name for path in inside.iterdir()]
    if suffix == ".json.gz":
        for path in sorted(inside.rglob("*.json")):
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    else:
        PACKERS[suffix](inside / top, inside / f"{top}{suffix}", "" if suffix == ".tar" else f"{top}/")
        shutil.rmtree(inside / top)
    for path in inside.rglob("*"):
        if path.is_file():
            folder.write(path.relative_to(inside).as_posix(), path.read_bytes())
    on_disk = checked(plain, LocalFolder(plain), name)
    assert on_disk["pictures"]["missing"] == 0
    assert checked(plain, folder, name) == on_disk


@pytest.mark.usefixtures("hub")
def test_a_corpus_on_the_hub_is_the_corpus_on_disk(corpora: Path) -> None:
    for name in ("path_vqa", "pmc_oa_jsonl"):
        assert checked(corpora, folder_at(PLACE), name) == checked(corpora, LocalFolder(corpora), name)


def test_a_gated_corpus_says_what_to_accept_and_where_a_token_goes(corpora: Path, hub: Hub) -> None:
    hub.gated, hub.token = True, "hf_secret"
    with pytest.raises(CurateError, match="is gated") as error:
        checked(corpora, folder_at(PLACE), "biomedica")
    assert "HF_TOKEN" in error.value.hint
    assert "Accept the terms of BIOMEDICA/biomedica_webdataset_24M" in error.value.hint
