"""Arrow strings as the two arrays that kernels read: bytes, and where each text starts and stops."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


class Texts(NamedTuple):
    """`data[offsets[i]:offsets[i + 1]]` is the UTF-8 of text i; a null is an empty text."""

    data: Bytes
    offsets: Offsets


def texts_of(column: pa.Array | pa.ChunkedArray) -> Texts:
    """The buffers of an array of `string` or `large_string`, sliced or not. Bytes are not copied unless chunked.

    Raises:
        TypeError: it holds something else.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if isinstance(column, pa.ChunkedArray):  # more than 2 GiB of `string`
            column = pa.chunked_array(column.chunks).cast(pa.large_string()).combine_chunks()
    width = {pa.string(): np.int32, pa.large_string(): np.int64}.get(column.type)
    if width is None:
        raise TypeError(f"texts are string or large_string, not {column.type}")
    if column.null_count:
        column = column.fill_null("")
    _, offsets, data = column.buffers()
    starts = np.zeros(1, np.int64)
    if len(column):
        starts = np.frombuffer(offsets, width, len(column) + 1, column.offset * np.dtype(width).itemsize)
    texts = Texts(
        np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8), starts.astype(np.int64, copy=False)
    )
    # A kernel is compiled anew for arrays that may be written: all are given to it as they are never written.
    texts.data.flags.writeable = texts.offsets.flags.writeable = False
    return texts
