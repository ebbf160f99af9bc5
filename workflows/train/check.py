"""`curate train check`: minutes on one node that say whether a stage would run there, before it is paid for.

The ranks run the checks (`python -m workflows.train.check SPEC`); what a machine without GPUs cannot run is told by
name, never passed over.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from pipelines.errors import CurateError, UsageError
from sources.cards import Strict
from workflows.train.launch import PROJECT
from workflows.train.model import ModelDescription, load_model
from workflows.train.rank import ENVIRONMENT
from workflows.train.stopping import cut_off_in_order

FALLBACK = "tiny"
LIMIT_S = 900
END_S = 5
"""Seconds that ranks have to end when the checks are cut off, before torchrun kills them."""
ALWAYS_UNPROVED = ("more than one node, and the network between them", "the shards: `--dry-run` looks at those")
WITHOUT_GPU = (
    "{attention} on a GPU, forward and backward with sinks",
    "a full-size layer at {context:,} tokens, and the memory of a full-size step",
    "NCCL",
    "the time of a step and of a full-size checkpoint",
)


class Spec(Strict):
    """What the ranks are told. `small`: the model of the `steps`, another one where the machine has no GPUs."""

    model: ModelDescription
    small: ModelDescription
    start: Path
    work: Path
    steps: int = 20


def check(model_name: str, start: Path | None, nproc: int, work: Path) -> dict[str, Any]:
    """Run the checks on `nproc` ranks of this machine; `work` takes a checkpoint or two for the while.

    Returns:
        `ok`, `model`, `ranks`, `device`, `checks` (name, status passed | failed | not run, seconds, told), `unproved`.

    A signal that ends it ends the ranks, too, and nothing stays in `work`.

    Raises:
        UsageError: there are GPUs and no weights for the model's steps, or `start` has those of another model.
        CurateError: the ranks could not be started.
    """
    import torch

    from workflows.train.init import init_random
    from workflows.train.start import weights_in

    model, gpu = load_model(model_name), torch.cuda.is_available()
    small = model if gpu or model.attention.text == "eager" else load_model(FALLBACK)
    given = weights_in(start, model) if start is not None else None
    if given is None and gpu and model.tokenizer != "bytes":
        raise UsageError(f"--model {model.name}: no weights for its steps", "--from DIR: what `train init` wrote")
    with cut_off_in_order(), tempfile.TemporaryDirectory(prefix="curate-check-", dir=work) as name:
        place = Path(name)
        if given is None or small is not model:
            given = place / "init"
            init_random(small, given, 0)
        spec = place / "spec.json"
        spec.write_text(Spec(model=model, small=small, start=given.resolve(), work=place).model_dump_json())
        found = _ranks(spec, nproc)
    context, left = model.max_context_tokens, () if gpu else WITHOUT_GPU if small is not model else WITHOUT_GPU[2:]
    unproved = [*(one.format(attention=model.attention.text, context=context) for one in left), *ALWAYS_UNPROVED]
    return {
        "ok": all(one["status"] != "failed" for one in found), "model": model.name, "ranks": nproc,
        "device": torch.cuda.get_device_name() if gpu else "cpu", "checks": found, "unproved": unproved,
    }  # fmt: skip


def _ranks(spec: Path, nproc: int) -> list[dict[str, Any]]:
    """What the ranks found. One that is killed or hangs ends the checks; those that are done are told."""
    environment = {**ENVIRONMENT, **os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    environment.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // nproc)))
    log = spec.with_name("check.log")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(nproc),
        "--shutdown-timeout", str(END_S), "--log-dir", str(spec.parent), "-m", "workflows.train.check_rank", str(spec),
    ]  # fmt: skip
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, start_new_session=True)
        try:
            status: int | None = process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            process.terminate()  # torchrun passes it on, and kills what stays
            process.wait()
    told = spec.with_name("told.jsonl")
    found = [orjson.loads(line) for line in told.read_bytes().splitlines()] if told.is_file() else []
    if not found:
        raise CurateError(f"the ranks could not be started (status {status})", _last_words(log))
    if status != 0:
        what = "took too long" if status is None else f"a rank ended with status {status}"
        found.append({"name": "the check after these", "status": "failed", "seconds": 0.0, "told": what})
    return found


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if "Error" in line]
    return lines[-1][:300] if lines else "see whether `python -m torch.distributed.run` works here"


def check_lines(told: dict[str, Any]) -> Sequence[str]:
    """The answer for people."""
    return [
        f"{told['model']} on {told['ranks']} ranks ({told['device']}): {'ok' if told['ok'] else 'NOT ok'}",
        *(f"  {one['status']:<8} {one['name']} ({one['seconds']:.1f} s): {one['told']}" for one in told["checks"]),
        *(f"  not proved: {one}" for one in told["unproved"]),
    ]
