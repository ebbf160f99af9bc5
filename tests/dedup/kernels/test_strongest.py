import numpy as np

from dedup.kernels.strongest import LANES, MIXED, strongest_of

HADAMARD = np.array([[(-1) ** (row & column).bit_count() for column in range(MIXED)] for row in range(MIXED)])


def test_codes_are_those_of_the_transform_written_out() -> None:
    rng = np.random.default_rng(1)
    count, mixtures = 2 * LANES + 3, (3, 1, 2, 1)
    numbers = rng.integers(-127, 128, (4, MIXED, count)).astype(np.int8)
    numbers[:, :, 5] = 0  # all equal: the first counts
    numbers[:, :, 6] = 127
    signs = rng.choice(np.array([-1, 1], np.int16), (5, sum(mixtures), MIXED))
    found = strongest_of(numbers, signs, np.array(mixtures))
    assert found.dtype == np.int32
    for item in range(count):
        for band in range(5):
            patterns = iter(signs[band].astype(np.int64))
            expected, negative = [], 0
            for which, many in enumerate(mixtures):
                mixed = np.concatenate([HADAMARD @ (next(patterns) * numbers[which, :, item]) for _ in range(many)])
                expected.append(int(np.abs(mixed).argmax()))
                negative ^= int(mixed[expected[-1]] < 0)
            assert found[item, band].tolist() == [*expected, negative]
