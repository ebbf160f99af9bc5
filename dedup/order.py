"""Who of a group of duplicates is kept: one number a sample, the smaller the better."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sources.schema import ACCESS

_FIELDS = (("access", 2), ("images", 1), ("pixels", 14), ("length", 15), ("source", 8), ("id", 24))
"""What counts and in how many bits, the most important first: 64 together."""
_FRACTION_BITS = {"pixels": 8, "length": 10}


def survivor_order(
    samples: pa.Table, images: pa.Table | None = None, sources: Sequence[str] = ()
) -> npt.NDArray[np.uint64]:
    """The place of each sample in the order of survivors, shape (N,).

    Better is, in this order: the more open access; pictures rather than none; more pixels in all pictures together
    (told apart from 0.4 % on); the longer text in bytes (exact to 2,048, from 0.1 % on above); the earlier source of
    `sources` (others last, together); the smaller first 24 bits of the sample id. It depends on the sample alone,
    never on where it is read.

    Args:
        samples: with the columns `sample_id`, `source`, `access`, `images`, `turns`.
        images: IMAGES of these samples; without it pictures have no size.
        sources: names in the recipe's order.
    """
    with_images = pc.greater(pc.fill_null(pc.list_value_length(samples["images"]), 0), 0)
    values = {
        "access": pc.fill_null(pc.index_in(samples["access"], pa.array(ACCESS)), len(ACCESS) - 1),
        "images": pc.invert(with_images).cast(pa.uint8()),
        "pixels": _descending(_pixels(samples, images), "pixels"),
        "length": _descending(_text_bytes(samples["turns"]), "length"),
        "source": pc.fill_null(pc.index_in(samples["source"], pa.array(sources, pa.string())), len(sources)),
        "id": _first_bits(samples["sample_id"]),
    }
    order = np.zeros(len(samples), np.uint64)
    for name, bits in _FIELDS:
        value = np.asarray(values[name]).astype(np.uint64)
        order = order << np.uint64(bits) | np.minimum(value, np.uint64(2**bits - 1))
    return order


def _descending(sizes: npt.NDArray[np.int64], name: str) -> npt.NDArray[np.uint64]:
    """Numbers that fall as sizes rise: exponent and upper bits of the fraction of the size as a float."""
    fraction = _FRACTION_BITS[name]
    one = np.float64(1).view(np.uint64) >> np.uint64(52 - fraction)
    scaled = np.maximum(sizes, 0).astype(np.float64)
    rising = np.where(
        sizes > 0, (scaled.view(np.uint64) >> np.uint64(52 - fraction)) - one + np.uint64(1), np.uint64(0)
    )
    most = np.uint64(2 ** dict(_FIELDS)[name] - 1)
    falling: npt.NDArray[np.uint64] = most - np.minimum(rising, most)
    return falling


def _first_bits(ids: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """The first 24 bits of ids in hexadecimal digits (small letters)."""
    digits = np.frombuffer("".join(pc.utf8_slice_codeunits(ids, 0, 6).to_pylist()).encode(), np.uint8).reshape(-1, 6)
    values = np.where(digits < ord("a"), digits - ord("0"), digits - (ord("a") - 10)).astype(np.uint64)
    bits: npt.NDArray[np.uint64] = values @ (np.uint64(16) ** np.arange(5, -1, -1, dtype=np.uint64))
    return bits


def _text_bytes(turns: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    lists = turns.chunk(0) if turns.num_chunks == 1 else turns.combine_chunks()
    lengths = pc.fill_null(pc.binary_length(pc.list_flatten(lists).field("text")), 0).to_numpy(zero_copy_only=False)
    return _sums(lists, lengths)


def _pixels(samples: pa.Table, images: pa.Table | None) -> npt.NDArray[np.int64]:
    lists = samples["images"].combine_chunks()
    if images is None:
        return np.zeros(len(lists), np.int64)
    ids = pc.list_flatten(lists).field("image_id")
    places = pc.index_in(ids, images["image_id"].combine_chunks())
    sizes = pc.multiply(images["width"].cast(pa.int64()), images["height"].cast(pa.int64())).combine_chunks()
    return _sums(lists, pc.fill_null(sizes.take(places), 0).to_numpy(zero_copy_only=False))


def _sums(lists: pa.ListArray, values: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """The sum of each list's values, given those of all lists in order."""
    ends = np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64))
    running = np.concatenate([np.zeros(1, np.int64), np.cumsum(values, dtype=np.int64)])
    sums: npt.NDArray[np.int64] = np.diff(running[ends], prepend=0)
    return sums
