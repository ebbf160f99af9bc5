"""Which of random mixtures of numbers is the strongest: sixteen numbers with random signs, Hadamard-transformed."""

# mypy: allow-untyped-defs, no-check-untyped-defs
# numba infers the types of kernels.

import numpy as np

from dedup.kernels.compiled import kernel, part

MIXED = 16
"""Numbers of a class, and mixtures that one pattern of signs gives: -127..127 each, so that sums fit into 16 bits."""
LANES = 64


@kernel
def strongest_of(numbers, signs, mixtures):
    """Codes N x B x 5 (int32) of `numbers` C x 16 x N (int8).

    `signs` B x P x 16 (int16, 1 or -1): patterns class after class, `mixtures` C of how many. Codes 0 to 3: the number
    of the strongest of each of four classes' mixtures, the first of equals; code 4: whether an odd number of the four
    are negative.
    """
    classes, _, count = numbers.shape
    bands = signs.shape[0]
    codes = np.zeros((count, bands, classes + 1), np.int32)
    lanes = np.empty((MIXED, LANES), np.int16)
    best, number, sign = np.empty(LANES, np.int16), np.empty(LANES, np.int16), np.empty(LANES, np.int16)
    for start in range(0, count, LANES):
        width = min(LANES, count - start)
        lanes[:] = 0
        for band in range(bands):
            pattern = 0
            for which in range(classes):
                best[:] = -1
                for nth in range(mixtures[which]):
                    for place in range(MIXED):
                        factor = signs[band, pattern, place]
                        for lane in range(width):
                            lanes[place, lane] = factor * np.int16(numbers[which, place, start + lane])
                    pattern += 1
                    _transformed(lanes)
                    for place in range(MIXED):
                        for lane in range(LANES):
                            value = lanes[place, lane]
                            strength = np.int16(abs(value))
                            stronger = strength > best[lane]
                            best[lane] = strength if stronger else best[lane]
                            number[lane] = np.int16(MIXED * nth + place) if stronger else number[lane]
                            sign[lane] = np.int16(value < 0) if stronger else sign[lane]
                for lane in range(width):
                    codes[start + lane, band, which] = number[lane]
                    codes[start + lane, band, classes] ^= np.int32(sign[lane])
    return codes


@part
def _transformed(lanes):
    """The Hadamard transform of 16 rows, in place."""
    step = 1
    while step < MIXED:
        for first in range(0, MIXED, 2 * step):
            for row in range(first, first + step):
                for lane in range(LANES):
                    one, other = lanes[row, lane], lanes[row + step, lane]
                    lanes[row, lane], lanes[row + step, lane] = np.int16(one + other), np.int16(one - other)
        step *= 2
