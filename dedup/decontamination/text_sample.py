"""Which samples say how often words are elsewhere: chosen by what they say, whatever files they are in."""

import blake3
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sources.schema import IMAGE_PLACEHOLDER

MOST_DOCUMENTS = 131_072
"""About so many samples at most; of fewer all are taken."""


def halvings_of(samples: int) -> int:
    """How often so many samples are halved until no more than `MOST_DOCUMENTS` are left."""
    halvings = 0
    while samples >> halvings > MOST_DOCUMENTS:
        halvings += 1
    return halvings


def chosen_for_background(samples: pa.Table, halvings: int) -> npt.NDArray[np.int64]:
    """Rows of SAMPLES (`turns`) whose text has a hash under the threshold: one of every 2^`halvings`, rising.

    Samples that say the same, but for white space and where pictures stand, are all chosen or none is.
    """
    if not halvings:
        return np.arange(samples.num_rows)
    below = (1 << 64) >> halvings
    return np.array(
        [row for row, turns in enumerate(samples["turns"].to_pylist()) if _hash(turns or ()) < below], np.int64
    )


def _hash(turns: list[dict[str, str]] | tuple[()]) -> int:
    said = "".join("".join((turn["text"] or "").replace(IMAGE_PLACEHOLDER, " ").split()) for turn in turns)
    return int.from_bytes(blake3.blake3(said.encode(errors="surrogatepass")).digest(length=8), "big")
