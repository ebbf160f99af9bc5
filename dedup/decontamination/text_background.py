"""Which pieces of samples a background counts: copies of one text must not make its wording look common.

A leak that is there ten times is one text. The same words under different pictures are not copies: a stock question,
or a normal report of many patients.
"""

import blake3
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dedup.decontamination.text_pieces import Pieces
from dedup.decontamination.text_tokens import Places, Tokens
from dedup.kernels.pieces import digests

Digests = npt.NDArray[np.uint64]
NONE: Digests = np.zeros(0, np.uint64)


def piece_digests(samples: pa.Table, pieces: Pieces, tokens: Tokens) -> Digests:
    """A hash of each piece's tokens, however they are written, and of its sample's pictures."""
    values = np.empty(len(tokens.texts) - 1, np.uint64)
    digests(tokens.hashes.view(np.int64), tokens.texts, np.zeros(len(values), np.uint8), values)
    return values ^ np.repeat(_shown(samples), np.diff(pieces.documents))


def first_pieces(values: Digests, earlier: Digests) -> Places:
    """The first of each like pieces, in order, that are not among those counted earlier."""
    _, firsts = np.unique(values, return_index=True)
    firsts = np.sort(firsts)
    return firsts[~np.isin(values[firsts], earlier)].astype(np.int64)


def _shown(samples: pa.Table) -> Digests:
    """A hash of the pictures of each sample, 0 where it has none."""
    shown = np.zeros(samples.num_rows, np.uint64)
    if "images" not in samples.column_names:
        return shown
    for row, images in enumerate(samples["images"].to_pylist()):
        if images:
            names = sorted(str(image["image_id"] or f"{image['uri']} {image['frame']}") for image in images)
            shown[row] = int.from_bytes(blake3.blake3("\0".join(names).encode()).digest(length=8), "little")
    return shown
