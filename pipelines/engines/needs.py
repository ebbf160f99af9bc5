"""What a task needs of the machine it runs on. A step that holds a model says so; nothing said is one core."""

from dataclasses import dataclass

from pipelines.session import Task


@dataclass(frozen=True)
class Need:
    """Cores and GPUs of one worker."""

    cpus: float = 1.0
    gpus: float = 0.0

    def __str__(self) -> str:
        cpus = f"{self.cpus:g} CPU"
        return f"{cpus} and {self.gpus:g} GPU" if self.gpus else cpus


def need_of(task: Task) -> Need:
    """What the task says (`cpus`, `gpus`), or else its step."""
    step = getattr(task, "step", None)
    cpus = getattr(task, "cpus", getattr(step, "cpus", 1.0))
    gpus = getattr(task, "gpus", getattr(step, "gpus", 0.0))
    return Need(float(cpus), float(gpus))
