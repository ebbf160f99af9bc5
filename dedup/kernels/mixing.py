"""Spreading the bits of a hash."""

# mypy: allow-untyped-defs, no-check-untyped-defs

import numpy as np

from dedup.kernels.compiled import part

_MIX_A = np.uint64(0xFF51AFD7ED558CCD)
_MIX_B = np.uint64(0xC4CEB9FE1A85EC53)
_S33 = np.uint64(33)


@part
def mixed(x):
    """All bits of x spread over all bits (the finaliser of MurmurHash3)."""
    x ^= x >> _S33
    x *= _MIX_A
    x ^= x >> _S33
    x *= _MIX_B
    x ^= x >> _S33
    return x
