"""What a task needs of the machine it runs on. A step that holds a model says so; nothing said is one core."""

import math
from dataclasses import dataclass

from pipelines.errors import UsageError
from pipelines.session import Task


@dataclass(frozen=True)
class Need:
    """Cores and GPUs of one worker; GPUs that are optional are done without where there are none."""

    cpus: float = 1.0
    gpus: float = 0.0
    gpus_optional: bool = False

    def __str__(self) -> str:
        cpus = f"{self.cpus:g} CPU"
        return f"{cpus} and {self.gpus:g} GPU" if self.gpus else cpus

    def where_a_node_has(self, gpus: float) -> "Need":
        """What is asked for where no node has more GPUs than so many."""
        return Need(self.cpus) if self.gpus_optional and self.gpus > gpus else self


def need_of(task: Task) -> Need:
    """What the task says (`cpus`, `gpus`, `gpus_optional`), or else its step.

    Raises:
        UsageError: that is no number of cores or GPUs.
    """
    step = getattr(task, "step", None)
    cpus = float(getattr(task, "cpus", getattr(step, "cpus", 1.0)))
    gpus = float(getattr(task, "gpus", getattr(step, "gpus", 0.0)))
    if not (0 <= cpus < math.inf and 0 <= gpus < math.inf) or (gpus > 1 and not gpus.is_integer()):
        raise UsageError(
            f"{task.label}: its step asks for {cpus:g} CPU and {gpus:g} GPU",
            "`cpus` and `gpus` of a step are numbers from 0; more than one GPU is a whole number",
        )
    optional = bool(getattr(task, "gpus_optional", getattr(step, "gpus_optional", False)))
    return Need(cpus, gpus, optional and gpus > 0)
