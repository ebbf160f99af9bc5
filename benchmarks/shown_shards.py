"""What a build's shards are to others: `python -m benchmarks.shown_shards RUN [--energon PYTHON] [--parts ...]`.

`readers`: every member of every training shard, read by `webdataset`, `datasets` and Megatron-Energon with the code of
docs/readers_of_shards.md, against the tars; `energon lint`. `harmony`: every conversation rendered by
`openai-harmony` for training, token for token, and the lengths in the member index. `plans`: fill and steps for the
contexts of the three stages and both image policies. Nothing is written into RUN. Exit status 1 where anything differs.
"""

import argparse
import gzip
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.resources import files
from pathlib import Path

import orjson

from pipelines.recipe_file import load_recipe
from shards.harmony import render
from shards.index_file import open_index
from shards.manifest import read_manifest
from shards.mixture import PlanSettings
from shards.plan import make_plan
from shards.plan_file import ImagePolicy
from shards.plan_settings import settings_of_manifest
from sources.storage import LocalFolder
from tests.end_to_end.test_plan import samples_of
from tests.end_to_end.test_readers import answer_of, blocks
from tests.shards.test_harmony import rendered_by_openai

Members = dict[str, dict[str, str]]
"""Sample -> suffix -> SHA-256 of the member."""

WEBDATASET = """
import hashlib
found = {
    sample["__key__"]: {k: hashlib.sha256(v).hexdigest() for k, v in sample.items() if not k.startswith("__")}
    for sample in samples
}
print(json.dumps(found))
"""
DATASETS = """
import hashlib, json
suffixes = [name for name, feature in rows.features.items() if type(feature).__name__ == "Image"]
for name in suffixes:
    rows = rows.cast_column(name, datasets.Image(decode=False))
found = {
    row["__key__"]: {
        "json": hashlib.sha256(__import__("orjson").dumps(row["json"])).hexdigest(),
        **{name: hashlib.sha256(row[name]["bytes"]).hexdigest() for name in suffixes if row[name]},
    }
    for row in rows
}
print(json.dumps(found))
"""
ENERGON = """
import hashlib, json
found = {
    sample["__key__"]: {k: hashlib.sha256(v).hexdigest() for k, v in sample.items() if not k.startswith("__")}
    for batch in batches
    for sample in batch
}
print(json.dumps(found))
"""


def members_of(shards: Path) -> Members:
    """What the training tars hold, by `tarfile`."""
    found: Members = {}
    for entry in read_manifest(LocalFolder(shards)).shards:
        with tarfile.open(shards / entry.name) as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")
                file = tar.extractfile(member)
                data = b"" if file is None else file.read()
                found.setdefault(key, {})[suffix] = hashlib.sha256(data).hexdigest()
    return found


def readers(shards: Path, energon: str | None) -> int:
    """Compare what others read; how many of them read anything else."""
    expected, differ = members_of(shards), 0
    print(f"{len(expected):,} samples, {sum(map(len, expected.values())):,} members")
    programs = [("webdataset", sys.executable, WEBDATASET), ("HF datasets", sys.executable, DATASETS)]
    programs += [("Megatron-Energon", energon, ENERGON)] if energon else []
    for name, python, script in programs:
        with tempfile.TemporaryDirectory() as place:
            found = answer_of(python, blocks(name, shards)[0] + script, Path(place))
        wrong = [key for key in {*expected, *found} if expected.get(key) != found.get(key)]
        differ += bool(wrong)
        print(f"  {name}: {len(found):,} samples, {len(wrong)} differ", flush=True)
    if energon:
        lint = [energon, "-c", "from megatron.energon.tools.lint import command; command()", str(shards)]
        done = subprocess.run(lint, capture_output=True, text=True, check=False)
        differ += done.returncode != 0
        print(f"  energon lint: exit {done.returncode}")
    return differ


def harmony(shards: Path, _: str | None) -> int:
    """Compare every conversation with the oracle; how many differ."""
    import openai_harmony

    samples = samples_of(LocalFolder(shards))
    with tempfile.TemporaryDirectory() as place:
        packed = (files("bpe_openai") / "data" / "o200k_base.tiktoken.gz").read_bytes()
        (Path(place) / "o200k_base.tiktoken").write_bytes(gzip.decompress(packed))
        os.environ["TIKTOKEN_ENCODINGS_BASE"] = place
        oracle = openai_harmony.load_harmony_encoding(openai_harmony.HarmonyEncodingName.HARMONY_GPT_OSS)
    conversations = tokens = differ = lengths = 0
    for row, content in samples:
        found = render(content["turns"], [0] * len(content["images"]))
        lengths += (len(found.ids), int(found.loss.sum())) != (row["tokens"], row["loss_tokens"])
        if content["task"] == "text":
            continue
        conversations += 1
        tokens += len(found.ids)
        differ += found.ids.tolist() != rendered_by_openai(oracle, content["turns"])
    print(f"{conversations:,} conversations, {tokens:,} tokens: {differ} differ from openai-harmony's")
    print(f"{len(samples):,} samples: {lengths} have other lengths in the index")
    return differ + lengths


def plans(shards: Path, _: str | None) -> int:
    """Tell fill and steps of each stage's context; how many plans are less than 95 % full."""
    folder = LocalFolder(shards)
    manifest, index = read_manifest(folder), open_index(folder)
    low = 0
    for stage in ("align", "mid", "instruct"):
        context = load_recipe(stage, None, []).context_tokens
        for policy in (ImagePolicy(policy="fixed"), ImagePolicy(policy="tiles")):
            wanted = {**settings_of_manifest(manifest).model_dump(), "context": context, "images": policy}
            about = make_plan(index, manifest, "0" * 64, PlanSettings.model_validate(wanted)).about
            low += about.fill < 0.95
            print(
                f"{stage} ({context:,} tokens, {policy.policy}): {about.steps} steps of {about.rows_per_step} rows, "
                f"{about.fill:.2%} full, max/mean cost {about.balance.before:.3f} -> {about.balance.after:.3f}, "
                f"excluded {orjson.dumps(about.excluded).decode()}"
            )
    return low


PARTS = {"plans": plans, "harmony": harmony, "readers": readers}


def main() -> None:
    """Print what was compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--energon", help="the Python of an environment that has megatron-energon")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    shards = options.run.absolute() / "shards"
    differ = 0
    for part in options.parts:
        differ += PARTS[part](shards, options.energon)
    raise SystemExit(1 if differ else 0)


if __name__ == "__main__":
    main()
