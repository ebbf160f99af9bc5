"""The 64-bit perceptual hash that others publish, for comparison with them."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

PHASH_BYTES = 8


class PerceptualHash:
    """Fills the column `phash` of IMAGES (a `filters.measurer.Measurer`): `imagehash.phash` of the whole picture.

    It is of what is displayed: without transparency, and a palette or deep pixels as 256 grey levels.
    """

    name = "phash"
    version = 1
    whole = True
    fields: tuple[str, ...] = ("phash",)

    def measure(self, grey: npt.NDArray[np.uint8], picture: Image.Image) -> dict[str, bytes]:  # noqa: ARG002 - every pixel counts
        """The column of one picture: 64 bits, the first of them the highest of the first byte."""
        import imagehash  # scipy behind it takes a second to import

        return {"phash": np.packbits(imagehash.phash(picture).hash).tobytes()}


def phashes_of(column: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """N x 8 of the column, which has no nulls."""
    return np.frombuffer(b"".join(column.to_pylist()), np.uint8).reshape(-1, PHASH_BYTES)
