"""Near-duplicate pictures: which may be copies of one another, and whether two are.

Fingerprints nominate (`dedup/fingerprints.py`), pixels decide (`dedup/verify_pictures.py`). docs/near_image.md has
what was measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import blake3
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dedup.bands import BAND_KEYS
from dedup.fingerprints import HASH_BYTES, WAVES, WEAKEST_QUALITY, distances
from dedup.kernels.sorting import order_of_hashes
from dedup.keys import KEY_BYTES, with_ties_sorted
from dedup.picture_bands import bands_of
from dedup.picture_phash import phashes_of
from dedup.picture_rules import rule_for
from dedup.text import NearText
from dedup.verify_pictures import Match, Prepared, verify_pictures
from sources.schema import Reason

RADIUS = 64
"""Differing bits of 256, of the raw or the canonical hash in any orientation and polarity, up to which pixels are
looked at. Different patients' films start at 72 (raw) and 80 (canonical); what is nominated is never believed."""

SERIES = frozenset({"ct", "mri"})
"""Modalities whose pictures are slices of a series, where one is known: neighbours are near-duplicates by construction,
so slices are the same only pixel by pixel, and a series repeats where all its slices do."""
SERIES_GROUPS = frozenset({"series", "study"})
"""Kinds of groups that name a series, or several at once. Of DICOM the header is enough: it always names one."""
_PIXELS = 2**40 - 1


@dataclass(frozen=True)
class Pair:
    """What is known of two pictures: `verdict` None until pixels were compared.

    `score` is the correlation of the pixels (1 where they are equal), `cause` what spoke against the pair, `detail`
    what the evidence shows, `modality` whose threshold applies.
    """

    verdict: Literal["duplicate", "related", "different"] | None
    score: float
    cause: str | None = None
    detail: Mapping[str, Any] | None = None
    modality: str = "unknown"


class NearImage:
    """Proposes pictures that may be copies, and tells which are.

    Copies are pictures of equal pixels, or whose pixels agree after the geometry and grey scale between them were
    found. With `method` phash they are instead those whose 64-bit perceptual hashes differ in at most `distance` bits
    (Lingshu publishes 0): that merges films of different patients, and is there for comparison. Pictures of too
    little information (PDQ quality below 50) are copies of none.
    """

    name = "near_image"
    version = 2
    reason = Reason.NEAR_IMAGE_TEXT
    columns = NearText.columns
    picture_columns = (
        "image_id", "pixel_hash", "modality", "format", "serial", "phash",
        "pdq", "pdq_canonical", "pdq_turned", "pdq_quality",
    )  # fmt: skip
    """What `compared` looks at: columns of IMAGES, and `serial`, whether the picture's sample names its series."""

    def __init__(self, text: NearText | None = None, method: str = "verified", distance: int = 0) -> None:
        """`text` compares the texts of samples whose pictures are copies.

        Raises:
            ValueError: an unknown method, or a distance that is not from 0 to 10 or goes with another method.
        """
        if method not in {"verified", "phash"}:
            raise ValueError(f"near_image: method is verified or phash, not {method}")
        if not 0 <= distance <= 10:
            raise ValueError(f"near_image: distance is a number of differing bits from 0 to 10, not {distance}")
        if distance and method != "phash":
            raise ValueError("near_image: distance goes with method phash; verified decides on pixels")
        self.text = NearText() if text is None else text
        self.method = method
        self.distance = distance

    @property
    def threshold(self) -> float:
        """Of the score in the ledger: the similarity of the texts."""
        return self.text.threshold

    def parameters(self) -> dict[str, object]:
        """Everything that the answers depend on."""
        return {"pictures": self.picture_parameters(), "text": self.text.parameters()}

    def picture_parameters(self) -> dict[str, object]:
        """What nominations and verdicts on pictures depend on."""
        return {"method": self.method, "distance": self.distance, "radius": RADIUS}

    def picture_ids(self, images: pa.Table) -> pa.Array:
        """The image ids as 16 bytes."""
        return pa.array([bytes.fromhex(image_id) for image_id in images["image_id"].to_pylist()], pa.binary(KEY_BYTES))

    def picture_order(self, images: pa.Table) -> pa.Array:
        """The order of survivors: more pixels first, then the smaller id."""
        sides = images["width"].to_numpy().astype(np.uint64), images["height"].to_numpy().astype(np.uint64)
        fewer = np.uint64(_PIXELS) - np.minimum(sides[0] * sides[1], np.uint64(_PIXELS))
        ids = np.array([int(image_id[:6], 16) for image_id in images["image_id"].to_pylist()], np.uint64)
        return pa.array(fewer << np.uint64(24) | ids, pa.uint64())

    def picture_keys(self, images: pa.Table, repeated: npt.NDArray[np.int32] | None = None) -> pa.Table:
        """BAND_KEYS of the rows of IMAGES; those of `repeated` are only found by equal pixels.

        A picture's keys depend on it alone.
        """
        rows = np.flatnonzero(_informative(images)).astype(np.int32)
        usable = images.take(pa.array(rows))
        order = self.picture_order(usable).to_numpy()
        sought = ~np.isin(rows, [] if repeated is None else repeated) & ~_in_series(usable)
        places = np.flatnonzero(sought)
        some = usable.take(pa.array(places))
        if self.method == "phash":
            bands = bands_of({"phash": phashes_of(some["phash"])}, self.distance)
        else:
            bands = bands_of({"waves": waves_of(some)}, RADIUS)
        digests, mates = bands
        same = np.array(
            [_pixel_digest(row) for row in usable.select(["image_id", "pixel_hash"]).to_pylist()], np.uint64
        )
        columns = (
            np.concatenate([same, digests.ravel()]),
            np.concatenate([np.zeros(len(same), np.int32), mates.ravel()]),
            np.concatenate([np.arange(len(rows)), np.repeat(places, digests.shape[1])]),
        )
        return _table(*columns, order, rows)

    def compared(self, row: Mapping[str, Any], other: Mapping[str, Any]) -> Pair:
        """What the two rows of IMAGES say without pixels: verdict None where those must be looked at."""
        modality = row["modality"] if row["modality"] == other["modality"] else "unknown"
        if min(row["pdq_quality"], other["pdq_quality"]) < WEAKEST_QUALITY:
            return Pair("different", 0.0, "low_information")
        if _identity(row) == _identity(other):
            return Pair("duplicate", 1.0, detail={"pixels": "equal"}, modality=modality)
        if is_slice(row) or is_slice(other):
            return Pair("different", 0.0, "series")
        if self.method == "phash":
            apart = phash_distance(row["phash"], other["phash"])
            near = apart <= self.distance
            return Pair("duplicate" if near else "different", 1 - apart / 64, None if near else "distance")
        apart = candidate_distance(row, other)
        if apart > RADIUS:
            return Pair("different", 0.0, "distance", {"distance": apart})
        return Pair(None, 0.0, detail={"distance": apart}, modality=modality)

    def verified(self, pair: Pair, a: Prepared, b: Prepared) -> Pair:
        """The same pair after its pixels were compared."""
        match = verify_pictures(a, b, rule_for(pair.modality))
        cause = None if match.verdict == "duplicate" else match.verdict
        return Pair(match.verdict, match.ncc, cause, {**(pair.detail or {}), **_shown(match)}, pair.modality)


def candidate_distance(row: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    """Differing bits of two rows' fingerprints, the least over raw and canonical, orientation and polarity."""
    a, b = (_stack(one) for one in (row, other))
    return int(candidate_distances(a[None], b[None])[0])


def candidate_distances(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """The same of N x 9 x 32 and N x 9 x 32: raw, canonical upright, canonical in the seven other orientations."""
    apart = np.concatenate([distances(a[:, :1], b[:, :1]), distances(a[:, 1:2], b[:, 1:])], axis=1)
    nearest: npt.NDArray[np.int64] = np.minimum(apart, 8 * HASH_BYTES - apart).min(axis=1)
    return nearest


def waves_of(images: pa.Table) -> npt.NDArray[np.int8]:
    """N x 128: the strengths of the lowest frequencies, of rows that have them."""
    return np.frombuffer(b"".join(images["pdq_waves"].to_pylist()), np.int8).reshape(-1, 2 * WAVES * WAVES)


def is_slice(row: Mapping[str, Any]) -> bool:
    """Whether the picture is one of a series: its sample says so, or it is DICOM (PS3.3 C.7.3.1)."""
    return row["modality"] in SERIES and (row["format"] == "dicom" or bool(row.get("serial")))


def phash_distance(a: bytes, b: bytes) -> int:
    """Differing bits of two perceptual hashes."""
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).bit_count()


def _stack(row: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(row["pdq"] + row["pdq_canonical"] + row["pdq_turned"], np.uint8).reshape(-1, HASH_BYTES)


def _shown(match: Match) -> dict[str, Any]:
    """A match as evidence shows it."""
    return {
        "inliers": match.inliers, "ncc": round(match.ncc, 4), "scale": round(match.scale, 3),
        "rotation": round(match.rotation, 1), "mirrored": match.mirrored, "inverted": match.inverted,
        "overlap": round(match.overlap, 3),
    }  # fmt: skip


def _identity(row: Mapping[str, Any]) -> str:
    return str(row["pixel_hash"] or row["image_id"])


def _pixel_digest(row: Mapping[str, Any]) -> int:
    return int.from_bytes(blake3.blake3(b"pixels " + _identity(row).encode()).digest(8), "big")


def _informative(images: pa.Table) -> npt.NDArray[np.bool_]:
    quality = images["pdq_quality"].fill_null(0).to_numpy()
    enough: npt.NDArray[np.bool_] = quality >= WEAKEST_QUALITY
    return enough


def _in_series(images: pa.Table) -> npt.NDArray[np.bool_]:
    told = [name for name in ("modality", "format", "serial") if name in images.column_names]
    return np.array([is_slice(row) for row in images.select(told).to_pylist()], bool)


def _table(
    digests: npt.NDArray[np.uint64],
    mates: npt.NDArray[np.int32],
    places: npt.NDArray[np.int64],
    order: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.int32],
) -> pa.Table:
    """BAND_KEYS sorted by key, then row."""
    words = np.stack([digests, order[places]], axis=1)
    numbers = rows[places]
    sequence = with_ties_sorted(order_of_hashes(digests), digests, order[places], numbers)
    data = pa.py_buffer(words[sequence].astype(">u8").tobytes())
    keys = pa.FixedSizeBinaryArray.from_buffers(pa.binary(KEY_BYTES), len(words), [None, data])
    return pa.table([keys, pa.array(numbers[sequence]), pa.array(mates[sequence])], schema=BAND_KEYS)
