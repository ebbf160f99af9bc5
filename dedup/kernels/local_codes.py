"""Binary codes of local features, and which pictures of an index many of a picture's features agree with.

A SIFT descriptor is a grid of 4 x 4 places by 8 directions. Its transform by cosines in both directions of the grid
and by waves in the direction has, for each component, a parity: the inverted picture's feature has its grid turned by
half, the mirrored one's its rows and directions reversed, and each component then keeps its value or changes sign.
The signs of the components of odd parity are the code: half of them set in any collection, and the code of a
mirrored or inverted feature is the code with a fixed mask. All is in integers.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

import numpy as np

from dedup.kernels.compiled import kernel

KEY_BITS = 22
CODE_BITS = 64
VERSIONS = 4
"""As it is, inverted, mirrored, both: bit 0 is inverted, bit 1 mirrored."""


@kernel
def codes_of(descriptors, roots, basis):
    """Keys N, codes N and key bits nearest to changing N x 3 of descriptors N x 128 by a basis 86 x 128."""
    count, (bits, places) = len(descriptors), basis.shape
    keys, codes = np.zeros(count, np.int32), np.zeros(count, np.uint64)
    weakest = np.zeros((count, 3), np.int32)
    level = np.empty(places, np.int32)
    magnitude = np.empty(KEY_BITS, np.int64)
    for number in range(count):
        for place in range(places):
            level[place] = roots[descriptors[number, place]]
        for bit in range(bits):
            total = np.int32(0)
            for place in range(places):
                total += basis[bit, place] * level[place]
            if bit < KEY_BITS:
                magnitude[bit] = abs(total)
                if total > 0:
                    keys[number] |= np.int32(1) << np.int32(bit)
            elif total > 0:
                codes[number] |= np.uint64(1) << np.uint64(bit - KEY_BITS)
        for rank in range(3):
            least = np.argmin(magnitude)
            weakest[number, rank] = np.int32(1) << np.int32(least)
            magnitude[least] = np.int64(1) << 62
    return keys, codes, weakest


@kernel
def _wrong(a, b):
    """Differing bits of two 64-bit codes."""
    word = a ^ b
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@kernel
def _within(key, code, weakest, probes, starts, entries, radius, near, counts):
    """Entries of the probed buckets within a radius: rows (entry, differing bits) in `near`, counted by bits."""
    found = 0
    counts[:] = 0
    for probe in probes:
        probed = key
        for rank in range(len(weakest)):
            if probe >> rank & 1:
                probed ^= weakest[rank]
        for entry in range(starts[probed], starts[probed + 1]):
            apart = np.int64(_wrong(code, entries[entry]))
            if apart <= radius:
                if found == len(near):
                    near = np.concatenate((near, np.empty_like(near)))
                near[found, 0], near[found, 1] = entry, apart
                counts[apart] += 1
                found += 1
    return near, found


@kernel
def agreeing(keys, codes, weakest, key_masks, code_masks, probes, starts, entries, radius, most):
    """Rows (feature, version, entry): entries in a probed bucket whose code differs in at most `radius` bits.

    `probes` are sets (bits 0..2) of a key's weakest bits that are also tried changed. Of a feature in one version the
    nearest `most` entries are kept, and more only at their largest distance: a feature that all pictures have costs
    no more than others.
    """
    rows = np.empty((4096, 3), np.int32)
    count = 0
    near, counts = np.empty((4096, 2), np.int64), np.empty(radius + 1, np.int64)
    for feature in range(len(keys)):
        for version in range(len(key_masks)):
            key, code = keys[feature] ^ key_masks[version], codes[feature] ^ code_masks[version]
            near, found = _within(key, code, weakest[feature], probes, starts, entries, radius, near, counts)
            limit, kept = 0, counts[0]
            while limit < radius and kept < most:
                limit += 1
                kept += counts[limit]
            for one in range(found):
                if near[one, 1] <= limit:
                    if count == len(rows):
                        rows = np.concatenate((rows, np.empty_like(rows)))
                    rows[count, 0], rows[count, 1], rows[count, 2] = feature, version, near[one, 0]
                    count += 1
    return rows[:count]


@kernel
def in_one_pose(query, known, features, tolerance):
    """How many distinct features agree on one similarity: of M pairs of poses (x, y, log2 size, degrees) M x 4.

    A pair alone says how the one picture lies on the other; the answer is the most features (numbers M) that any
    pair's saying fits: angle within 30 degrees, size within a factor of 1.6, place within `tolerance` and a quarter of
    the distance, whose scale and angle one pair knows badly.
    """
    count = len(query)
    best = 0
    seen = np.full(features.max() + 1, -1, np.int64)
    for one in range(count):
        turn = known[one, 3] - query[one, 3]
        growth = known[one, 2] - query[one, 2]
        scale = 2.0**growth
        cosine, sine = scale * np.cos(np.radians(turn)), scale * np.sin(np.radians(turn))
        agreed = 0
        for other in range(count):
            if seen[features[other]] == one:
                continue
            apart = abs((known[other, 3] - query[other, 3] - turn + 180.0) % 360.0 - 180.0)
            if apart > 30.0 or abs(known[other, 2] - query[other, 2] - growth) > 0.68:
                continue
            dx, dy = query[other, 0] - query[one, 0], query[other, 1] - query[one, 1]
            x = known[one, 0] + cosine * dx - sine * dy - known[other, 0]
            y = known[one, 1] + sine * dx + cosine * dy - known[other, 1]
            allowed = tolerance + 0.25 * scale * np.sqrt(dx * dx + dy * dy)
            if x * x + y * y <= allowed * allowed:
                seen[features[other]] = one
                agreed += 1
        best = max(best, agreed)
    return best


@kernel
def near_hashes(queries, known, radius):
    """Rows (number known, query, inverted, bits): hashes N x 4 words within a radius of queries Q x 4 words."""
    found = np.empty((64, 4), np.int64)
    count = 0
    for number in range(len(known)):
        for query in range(len(queries)):
            apart = np.int64(0)
            for word in range(4):
                apart += np.int64(_wrong(queries[query, word], known[number, word]))
            if min(apart, 256 - apart) <= radius:
                if count == len(found):
                    found = np.concatenate((found, np.empty_like(found)))
                found[count, 0], found[count, 1] = number, query
                found[count, 2], found[count, 3] = apart > 128, min(apart, 256 - apart)
                count += 1
    return found[:count]
