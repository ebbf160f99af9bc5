"""How a run ended: `python -m workflows.train.outcome OUT/job.json`, for a cluster's script and for people."""

import sys
from pathlib import Path
from typing import Any

import orjson

from pipelines.errors import CurateError
from workflows.answer import print_json, say
from workflows.train.job import ANSWER, EXPORT, METRICS, STOPPED, Job, read_job
from workflows.train.launch import StoppedError, tell_end, words_of
from workflows.train.metrics import ends, read_metrics, replace_file
from workflows.train.model import parameter_counts

ASKED = "--asked"
"""Said by a script that passed a signal on."""


def main(arguments: list[str]) -> int:
    """Print the answer of a run that is done, or what stopped it. Returns `curate train`'s exit status for that.

    130 only where the run can go on and a step was finished since it began: requeueing one that never gets that far
    would go on for ever.
    """
    job = read_job(Path(next(word for word in arguments if not word.startswith("--"))))
    try:
        tell_end(job, 0, asked=ASKED in arguments, log="what the launcher logged (Slurm: OUT/slurm-N.log)")
    except StoppedError as error:
        say(f"{error.message}; {error.hint}")
        if advanced(job):
            return STOPPED
        say("no step was finished since this start: the time limit is too short, or the machine slow in starting")
        return 1
    except CurateError as error:
        say(f"{error.message}\n  {error.hint}")
        return error.status
    print_json(write_answer(job, sum(row["seconds"] for row in read_metrics(job.out / METRICS))))
    return 0


def write_answer(job: Job, seconds: float) -> dict[str, Any]:
    """What `curate train` says of a run that is done; kept for those who ask again."""
    rows = read_metrics(job.out / METRICS)
    first, last = ends([row["loss"] for row in rows])
    answer = {
        "stage": job.recipe.stage,
        "steps": job.steps,
        "tokens": sum(row["tokens"] for row in rows),
        "first_loss": first,
        "last_loss": last,
        "parameters": parameter_counts(job.model)["total"],
        "export": str(job.out / EXPORT),
        "seconds": round(seconds, 3),
    }
    replace_file(job.out / ANSWER, orjson.dumps(answer, option=orjson.OPT_INDENT_2))
    return answer


def advanced(job: Job) -> bool:
    """Whether the ranks that stopped had finished a step since they were started."""
    return any(word["step"] > word["before"] for _, word in words_of(job) if word["status"] == STOPPED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
