"""`curate train`: the stages of the curriculum on shards, and what goes with that."""

import sys
import time
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from workflows.answer import print_json, say
from workflows.build import Stage

HELP = """Train a stage on shards with DeepSpeed ZeRO-3.

Examples:

  curate train --stage align --shards runs/align/shards --model tiny --nproc 2 --out trained/align

  curate train --stage mid --shards runs/mid/shards --model tiny --nproc 2 --from trained/align --out trained/mid

  curate train --stage mid --shards runs/mid/shards --model medgpt-oss-20b --from base --nproc 8 --dry-run

Shards whose audit is missing, did not pass or is of other bytes are refused (exit 3; --accept-findings names a review
file). SIGTERM ends it with a checkpoint after the step in hand (exit 130); --resume goes on. What is in --out: the
job, metrics.jsonl, checkpoints/, export/ (for transformers), lineage.json beside each; see docs/training.md.
"""

train = typer.Typer(help=HELP, invoke_without_command=True, rich_markup_mode=None, no_args_is_help=True)


class Launcher(StrEnum):
    """Who starts the ranks."""

    LOCAL = "local"
    SLURM = "slurm"
    K8S = "k8s"
    DEEPSPEED = "deepspeed"


@train.callback(help=HELP)
def run(
    context: typer.Context,
    stage: Annotated[Stage | None, typer.Option(help="The stage to train.")] = None,
    shards: Annotated[str | None, typer.Option(help="The shards/ folder of a build: a path or URL.")] = None,
    model: Annotated[str, typer.Option(help="A model by name (medgpt-oss-20b, tiny), or its YAML file.")] = "tiny",
    start: Annotated[
        Path | None, typer.Option("--from", help="Weights to start from: of `train init`, or of the stage before.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder, seen by all nodes (default: train-STAGE).")
    ] = None,
    nproc: Annotated[int, typer.Option(min=1, help="Ranks on each node: one a GPU.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes.")] = 1,
    launcher: Annotated[
        Launcher, typer.Option(help="Who starts the ranks: local, or files in OUT/launch/.")
    ] = Launcher.LOCAL,
    hostfile: Annotated[
        Path | None, typer.Option(help="Of --launcher deepspeed: a line `host slots=8` for each node.")
    ] = None,
    submit: Annotated[bool, typer.Option("--submit", help="Give what was written to the cluster, too.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint in --out.")] = False,
    accept_findings: Annotated[
        Path | None, typer.Option(help="A review file: findings of the shards' audit that were accepted, and why.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one value of the stage's recipe.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it takes; train nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> int:
    """See HELP, which is what `curate train --help` shows."""
    if context.invoked_subcommand is not None:
        return 0
    from pipelines.errors import UsageError
    from workflows.train.start import TrainOptions, prepare

    if stage is None or shards is None:
        raise UsageError(
            "say what to train, and on what", "curate train --stage align --shards RUN/shards --model tiny"
        )
    options = TrainOptions(
        stage.value, shards, model, start, out or Path(f"train-{stage.value}"), nproc, nodes, resume, accept_findings,
        tuple(settings or ()), launcher.value,
    )  # fmt: skip
    prepared = prepare(options)
    if dry_run:
        return _foretold(prepared, as_json=as_json)
    if launcher != Launcher.LOCAL:
        with redirect_stdout(sys.stderr):
            written = _hand_over(prepared, hostfile, submit=submit)
        if as_json:
            print_json(written)
        return 0
    if nodes > 1 or submit:
        raise UsageError(
            f"--launcher local: {'--submit' if submit else f'{nodes} nodes'}, and it starts ranks on this machine only",
            "--launcher slurm, k8s or deepspeed",
        )
    with redirect_stdout(sys.stderr):
        answer = _train(prepared)
    if as_json:
        print_json(answer)
    say("\n".join(_lines(answer)))
    return 0


def _foretold(prepared: Any, *, as_json: bool) -> int:
    """Say what the run would take; the exit status is 2 where something stands against it."""
    from workflows.train.forecast import forecast, forecast_lines

    with redirect_stdout(sys.stderr):  # DeepSpeed's log would get between the answer's lines
        told = forecast(prepared)
    if as_json:
        print_json(told)
    say("\n".join(forecast_lines(told)))
    return 2 if told["problems"] else 0


@train.command()
def init(
    out: Annotated[Path, typer.Option(help="The new directory.")],
    model: Annotated[str, typer.Option(help="A model by name (medgpt-oss-20b, tiny), or its YAML file.")] = "tiny",
    language: Annotated[
        Path | None, typer.Option(help="Directory of the language model (gpt-oss, MXFP4 or bf16).")
    ] = None,
    vision: Annotated[Path | None, typer.Option(help="Directory of CLIP.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random weights.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> int:
    """Write the directory that training starts from: weights, processor and tokenizer.

    The tiny model is made of random numbers. Others join a language model and CLIP; the projector is random.

    Example: curate train init --model medgpt-oss-20b --language gpt-oss-20b --vision clip --out base
    """
    from workflows.train.model import load_model, parameter_counts

    description = load_model(model)
    with redirect_stdout(sys.stderr):
        _init(description, language, vision, out, seed)
    count = parameter_counts(description)["total"]
    if as_json:
        print_json({"model": description.name, "parameters": count, "out": str(out)})
    say(f"{description.name}: {count:,} parameters in {out}")
    return 0


@train.command()
def sample(
    checkpoint: Annotated[Path, typer.Option(help="An export, a checkpoint, what init wrote, or a run's folder.")],
    shards: Annotated[
        str | None, typer.Option(help="The shards/ folder to take samples from (default: the run's).")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Samples.")] = 4,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of each answer.")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> int:
    """Answer a few samples, held-out ones where there are any: the likeliest token each time, so always the same.

    For a look, not for a score. It prints what the samples say.

    Example: curate train sample --checkpoint trained/instruct
    """
    with redirect_stdout(sys.stderr):  # what DeepSpeed says as it is imported is no part of the answer
        from workflows.train.sample import answered

        told = answered(checkpoint, shards, count, max_tokens)
    if as_json:
        print_json(told)
    for one in told["samples"]:
        say(f"{one['sample_id']} ({one['source']})\n  {one['prompt']}\n  wanted: {one['expected']}\n"
            f"  answer: {one['answer']}")  # fmt: skip
    return 0


@train.command()
def check(
    model: Annotated[str, typer.Option(help="A model by name (medgpt-oss-20b, tiny), or its YAML file.")] = "tiny",
    start: Annotated[Path | None, typer.Option("--from", help="Its weights: of `train init`, or of a stage.")] = None,
    nproc: Annotated[int, typer.Option(min=1, help="Ranks: one a GPU.")] = 1,
    work: Annotated[
        Path, typer.Option(help="A folder on the disk of the run, for a checkpoint that is removed again.")
    ] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> int:
    """Try on this node, in minutes, what a stage needs: attention, a long layer, steps, bandwidth, save and resume.

    Each check passes, fails, or could not be run here, by name (exit 1 if one fails); what remains unproved is listed.

    Example: curate train check --model medgpt-oss-20b --from base --nproc 8
    """
    from workflows.train.check import check as run_checks
    from workflows.train.check import check_lines

    with redirect_stdout(sys.stderr):
        told = run_checks(model, start, nproc, work)
    if as_json:
        print_json(told)
    say("\n".join(check_lines(told)))
    return 0 if told["ok"] else 1


def _init(description: Any, language: Path | None, vision: Path | None, out: Path, seed: int) -> None:
    from pipelines.errors import UsageError
    from workflows.train.init import init_joined, init_random

    if (language is None) != (vision is None):
        raise UsageError("--language and --vision belong together", "give both, or neither for the tiny model")
    if language is not None and vision is not None:
        init_joined(description, language, vision, out, seed)
    else:
        init_random(description, out, seed)


def _train(prepared: Any) -> dict[str, Any]:
    """Run the job, or tell again what a finished one told."""
    from workflows.train.start import alone_to_start

    with alone_to_start(prepared.options.out):
        return _run(prepared)


def _hand_over(prepared: Any, hostfile: Path | None, *, submit: bool) -> dict[str, Any]:
    """Settle the job and write what a cluster starts it with."""
    import shlex

    from workflows.train import cluster
    from workflows.train.job import write_job
    from workflows.train.start import alone_to_start, make_job

    options = prepared.options
    if options.launcher == "deepspeed":
        cluster.read_hostfile(hostfile, options.nodes, options.nproc)  # before anything is written
    with alone_to_start(options.out):
        job = make_job(prepared)
        write_job(job)
        gpus = prepared.model.attention.text != "eager"
        path, command = cluster.write_launch(
            job, options.launcher, options.nodes, options.nproc, gpus=gpus, hostfile=hostfile
        )
    said = cluster.submit(command) if submit else None
    say(f"{path}: {job.steps:,} steps on {options.nodes} nodes of {options.nproc} ranks")
    say(f"submitted: {said}" if submit else f"it is started by: {shlex.join(command)}")
    return {"stage": job.recipe.stage, "steps": job.steps, "launch": str(path), "command": command, "submitted": said}


def _run(prepared: Any) -> dict[str, Any]:
    import orjson

    from workflows.train.job import ANSWER, write_job
    from workflows.train.launch import run_here
    from workflows.train.outcome import write_answer
    from workflows.train.start import make_job

    began = time.monotonic()
    job = make_job(prepared)
    told = job.out / ANSWER
    if told.is_file():
        answer: dict[str, Any] = orjson.loads(told.read_bytes())
        return answer
    write_job(job)
    run_here(job, prepared.options.nproc, Progress(job.steps))
    return write_answer(job, time.monotonic() - began)


class Progress:
    """A line on stderr now and then."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._every = 2.0 if sys.stderr.isatty() else 30.0
        self._told = (0.0, 0)

    def __call__(self, row: dict[str, Any]) -> None:
        """Tell of the newest step, unless that was done, or a moment ago."""
        now = time.monotonic()
        if row["step"] == self._told[1] or now - self._told[0] < self._every:
            return
        self._told = now, row["step"]
        say(
            f"step {row['step']:,} of {self.steps:,}: loss {row['loss']:.4f}, "
            f"rate {row['learning_rate']:.2e}, {row['tokens_per_second']:,.0f} tokens/s"
        )


def _lines(answer: dict[str, Any]) -> list[str]:
    return [
        (
            f"{answer['stage']}: {answer['steps']:,} steps, {answer['tokens']:,} tokens in {answer['seconds']:,.1f} s; "
            f"loss {answer['first_loss']:.4f} -> {answer['last_loss']:.4f}"
        ),
        f"weights for transformers: {answer['export']}",
    ]
