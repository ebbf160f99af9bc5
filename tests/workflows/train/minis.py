"""A model smaller than `tiny`, for tests: the same classes, 128 tokens of context."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workflows.train.batch import Batch, Row, batch_of
from workflows.train.model import ModelDescription, configuration, load_model
from workflows.train.packed import IGNORED, PackedModel
from workflows.train.ranks import Ranks

CPU = torch.device("cpu")
CONTEXT = 128


class Alone(Ranks):
    """One rank, which needs no process group to talk to itself."""

    def gathered(self, value: object) -> list[object]:
        return [value]

    def summed(self, values: Sequence[float]) -> list[float]:
        return list(values)

    def wait(self) -> None:
        return


@cache
def mini() -> ModelDescription:
    tiny = load_model("tiny")
    rope = tiny.rope.model_copy(update={"original_max_position_embeddings": 4})
    return tiny.model_copy(
        update={"name": "mini", "max_context_tokens": CONTEXT, "loss_chunk_tokens": 48, "rope": rope}
    )


def mini_file(folder: Path) -> Path:
    """The description as a user's own file."""
    path = folder / "mini.yaml"
    path.write_text(mini().model_dump_json(), encoding="utf-8")
    return path


def fresh(seed: int = 0) -> PackedModel:
    """A model in float32 of random weights, with sinks that matter."""
    torch.manual_seed(seed)
    model: Any = PackedModel._from_config(
        configuration(mini()), attn_implementation={"text_config": "eager", "vision_config": "sdpa"}
    )
    for name, parameter in model.named_parameters():
        if name.endswith("sinks"):
            torch.nn.init.normal_(parameter)
    model.loss_chunk_tokens = mini().loss_chunk_tokens
    model.watch_routers()
    made: PackedModel = model
    return made


def document(seed: int, length: int, pictures: int = 0, labelled: bool = True) -> Row:
    """Text of `length` tokens, with pictures in front of its last tokens."""
    generator = np.random.default_rng(seed)
    ids = generator.integers(0, 256, length)
    stands = pictures * mini().image_tokens
    ids[1 : 1 + stands] = mini().image_token.id
    labels = np.where(ids == mini().image_token.id, IGNORED, ids) if labelled else np.full(length, IGNORED)
    labels[0] = IGNORED
    side = mini().vision.image_size
    drawn = [generator.normal(size=(1, 3, side, side)).astype(np.float32) for _ in range(pictures)]
    return Row(ids, labels, np.arange(length), drawn, [f"{seed:032x}"])


def packed(*rows: Row) -> Row:
    return Row(
        np.concatenate([row.ids for row in rows]), np.concatenate([row.labels for row in rows]),
        np.concatenate([row.positions for row in rows]), [picture for row in rows for picture in row.pictures],
        [key for row in rows for key in row.keys],
    )  # fmt: skip


def batch(row: Row, context: int = CONTEXT) -> Batch:
    made = batch_of(row, context, mini(), CPU)
    return Batch(**{**vars(made), "pixels": made.pixels.float()})
