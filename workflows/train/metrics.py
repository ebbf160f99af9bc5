"""What is written down of every step: one JSON object a line, without a gap or a repeat after a resume."""

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from workflows.train.recipe import TrainRecipe

BOARD = "tensorboard"
WANDB = "wandb.id"
Board = Callable[[Mapping[str, Any]], None]
"""Takes the row of each step, besides the file."""


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines, up to one that was cut off in the middle."""
    rows: list[dict[str, Any]] = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            rows.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            break
    return rows


def forget_after(path: Path, step: int) -> list[dict[str, Any]]:
    """Drop what was trained and then lost: the lines of steps that come after the checkpoint. Returns the rest."""
    kept = [row for row in read_metrics(path) if row["step"] <= step]
    replace_file(path, b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in kept))
    return kept


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that at every moment either the old or the new one is there, whole."""
    writing = path.with_name(f".{path.name}")
    with writing.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    writing.replace(path)


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add the line of a step."""
    with path.open("ab") as file:
        file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def ends(losses: Sequence[float]) -> tuple[float, float]:
    """Mean loss over the first and over the last tenth of the steps."""
    tenth = max(1, len(losses) // 10)
    return sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth


def boards(out: Path, recipe: TrainRecipe, step: int) -> list[Board]:
    """TensorBoard's files in `out`, and Weights & Biases where the recipe names a project; both go on after `step`."""
    found = [_tensorboard(out / BOARD, step)]
    if recipe.wandb is not None:
        found.append(_wandb(out, recipe, recipe.wandb))
    return found


def numbers_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a row, those of `validation` as `validation/SOURCE`."""
    flat = {**row, **{f"validation/{source}": loss for source, loss in row.get("validation", {}).items()}}
    return {name: value for name, value in flat.items() if isinstance(value, int | float) and name != "step"}


def _tensorboard(folder: Path, step: int) -> Board:
    from torch.utils.tensorboard import SummaryWriter

    make: Any = SummaryWriter
    writer = make(str(folder), purge_step=step + 1, flush_secs=30)  # what was trained and then lost is not shown

    def tell(row: Mapping[str, Any]) -> None:
        for name, value in numbers_of(row).items():
            writer.add_scalar(name, value, row["step"])
        writer.flush()

    return tell


def wandb_id(out: Path) -> str:
    """A run's name in Weights & Biases: its own for as long as its folder lives, whatever others are called."""
    kept = out / WANDB
    if not kept.is_file():
        replace_file(kept, uuid.uuid4().hex.encode())
    return kept.read_text()


def _wandb(out: Path, recipe: TrainRecipe, project: str) -> Board:
    import wandb  # type: ignore[import-not-found]

    run = wandb.init(
        project=project, dir=str(out), id=wandb_id(out), name=f"{out.parent.name}/{out.name}", resume="allow",
        config=recipe.model_dump(mode="json"),
    )  # fmt: skip

    def tell(row: Mapping[str, Any]) -> None:
        run.log(numbers_of(row), step=row["step"])

    return tell
