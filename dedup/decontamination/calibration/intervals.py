"""Intervals of shares that were counted, and of what was not."""

import math

Z = 1.959964
"""Standard deviations that hold 95 % of a normal distribution."""


def wilson(found: int, of: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson, JASA 22, 1927); 0 to 1 where nothing was counted."""
    if of == 0:
        return 0.0, 1.0
    share = found / of
    middle = share + Z * Z / (2 * of)
    half = Z * math.sqrt(share * (1 - share) / of + Z * Z / (4 * of * of))
    low, high = ((middle + sign * half) / (1 + Z * Z / of) for sign in (-1, 1))
    return (0.0 if found == 0 else max(low, 0.0)), (1.0 if found == of else min(high, 1.0))


def at_most(seen: int, of: int, share: float) -> float:
    """The probability that of so many independent events of probability `share` no more than `seen` happen."""
    if seen >= of or share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    if seen > of * share:  # the tail away from the mean is summed: its terms shrink from the first one on
        return 1.0 - _tail(of - seen - 1, of, 1 - share)
    return min(_tail(seen, of, share), 1.0)


def _tail(seen: int, of: int, share: float) -> float:
    """The same where `seen` is below the mean."""
    term = math.exp(
        math.lgamma(of + 1) - math.lgamma(seen + 1) - math.lgamma(of - seen + 1)
        + seen * math.log(share) + (of - seen) * math.log1p(-share)
    )  # fmt: skip
    total = term
    for count in range(seen, 0, -1):
        term *= count / (of - count + 1) * (1 - share) / share
        total += term
        if term < 1e-12 * total:
            break
    return total


def most_missed(seen: int, share: float, most: int, error: float) -> int:
    """The most events, of `most`, that may have been missed where each was seen with probability `share`.

    The largest m for which at most `seen` of `seen` + m would be seen with a probability above `error`: the exact
    one-sided bound of Clopper and Pearson (Biometrika 26, 1934), solved for the number instead of the share.
    """
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if at_most(seen, seen + middle, share) > error:
            low = middle
        else:
            high = middle - 1
    return low
