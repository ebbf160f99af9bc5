"""What the ranks of a run are told, in a file that lies in its folder; and the folder itself."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sources.cards import Strict
from workflows.train.model import ModelDescription
from workflows.train.recipe import TrainRecipe

JOB = "job.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
EXPORT = "export"
EXPORTING = ".export"
ADMISSION = "admission"
FAILURES = "failures"
ANSWER = "answer.json"
BAD_BATCH = "bad_batch.json"
SAVED = "save_seconds.json"
LAUNCH = "launch"
"""Folder of what a cluster starts the run with."""
LAUNCHING, RUNNING = ".launching", ".running"
"""Locks: of `curate train`, and of the first rank, which lives on where the command was killed."""
FREE = {"workers", "keep", "save_every", "cpu_threads", "spike", "bad_share", "validation", "wandb"}
"""Of a recipe: what may change when a run goes on."""
STOPPED = 130
"""Exit status of a run that was told to stop and can go on: as the command's after an interrupt."""


class Job(Strict):
    """A stage of training, ready to run. Everything that ranks must agree on is decided here, once.

    `shards` and `plan_folder` are places (a path or URL); `start` is the directory the weights come from.
    """

    format: Literal[1] = 1
    model: ModelDescription
    recipe: TrainRecipe
    shards: str
    plan_folder: str
    plan: str
    """File name of the plan in `plan_folder`."""
    plan_digest: str
    manifest_sha256: str
    start: Path
    start_sha256: str
    """Digest of the weights there, which the first step begins with."""
    out: Path
    context: int
    rows_per_step: Annotated[int, Field(ge=1)]
    steps: Annotated[int, Field(ge=1)]
    """Steps that will be trained."""

    def same_training(self, other: "Job") -> str | None:
        """What differs between two jobs that makes one no continuation of the other; None if nothing does."""
        for name in ("model", "manifest_sha256", "start_sha256", "plan_digest", "context", "rows_per_step", "steps"):
            if getattr(self, name) != getattr(other, name):
                return name
        mine, theirs = (job.recipe.model_dump(exclude=FREE) for job in (self, other))
        return next((f"recipe.{name}" for name in mine if mine[name] != theirs[name]), None)


def read_job(path: Path) -> Job:
    """The job in a file that `write_job` wrote."""
    return Job.model_validate_json(path.read_bytes())


def write_job(job: Job) -> Path:
    """Write the job into its own folder and return the file."""
    job.out.mkdir(parents=True, exist_ok=True)
    path = job.out / JOB
    path.write_text(job.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return path


def last_step(out: Path) -> int:
    """The step of a run's newest checkpoint; 0 where there is none."""
    whole = (out / CHECKPOINTS).glob("step-*/checkpoint.json")
    return max((int(path.parent.name.removeprefix("step-")) for path in whole), default=0)
