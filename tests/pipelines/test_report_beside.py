from pathlib import Path

import orjson

from pipelines.report.beside import companions
from pipelines.report.parts import published_parts
from pipelines.report.survey import surveyed
from shards.manifest import Manifest, Mixture, ShardEntry
from sources.cards import catalogue
from sources.storage import LocalFolder
from tests.pipelines.report_runs import Made, MadeRun

HOME = catalogue()["roco"].home


def files_of(run: MadeRun) -> dict[str, bytes]:
    folder = LocalFolder(run.place)
    entry = ShardEntry(name="mid-roco-000000.tar", sha256="0" * 64, bytes=10_240, samples=1, tokens=20,
                       first_key="1" * 32, last_key="1" * 32)  # fmt: skip
    manifest = Manifest(build="b", stage="mid", tokenizer="t", context_tokens=1, shards=(entry,),
                        mixture=Mixture(seed=0, epochs=1, weights={"roco": 1.0}))  # fmt: skip
    return companions(run.run, manifest, surveyed(folder, published_parts(folder)))


def test_a_public_source_of_the_catalogue_is_named_with_its_home(tmp_path: Path) -> None:
    files = files_of(MadeRun(tmp_path, [[Made("1" * 32, source="roco")]], [[]]).write())
    assert HOME
    assert all(HOME in data.decode() for data in files.values())
    assert set(files) == {"README.md", "croissant.json"}


def test_of_a_keyed_source_there_is_the_name_and_no_more(tmp_path: Path) -> None:
    run = MadeRun(tmp_path, [[Made("1" * 32, source="roco")]], [[]], keyed=("roco",)).write()
    for data in files_of(run).values():
        assert "roco" in data.decode()
        assert HOME not in data.decode()


def test_the_files_are_the_same_from_a_run_in_memory_and_from_one_that_was_read_back(tmp_path: Path) -> None:
    run = MadeRun(tmp_path, [[Made("1" * 32, source="roco")]], [[]]).write()
    before = files_of(run)
    run.run = orjson.loads(orjson.dumps(run.run, option=orjson.OPT_SORT_KEYS))
    assert files_of(run) == before
