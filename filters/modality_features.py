"""The measurers of the labeller: a network's features of each picture, and the panels of compound figures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sources.pictures import Picture, eight_bits
from sources.pictures.panels import figure_panels


class EfficientNetFeatures:
    """Fills `embedding` with the features of EfficientNet-Lite0, 1280 halves, and how much colour there is."""

    name = "efficientnet_lite0"
    version = 2
    fields = ("embedding",)
    whole = True

    def batch_size(self) -> int:
        """One: a picture's features are the same whatever it is measured with."""
        return 1

    def prepare(self, picture: Picture) -> Any:
        """What `measure_batch` takes."""
        return shown_picture(picture)

    def measure_batch(self, prepared: Sequence[Any]) -> list[Mapping[str, Any]]:
        """The values of `fields`, one mapping a picture."""
        from filters.efficientnet import features_of

        return [{"embedding": features_of(one).astype("<f2").tobytes()} for one in prepared]


class PanelCount:
    """Fills `panels` with the number of panels of a compound figure; 1 where the picture is in one piece."""

    name = "panels"
    version = 3
    fields = ("panels",)
    whole = False

    def measure(self, grey: npt.NDArray[np.uint8], picture: Image.Image) -> Mapping[str, Any]:  # noqa: ARG002 - protocol's
        """The values of `fields`."""
        return {"panels": max(len(figure_panels(picture)), 1)}


def shown_picture(picture: Picture) -> Image.Image:
    """A picture as it is looked at, in mode L or RGB."""
    image = picture.image if picture.image is not None else Image.fromarray(eight_bits(picture))
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")
