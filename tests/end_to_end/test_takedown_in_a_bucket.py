"""A takedown from a run that lies in a bucket: what it leaves is what one on a disk leaves, byte for byte."""

from pathlib import Path

import pytest

from pipelines.takedown.remove import remove
from shards.verify import verify_shards
from sources.storage import LocalFolder, folder_at
from tests.end_to_end.runs import curate_json, published
from tests.end_to_end.takedowns import corpus, everything_in, listed, words
from tests.object_store.server import S3Server, s3_server, use

RUN = "runs/mid"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> S3Server:
    with s3_server() as server:
        use(monkeypatch, server.environment())
        yield server


def test_a_run_in_a_bucket_ends_as_one_on_a_disk(server: S3Server, tmp_path: Path) -> None:
    run, fetched = tmp_path / "run", tmp_path / "fetched"
    curate_json("build", *corpus(tmp_path), "--out", run)
    for path in run.rglob("*"):
        if path.is_file():
            server.put(f"{RUN}/{path.relative_to(run).as_posix()}", path.read_bytes())
    entries = listed(tmp_path, "patient,PAT-0", "source,stacks", "article,PMC2")
    there = remove(folder_at(f"s3://corpora/{RUN}"), entries, "opt-out")
    here = remove(LocalFolder(run), entries, "opt-out")
    assert {**there, "run": ""} == {**here, "run": ""}
    for key, data in server.keys(RUN).items():
        place = fetched / key.removeprefix(f"{RUN}/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    assert published(fetched) == published(run)
    assert (fetched / "removed.json").read_bytes() == (run / "removed.json").read_bytes()
    assert words("film", 0).encode() not in everything_in(fetched)
    assert words("film", 3).encode() in everything_in(fetched)
    assert verify_shards(folder_at(f"s3://corpora/{RUN}/shards"), 1) == []
    assert remove(folder_at(f"s3://corpora/{RUN}"), entries)["nothing_left"]
    assert server.unfinished() == []
