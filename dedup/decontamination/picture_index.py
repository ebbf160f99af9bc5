"""The pictures of eval sets, so that a training picture is looked up in all of them at once.

Each picture is kept whole and by its panels: hashes of each part, and codes of its local features in buckets. All are
flat arrays, that tables hold as they are; a worker loads them once. Nothing here is believed: it nominates.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dedup.decontamination.picture_features import features_of, packed, posed, protected_features, unpacked, versions
from dedup.fingerprints import HASH_BYTES, ORIENTATIONS, Fingerprint, fingerprint_of
from dedup.kernels.local_codes import KEY_BITS, VERSIONS, agreeing, in_one_pose, near_hashes
from sources.pictures.panels import Region, panels_of

Grey = npt.NDArray[np.uint8]
Protected = tuple[int, Grey, str, str]
"""Picture number, grey picture H x W, hash of its bytes (its image id), hash of its decoded pixels."""

RADIUS = 64
"""Differing bits of 256 up to which a whole picture or panel is looked at, as among near-duplicates."""
CODE_RADIUS = 14
"""Differing bits of 64 up to which two features may be one: 90 % of true pairs differ in at most 12 of the surest 64
bits, 1 in 10,000 of others in at most 14."""
PROBES = np.array([0, 1, 2, 4, 3])
"""Sets of the three least sure key bits that are also tried the other way."""
MOST_MATCHES = 24
"""Nearest entries of the index that one feature may agree with, so that a feature all pictures have stays cheap."""
FEWEST_VOTES, SMALL = 5, 2000
"""Features in one pose from which pixels are looked at, in an index of at most 2,000 parts; one more for each ten times
as many. Of 5,600 pairs of films of different patients 2 had three in one pose, none more."""
TOLERANCE = 0.04
"""Of the longer side: what places of features may be off in one pose."""

FEATURES = pa.schema([("key", pa.int32()), ("code", pa.uint64()), ("part", pa.int32()), ("pose", pa.uint32())])
PARTS = pa.schema(
    [
        ("picture", pa.int32()), ("top", pa.int32()), ("bottom", pa.int32()), ("left", pa.int32()),
        ("right", pa.int32()), ("pdq", pa.binary(HASH_BYTES)), ("canonical", pa.binary(HASH_BYTES)),
    ]
)  # fmt: skip
PICTURES = pa.schema(
    [("picture", pa.int32()), ("bytes_hash", pa.string()), ("pixel_hash", pa.string()), ("informative", pa.bool_())]
)


class Nomination(NamedTuple):
    """A part of the index of which a region of a picture may be a copy.

    `votes` features agree on one pose; `bits` differ between the hashes, None where they are out of reach. The region
    is a copy of the part after it was mirrored and inverted.
    """

    part: int
    region: Region
    votes: int
    bits: int | None
    mirrored: bool
    inverted: bool


class Arrays(NamedTuple):
    """An index of F features for searching.

    `starts` (2^22 + 1) are the first entries of each key in `codes` F, `parts` F and `poses` F x 4; `words` 2 x H x 4
    the raw and canonical hashes of the parts `hashed` H.
    """

    starts: npt.NDArray[np.int32]
    codes: npt.NDArray[np.uint64]
    parts: npt.NDArray[np.int32]
    poses: npt.NDArray[np.uint8]
    hashed: npt.NDArray[np.int64]
    words: npt.NDArray[np.uint64]


@dataclass(frozen=True)
class PictureIndex:
    """Pictures (PICTURES), their parts (PARTS) and their features (FEATURES, sorted by key); `of` builds one.

    Pickled as tables; what a search needs besides is made at its first use.
    """

    pictures: pa.Table
    parts: pa.Table
    features: pa.Table

    @classmethod
    def of(cls, pictures: Iterable[Protected]) -> "PictureIndex":
        """The index of some pictures, in the order of their numbers."""
        rows: list[tuple[int, str, str, bool]] = []
        parts: list[tuple[int, Region, Fingerprint]] = []
        features: list[pa.Table] = [FEATURES.empty_table()]
        for number, grey, bytes_hash, pixel_hash in pictures:
            rows.append((number, bytes_hash, pixel_hash, fingerprint_of(grey).usable))
            for region in regions_of(grey):
                part = cut(grey, region)
                features.append(_features_table(part, len(parts)))
                parts.append((number, region, fingerprint_of(part)))
        return cls.from_tables(
            {
                "pictures": _columns(PICTURES, rows),
                "parts": _columns(PARTS, [(number, *region, *_hashes(found)) for number, region, found in parts]),
                "features": pa.concat_tables(features),
            }
        )

    @classmethod
    def merged(cls, indexes: Sequence["PictureIndex"]) -> "PictureIndex":
        """The same index as of all their pictures at once, where they are given in the order of picture numbers."""
        features, before = [FEATURES.empty_table()], 0
        for index in indexes:
            shifted = pa.array(index.features["part"].to_numpy() + np.int32(before), pa.int32())
            features.append(index.features.set_column(2, "part", shifted))
            before += index.parts.num_rows
        return cls.from_tables(
            {
                "pictures": pa.concat_tables([PICTURES.empty_table(), *(index.pictures for index in indexes)]),
                "parts": pa.concat_tables([PARTS.empty_table(), *(index.parts for index in indexes)]),
                "features": pa.concat_tables(features),
            }
        )

    def tables(self) -> dict[str, pa.Table]:
        """All of it, for `from_tables`."""
        return {"pictures": self.pictures, "parts": self.parts, "features": self.features}

    @classmethod
    def from_tables(cls, tables: Mapping[str, pa.Table]) -> "PictureIndex":
        """The index that `tables` gave."""
        pictures, parts, features = (tables[name].combine_chunks() for name in ("pictures", "parts", "features"))
        keys = features["key"].to_numpy()
        if (np.diff(keys) < 0).any():
            features = features.take(pa.array(np.argsort(keys, kind="stable"))).combine_chunks()
        return cls(pictures, parts, features)

    def __reduce__(self) -> tuple[Callable[[Mapping[str, pa.Table]], "PictureIndex"], tuple[dict[str, pa.Table]]]:
        return PictureIndex.from_tables, (self.tables(),)

    @cached_property
    def arrays(self) -> "Arrays":
        """The same for searching."""
        starts = np.zeros((1 << KEY_BITS) + 1, np.int64)
        np.cumsum(np.bincount(self.features["key"].to_numpy(), minlength=1 << KEY_BITS), out=starts[1:])
        poses = np.ascontiguousarray(self.features["pose"].to_numpy()).view(np.uint8).reshape(-1, 4)
        hashes = [
            np.frombuffer(b"".join(self.parts[name].drop_null().to_pylist()), "<u8").reshape(-1, 4) for name in _HASHES
        ]
        hashed = np.flatnonzero(self.parts["pdq"].is_valid().to_numpy())
        codes, parts = (self.features[name].to_numpy() for name in ("code", "part"))
        return Arrays(starts.astype(np.int32), codes, parts, poses, hashed, np.stack(hashes))

    @property
    def fewest_votes(self) -> int:
        """Features that must agree on one pose: chance alone reaches more in a larger index."""
        return FEWEST_VOTES + max(0, math.ceil(math.log10(max(self.parts.num_rows, 1) / SMALL)))

    def equal(self, image_id: str, pixel_hash: str | None) -> list[tuple[int, str]]:
        """Numbers of pictures of the same bytes or pixels, and which of them; never of ones that say too little."""
        names = {("bytes_hash", "bytes"): image_id, ("pixel_hash", "pixels"): pixel_hash}
        found: dict[int, str] = {}
        for (column, name), value in names.items():
            for number in self._equals[column].get(value or "", ()):
                found.setdefault(number, name)
        return sorted(found.items())

    def is_whole(self, part: int) -> bool:
        """Whether a part is a whole picture, not a panel."""
        return bool(self._whole[part])

    @cached_property
    def _whole(self) -> npt.NDArray[np.bool_]:
        numbers = self.parts["picture"].to_numpy()
        return np.concatenate([[True], numbers[1:] != numbers[:-1]]) if len(numbers) else np.zeros(0, bool)

    @cached_property
    def _equals(self) -> dict[str, dict[str, list[int]]]:
        found: dict[str, dict[str, list[int]]] = {"bytes_hash": {}, "pixel_hash": {}}
        for row in self.pictures.to_pylist():
            for column, known in found.items():
                if row["informative"] and row[column]:
                    known.setdefault(row[column], []).append(row["picture"])
        return found

    def nominated(self, grey: Grey) -> list[Nomination]:
        """Parts that the picture H x W, or one of its panels, may be a copy of: the likeliest first."""
        found = [one for region in regions_of(grey) for one in self._of_region(grey, region)]
        return sorted(found, key=lambda one: (-one.votes, 256 if one.bits is None else one.bits, one.part, one.region))

    def _of_region(self, grey: Grey, region: Region) -> list[Nomination]:
        part = cut(grey, region)
        near = self._near(fingerprint_of(part))
        voted = self._voted(part)
        nominations = [
            Nomination(number, region, votes, near.get(number, (None,))[0], mirrored, inverted)
            for (number, mirrored, inverted), votes in voted.items()
        ]
        missing = near.keys() - {number for number, _, _ in voted}
        nominations += [Nomination(number, region, 0, *near[number]) for number in missing]
        return nominations

    def _near(self, found: Fingerprint) -> dict[int, tuple[int, bool, bool]]:
        """Differing bits, mirrored and inverted of each part whose hash is near."""
        if not found.usable:
            return {}
        near: dict[int, tuple[int, bool, bool]] = {}
        for words, known in ((found.pdq, self.arrays.words[0]), (found.oriented, self.arrays.words[1])):
            queries = np.frombuffer(words, "<u8").reshape(-1, 4)
            for number, orientation, inverted, bits in near_hashes(queries, known, RADIUS).tolist():
                part = int(self.arrays.hashed[number])
                told = (bits, orientation in _MIRRORED, bool(inverted))
                near[part] = min(near.get(part, told), told)
        return near

    def _voted(self, part: Grey) -> dict[tuple[int, bool, bool], int]:
        """Features that agree on one pose, by part, mirrored and inverted, where they are enough."""
        features, masks, arrays = features_of(part), versions(), self.arrays
        rows = agreeing(
            features.keys, features.codes, features.weakest, masks.keys, masks.codes, PROBES,
            arrays.starts, arrays.codes, CODE_RADIUS, MOST_MATCHES,
        )  # fmt: skip
        groups = arrays.parts[rows[:, 2]].astype(np.int64) * VERSIONS + rows[:, 1]
        order = np.argsort(groups, kind="stable")
        values, first, counts = np.unique(groups[order], return_index=True, return_counts=True)
        voted, fewest = {}, self.fewest_votes
        for group, start, count in zip(values.tolist(), first.tolist(), counts.tolist(), strict=True):
            if count < fewest:
                continue
            some = rows[order[start : start + count]]
            sought = posed(features, group % VERSIONS)[some[:, 0]].astype(np.float64)
            known = unpacked(arrays.poses[some[:, 2]]).astype(np.float64)
            votes = int(in_one_pose(sought, known, some[:, 0].astype(np.int64), TOLERANCE))
            if votes >= fewest:
                voted[group // VERSIONS, bool(group & 2), bool(group & 1)] = votes
        return voted


_HASHES = ("pdq", "canonical")
_MIRRORED = frozenset(number for number in range(ORIENTATIONS) if number.bit_count() % 2)
"""Orientations with an odd number of mirrorings."""


def regions_of(grey: Grey) -> list[Region]:
    """The whole picture, then its panels."""
    return [Region(0, grey.shape[0], 0, grey.shape[1]), *panels_of(grey)]


def cut(grey: Grey, region: Region) -> Grey:
    """That region of a picture."""
    return np.ascontiguousarray(grey[region.top : region.bottom, region.left : region.right])


def _hashes(found: Fingerprint) -> tuple[bytes, bytes] | tuple[None, None]:
    """Raw and canonical hash; none of a picture that says too little."""
    return (found.pdq, found.canonical) if found.usable else (None, None)


def _features_table(part: Grey, number: int) -> pa.Table:
    found = protected_features(part)
    poses = packed(found.poses).view(np.uint32).ravel()
    columns = (found.keys, found.codes, np.full(len(found.keys), number, np.int32), poses)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, FEATURES, strict=True)], FEATURES)


def _columns(schema: pa.Schema, rows: Sequence[tuple[object, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema)
