"""A packed row as the loader gives it, made into the tensors of one forward pass."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.errors import CurateError
from workflows.train.model import ModelDescription
from workflows.train.packed import IGNORED


@dataclass(frozen=True)
class Row:
    """One packed row: `ids`, `labels` (the token itself, or -100), `positions` (from 0 in each document), int[n].

    `pictures` are float32[tiles, 3, side, side], ready for the encoder, in the order of their tokens; `keys` name the
    samples in the row. `left_out`: bad samples that are missing from the rank's rows of this step, told of with
    the first.
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    positions: NDArray[np.int64]
    pictures: Sequence[NDArray[np.float32]]
    keys: Sequence[str]
    left_out: int = 0

    @property
    def labelled(self) -> int:
        """Tokens on which a loss counts: as targets, the first token of a row is none."""
        return int((self.labels[1:] != IGNORED).sum())


@dataclass(frozen=True)
class Batch:
    """The arguments of `PackedModel.forward` for one row, padded to the context: every rank has the same shapes."""

    ids_BS: torch.Tensor  # noqa: N815 - the shape's letters
    labels_BS: torch.Tensor  # noqa: N815 - the shape's letters
    positions_BS: torch.Tensor  # noqa: N815 - the shape's letters
    real_BS: torch.Tensor  # noqa: N815 - the shape's letters
    pixels: torch.Tensor


def batch_of(row: Row, context: int, model: ModelDescription, device: torch.device) -> Batch:
    """The row on a device. Padding is a document of its own without labels.

    Raises:
        CurateError: it is longer than the context, or has other pictures than its tokens say; the samples are named.
    """
    length = len(row.ids)
    stands = int((row.ids == model.image_token.id).sum())
    tiles = sum(len(picture) for picture in row.pictures)
    if length > context or stands != tiles * model.image_tokens:
        raise CurateError(
            f"a packed row has {length} tokens for a context of {context}, and {stands} tokens of pictures for "
            f"{tiles} tiles of {model.image_tokens}: samples {', '.join(row.keys)}",
            "make the plan again for this model: curate shards plan",
        )
    if length and int(row.ids.max()) >= model.text.vocab_size:
        raise CurateError(
            f"token {int(row.ids.max())} in a model of {model.text.vocab_size} tokens: samples {', '.join(row.keys)}",
            "the plan was made with another tokenizer than the model's: make it again",
        )
    side = model.vision.image_size
    pictures = list(row.pictures) or [np.zeros((1, 3, side, side), np.float32)]
    pad = context - length
    return Batch(
        _row(np.pad(row.ids, (0, pad), constant_values=model.text.pad_token_id), device),
        _row(np.pad(row.labels, (0, pad), constant_values=IGNORED), device),
        _row(np.concatenate([row.positions, np.arange(pad)]), device),
        (torch.arange(context) < length)[None].to(device),
        torch.from_numpy(np.concatenate(pictures)).to(device, torch.bfloat16),
    )


def _row(values: NDArray[np.int64], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.int64))[None].to(device)
