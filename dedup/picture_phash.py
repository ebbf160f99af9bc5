"""The 64-bit perceptual hash that others publish, for comparison with them."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from filters.statistics import THUMBNAIL_SIDE


def phashes_of(thumbnails: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """Hashes N x 8 of 64 x 64 thumbnails, by `imagehash.phash`."""
    import imagehash  # scipy behind it takes a second to import

    side = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    tiles = [Image.frombytes("L", side, thumbnail) for thumbnail in thumbnails.to_pylist()]
    bits = [imagehash.phash(tile).hash.ravel() for tile in tiles]
    return np.packbits(np.array(bits, bool).reshape(-1, 64), axis=1)
