"""Other programs read the shards by the code that `docs/readers_of_shards.md` gives: same samples, same bytes."""

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.end_to_end.runs import curate_json
from tests.end_to_end.takedowns import corpus

PAGE = Path(__file__).parents[2] / "docs" / "readers_of_shards.md"
Members = dict[str, dict[str, str]]
"""Sample -> suffix -> sha256 of the member."""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of three sources, with and without pictures, in several tars, some held out."""
    place = tmp_path_factory.mktemp("readers")
    curate_json("build", *corpus(place), "--out", place / "run", "--set", "holdout.fraction=0.5")
    return place / "run" / "shards"


@pytest.fixture(scope="module")
def expected(shards: Path) -> Members:
    found: Members = {}
    for entry in manifest_of(shards)["shards"]:
        with tarfile.open(shards / entry["name"]) as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")
                file = tar.extractfile(member)
                assert file is not None
                found.setdefault(key, {})[suffix] = digest(file.read())
    return found


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def manifest_of(shards: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = orjson.loads((shards / "manifest.json").read_bytes())
    return manifest


def blocks(heading: str, shards: Path) -> list[str]:
    """The code under a heading of the page, for these shards."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [code.replace("RUN/shards", str(shards)) for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL)]


def test_webdataset_reads_the_same_samples_and_bytes(shards: Path, expected: Members) -> None:
    names: dict[str, Any] = {}
    plain, mixing = blocks("webdataset", shards)
    exec(plain, names)
    found = {
        sample["__key__"]: {name: digest(data) for name, data in sample.items() if not name.startswith("__")}
        for sample in names["samples"]
    }
    assert found == expected
    assert list(found) == list(expected)
    exec(mixing, names)
    manifest = manifest_of(shards)
    manifest["mixture"]["weights"] = {"films": 0.0, "reads": 3.0, "stacks": 1.0}
    stream = iter(names["mixed"](shards, manifest))
    drawn = Counter(orjson.loads(next(stream)["json"])["source"] for _ in range(1000))
    assert_shares(drawn, manifest)
    torch_data = pytest.importorskip("torch.utils.data")
    workers = iter(torch_data.DataLoader(names["mixed"](shards, manifest), batch_size=None, num_workers=2))
    assert len([next(workers)["__key__"] for _ in range(20)]) == 20  # however few tars a source has


def assert_shares(drawn: Counter[str], manifest: dict[str, Any]) -> None:
    """A thousand draws have the shares of samples times weight, give or take 6 in 100."""
    sizes: Counter[str] = Counter()
    for entry in manifest["shards"]:
        sizes[entry["name"].split("-")[1]] += entry["samples"]
    shares = {source: size * manifest["mixture"]["weights"][source] for source, size in sizes.items()}
    assert shares["films"] == 0 < shares["reads"]
    for source, share in shares.items():
        assert abs(drawn[source] / drawn.total() - share / sum(shares.values())) < 0.06, (drawn, shares)


def test_datasets_reads_the_same_samples_and_bytes(shards: Path, expected: Members, tmp_path: Path) -> None:
    plain, mixing = blocks("HF datasets", shards)
    script = f"""
import base64, hashlib, json, sys
{plain}
suffixes = [name for name, feature in rows.features.items() if type(feature).__name__ == "Image"]
for name in suffixes:
    rows = rows.cast_column(name, datasets.Image(decode=False))
found = {{}}
for row in rows:
    pictures = {{name: hashlib.sha256(row[name]["bytes"]).hexdigest() for name in suffixes if row[name]}}
    found[row["__key__"]] = {{"json": row["json"], **pictures}}
{mixing}
manifest = json.loads(open(shards + "/manifest.json").read())
manifest["mixture"]["weights"] = {{"films": 0.0, "reads": 3.0, "stacks": 1.0}}
drawn = [row["json"]["source"] for row in mixed(rows, manifest, 1)]
print(json.dumps({{"found": found, "drawn": drawn}}))
"""
    told = answer_of(sys.executable, script, tmp_path)
    contents = {key: members.pop("json") for key, members in told["found"].items()}
    pictures = {
        key: {name: value for name, value in members.items() if name != "json"} for key, members in expected.items()
    }
    assert told["found"] == pictures
    for content in contents.values():
        assert digest(orjson.dumps(content)) == expected[content["sample_id"]]["json"]
    assert "reads" in told["drawn"]
    assert "films" not in told["drawn"]


def answer_of(python: str, script: str, place: Path) -> Any:
    """What a script prints, in a process of its own: these libraries start threads and keep caches."""
    file = place / "script.py"
    file.write_text(script)
    environment = {
        **os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(place / "hf"), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_CACHE": str(place / "hf" / "datasets"),
    }  # fmt: skip
    done = subprocess.run([python, file], capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return orjson.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def energon() -> str:
    """A Python that has Megatron-Energon: this one, or the one `CURATE_ENERGON_PYTHON` names."""
    named = os.environ.get("CURATE_ENERGON_PYTHON")
    if named is not None:
        return named
    try:
        found = importlib.util.find_spec("megatron.energon") is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        pytest.skip("megatron-energon is not installed; CURATE_ENERGON_PYTHON may name a Python that has it")
    return sys.executable


def test_energon_reads_the_same_samples_and_bytes(
    shards: Path, expected: Members, energon: str, tmp_path: Path
) -> None:
    (code,) = blocks("Megatron-Energon", shards)
    script = f"""
{code}
import hashlib, itertools, json
found = {{
    sample["__key__"]: {{
        name: hashlib.sha256(data).hexdigest() for name, data in sample.items() if not name.startswith("__")
    }}
    for batch in batches
    for sample in batch
}}
drawn = [
    sample["__subflavors__"]["source"]
    for batch in itertools.islice(get_loader(for_ever), 300)
    for sample in batch
]
print(json.dumps({{"found": found, "drawn": drawn}}))
"""
    told = answer_of(energon, script, tmp_path)
    assert told["found"] == expected
    assert set(told["drawn"]) == {entry["name"].split("-")[1] for entry in manifest_of(shards)["shards"]}


def test_energon_lint_is_clean_without_energon_prepare(shards: Path, energon: str) -> None:
    command = [energon, "-c", "from megatron.energon.tools.lint import command; command()", shards]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stdout
    assert "Skipping empty split part val" not in done.stdout  # some are held out, and were looked at


def test_the_index_has_the_rows_that_energon_prepare_writes(shards: Path, energon: str, tmp_path: Path) -> None:
    script = f"""
import json, shutil, sqlite3, subprocess, sys
from pathlib import Path
shards, copy = Path({str(shards)!r}), Path({str(tmp_path / "copy")!r})
copy.mkdir()
for tar in shards.glob("*.tar"):
    shutil.copy(tar, copy)
from megatron.energon.tools.prepare import command
command([str(copy), "--non-interactive", "--split-parts", "train:.*", "--num-workers", "1", "--no-progress",
         "--sample-type", "CrudeWebdataset"], standalone_mode=False)
def rows(place):
    names = list(json.loads((place / ".nv-meta" / ".info.json").read_bytes())["shard_counts"])
    database = sqlite3.connect(place / ".nv-meta" / "index.sqlite")
    return sorted(
        [names[number], *rest] for number, *rest in database.execute(
            "SELECT tar_file_id, sample_key, sample_index, byte_offset, byte_size, part_name, content_byte_offset,"
            " content_byte_size FROM samples JOIN sample_parts USING (tar_file_id, sample_index)"))
idx = {{p.name: p.read_bytes().hex() for p in copy.glob("*.idx")}} == {{
    p.name: p.read_bytes().hex() for p in shards.glob("*.idx")}}
print(json.dumps([len(rows(copy)), rows(copy) == rows(shards), idx]))
"""
    count, same_rows, same_idx = answer_of(energon, script, tmp_path)
    assert count > 30
    assert same_rows
    assert same_idx
