"""The mixture: how often each sample is used in each epoch, a function of (seed, epoch, number of the sample) alone.

A sample's multiplier is weight of its source x of its modality x of its task x (n / n_largest) ^ (1 / T - 1), where n
is the number of samples of its source: temperature T = 1 takes sources as large as they are, a larger T brings them
nearer to one another (Devlin et al.'s exponential smoothing of languages; Conneau et al., arXiv 1911.02116, section
3.1). Multiplied by 2.25, a sample is used twice in every epoch and a third time in a quarter of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from shards.image_tokens import FIXED
from shards.plan_file import ImagePolicy, PlanMixture

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Kind = Literal["source", "modality", "task"]
KINDS: tuple[Kind, ...] = ("source", "modality", "task")
STEP_TOKENS = 2**20
_MOST_SPREAD = 0.03

_GOLDEN = 0x9E3779B97F4A7C15
_DIGITS = 12  # of multipliers: what other machines' powers differ by is below


class PlanSettings(BaseModel):
    """Everything a plan depends on besides the index and the manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    context: Annotated[int, Field(ge=1, le=2**24)]
    rows_per_step: Annotated[int, Field(ge=1, le=2**16)] | None = None
    """None: about a million tokens, or fewer where that would leave the last step of an epoch half empty."""
    epochs: Annotated[int, Field(ge=1, le=1000)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    weights: dict[Kind, dict[str, Weight]] = Field(default_factory=dict)
    """A name that is not there has weight 1; weight 0 leaves it out."""
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    caps: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Source -> most samples in one epoch, repeats included."""
    token_caps: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Source -> most tokens in one epoch, those of pictures and repeats included."""
    max_repeats: Annotated[int, Field(ge=1)] = 4
    """Most uses of a sample in one epoch. Four are nearly as good as new data, more are not (Muennighoff et al.,
    arXiv 2305.16264, section 5)."""
    images: ImagePolicy = FIXED
    cut: bool = False
    """Whether texts longer than the context are cut into pieces; what has pictures or turns never is."""

    @property
    def mixture(self) -> PlanMixture:
        """As the plan says it."""
        return PlanMixture(
            weights=self.weights, temperature=self.temperature, caps=self.caps, token_caps=self.token_caps,
            max_repeats=self.max_repeats,
        )  # fmt: skip


def default_rows_per_step(context: int) -> int:
    """Rows of a step of at most about a million tokens: 256 of 4,096, 8 of 131,072.

    A power of two, whatever the context: ranks must divide it.
    """
    return int(1 << (max(1, STEP_TOKENS // context).bit_length() - 1))


def fitting_rows_per_step(context: int, rows: int) -> int:
    """The default, halved until whole steps take at most 3 % more rows than there are.

    From 34 steps on it is the default. So little data is spread over more and smaller steps.
    """
    size = default_rows_per_step(context)
    while size > 1 and -(-rows // size) * size > (1 + _MOST_SPREAD) * rows:
        size //= 2
    return size


@dataclass(frozen=True)
class Coded:
    """A word for each sample, as numbers of `words`."""

    codes: NDArray[np.int16]
    words: tuple[str, ...]

    def spread(self, values: Mapping[str, float]) -> NDArray[np.float64]:
        """The value of each sample's word; 1 where there is none."""
        return np.array([values.get(word, 1.0) for word in self.words] or [1.0])[self.codes]


def hashes(seed: int, epoch: int, purpose: int, count: int) -> NDArray[np.uint64]:
    """64 bits for each number below `count`: SplitMix64 (Steele et al., OOPSLA 2014), the same on every machine."""
    mask = 2**64 - 1
    state = _mixed_int((_mixed_int((_mixed_int(seed & mask) + epoch) & mask) + purpose) & mask)
    x_n = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GOLDEN) + np.uint64(state)
    x_n = (x_n ^ (x_n >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x_n = (x_n ^ (x_n >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = x_n ^ (x_n >> np.uint64(31))
    return mixed


def multipliers(settings: PlanSettings, words: Mapping[Kind, Coded], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How often each sample is to be used in the mean of many epochs, caps and `max_repeats` apart: float64[n].

    Samples that are not usable are used 0 times and do not count as samples of their source.
    """
    wanted_n = usable.astype(np.float64)
    for kind in KINDS:
        wanted_n *= words[kind].spread(settings.weights.get(kind, {}))
    sources = words["source"]
    sizes = np.bincount(sources.codes[wanted_n > 0], minlength=len(sources.words) or 1)
    largest = max(1, int(sizes.max()))
    smoothed = (np.maximum(sizes, 1) / largest) ** (1 / settings.temperature - 1)
    rounded_n: NDArray[np.float64] = np.round(wanted_n * smoothed[sources.codes], _DIGITS)
    return rounded_n


def uses(
    settings: PlanSettings,
    multipliers_n: NDArray[np.float64],
    sources: Coded,
    tokens_n: NDArray[np.int64],
    epoch: int,
) -> NDArray[np.int64]:
    """How often each sample is used in an epoch: int64[n], at most `max_repeats`."""
    wanted_n = np.minimum(multipliers_n, settings.max_repeats)
    whole_n = np.floor(wanted_n)
    chance_n = (hashes(settings.seed, epoch, 1, len(wanted_n)) >> np.uint64(11)) * 2.0**-53
    uses_n = whole_n.astype(np.int64) + (chance_n < wanted_n - whole_n)
    for number, word in enumerate(sources.words):
        caps = (settings.caps.get(word), settings.token_caps.get(word))
        if caps != (None, None):
            own = np.flatnonzero(sources.codes == number)
            uses_n[own] = _capped(uses_n[own], tokens_n[own], caps, hashes(settings.seed, epoch, 2, len(own)))
    return uses_n


def _capped(
    uses_n: NDArray[np.int64],
    tokens_n: NDArray[np.int64],
    caps: tuple[int | None, int | None],
    lot_n: NDArray[np.uint64],
) -> NDArray[np.int64]:
    """So many uses and so many tokens in all: first uses before second ones, in the order of the lot."""
    most, most_tokens = caps
    item_u = np.repeat(np.arange(len(uses_n)), uses_n)
    copy_u = np.arange(len(item_u)) - np.repeat(np.cumsum(uses_n) - uses_n, uses_n)
    kept = item_u[np.lexsort((lot_n[item_u], copy_u))[:most]]
    if most_tokens is not None:
        kept = kept[: np.searchsorted(np.cumsum(tokens_n[kept]), most_tokens, "right")]
    return np.bincount(kept, minlength=len(uses_n)).astype(np.int64)


def _mixed_int(x: int) -> int:
    mask = 2**64 - 1
    x = (x + _GOLDEN) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)
