"""Running the command and looking at what it leaves, for the end-to-end tests."""

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from tests.end_to_end.warm_workers import installed, warm_workers
from workflows.cli import run

CURATE = [sys.executable, "-m", "workflows.cli"]
WITHOUT_CONTRACTS = ("--set", "contracts.enabled=false")
"""Great Expectations takes seconds to import: only tests that are about contracts, or the whole, pay for it."""
WITHOUT_NEAR = ("--set", "steps.near_text.enabled=false", "--set", "steps.near_image.enabled=false")
"""Made-up texts and pictures are alike: tests that are about something else keep all of them."""
WITHOUT_READING = ("--set", "steps.phi.ocr=none")
"""A reader of writing needs seconds for the demo's scans: where it is not what a test is about, the marks suffice."""
PUBLISHED = ("run.json", "tables", "shards")


def curate(
    *arguments: object,
    contracts: bool = False,
    near: bool = False,
    packages: Sequence[Path] = (),
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run `curate`; builds with one worker, without contracts and near-duplicates, if not told otherwise.

    With contracts a build is a whole one, near-duplicates and all.

    With options of `subprocess.run` (an environment, a folder) it runs as a user's does, in a process of its own. Else
    the command runs in this process, and its workers are those of builds before it: neither need import everything
    again. `packages`: folders of packages that are installed for this command.
    """
    off = (
        ()
        if contracts or arguments[0] != "build"
        else WITHOUT_CONTRACTS
        if near
        else (*WITHOUT_CONTRACTS, *WITHOUT_NEAR)
    )
    command = [*map(str, arguments), *off]
    if options:
        return subprocess.run([*CURATE, *command], capture_output=True, text=True, check=False, **options)
    if arguments[0] == "build" and not {"--workers", "--engine", "--address"} & set(command):
        command += ["--workers", "1"]
    with installed(packages):
        return _in_this_process(command)


def _in_this_process(command: list[str]) -> subprocess.CompletedProcess[str]:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err), warm_workers():
        try:
            status = run(command)
        except SystemExit as end:
            status = int(end.code or 0)
    told = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(command, status, *told)


def curate_json(*arguments: object, status: int = 0, **options: Any) -> dict[str, Any]:
    """Run `curate ... --json` and return its one JSON object."""
    done = curate(*arguments, "--json", **options)
    assert done.returncode == status, done.stderr + done.stdout
    document: dict[str, Any] = orjson.loads(done.stdout)
    return document


def published(run: Path) -> dict[str, str]:
    """sha256 of every file that is part of a run's identity, by path."""
    files = [path for name in PUBLISHED for path in sorted((run / name).rglob("*") or [])] + [run / "run.json"]
    return {
        path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }


def verdict_of(run: Path, source: str, ending: str) -> tuple[str, str | None]:
    """(verdict, reason) of the one sample of a source whose source key ends like this."""
    samples = pl.read_parquet(run / "tables" / "samples" / "*.parquet")
    found = samples.filter((pl.col("source") == source) & pl.col("source_key").str.ends_with(ending))
    assert len(found) == 1, f"{len(found)} samples of {source} end with {ending}"
    ledger = pl.read_parquet(run / "tables" / "ledger" / "*.parquet")
    last = ledger.filter(pl.col("sample_id") == found["sample_id"][0]).row(-1, named=True)
    return last["verdict"], last["reason"]


def balances(answer: dict[str, Any]) -> bool:
    """The conservation law, on the JSON of a build."""
    counts = answer["counts"]
    whole = counts["ingested"] == counts["kept"] + sum(counts["dropped"].values()) + counts["quarantined"]
    steps = all(
        step["in"] + step["made"] == step["kept"] + step["dropped"] + step["quarantined"] for step in answer["steps"]
    )
    return whole and steps and answer["samples_written"] == counts["kept"]


def quiet_environment() -> dict[str, str]:
    """The environment without anything that could reach for a network."""
    return {**os.environ, "HF_HUB_OFFLINE": "1"}
