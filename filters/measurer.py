"""What else a picture is measured by: other folders' measures, passed in by who configures a build."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image

from sources.pictures import Picture


class Measurer(Protocol):
    """Adds columns to the images table. `fields` are the names it fills, columns of IMAGES that are null else."""

    @property
    def name(self) -> str:
        """Part of the pictures' fingerprint in a run."""
        ...

    @property
    def version(self) -> int:
        """Raised when values may change."""
        ...

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns it fills."""
        ...

    @property
    def whole(self) -> bool:
        """Whether it needs every pixel: no JPEG is then decoded at reduced scale."""
        ...

    def measure(self, grey: npt.NDArray[np.uint8], picture: Image.Image) -> Mapping[str, Any]:
        """The values of `fields` for one picture.

        `picture` is as displayed, in 256 grey levels; `grey` H x W is it area-averaged by a whole factor
        (`statistics.MEASURED_SIDE`).
        """
        ...


@runtime_checkable
class PictureMeasurer(Protocol):
    """A measurer that looks at pictures in colour, several at a time: a model."""

    @property
    def name(self) -> str:
        """Part of the pictures' fingerprint in a run."""
        ...

    @property
    def version(self) -> int | str:
        """Other when values may change: a number, or the digest of a model's file."""
        ...

    @property
    def fields(self) -> tuple[str, ...]:
        """The columns it fills."""
        ...

    @property
    def whole(self) -> bool:
        """Whether it needs every pixel: no JPEG is then decoded at reduced scale."""
        ...

    def batch_size(self) -> int:
        """How many pictures it takes at once; a model whose loading changes the process is loaded by this."""
        ...

    def prepare(self, picture: Picture) -> Any:
        """What is kept of one picture until its batch is full: small, and no longer the picture."""
        ...

    def measure_batch(self, prepared: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
        """The values of `fields`, one mapping a picture, whatever the batch."""
        ...


AnyMeasurer = Measurer | PictureMeasurer
