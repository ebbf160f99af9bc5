"""How a stage is trained: its recipe, and the learning rate it comes to at each step."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from shards.mixture import STEP_TOKENS
from sources.cards import Strict
from workflows.train.settings import overridden, read_yaml, validated

RECIPES = Path(__file__).parent / "recipes"
MAX_ROWS = 2**16
"""Of a step, in any plan."""
Part = Literal["vision", "projector", "language"]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class Spike(Strict):
    """A step whose loss is more than `factor` times the median of the last `window` ends the run."""

    factor: Annotated[float, Field(gt=1)] = 3.0
    window: Annotated[int, Field(ge=5)] = 50


class Validation(Strict):
    """Every `every` steps and after the last: the loss on what the build held out, by source."""

    every: Annotated[int, Field(ge=1)] = 200
    rows: Annotated[int, Field(ge=1)] = 8
    """At most, of each source: of samples chosen by the seed, the same each time."""


class TrainRecipe(Strict):
    """A stage. The mixture, and the order of rows, are the plan's: `curate shards plan` changes them."""

    stage: Literal["align", "mid", "instruct"]
    context_tokens: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[dict[Part, Rate], Field(min_length=1)]
    """Peak rate of each part that learns; a part that is not named is frozen."""
    weight_decay: Annotated[float, Field(ge=0)]
    """Of matrices; never of biases, norms and sinks."""
    betas: tuple[Share, Share]
    eps: Rate
    clip: Rate
    """Largest norm of the gradient of all parameters together."""
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    warmup_share: Share | None = None
    """Of all steps; one of the two is given."""
    final_share: Share
    """Of the peak rate, at the last step."""
    balance: Annotated[float, Field(ge=0)]
    """Coefficient of the routers' load balancing loss; 0 leaves it out."""
    save_every: Annotated[int, Field(ge=1)]
    """Steps."""
    keep: Annotated[int, Field(ge=1)]
    """Checkpoints that stay; the newest ones."""
    seed: int
    spike: Spike | None = Spike()
    validation: Validation | None = Validation()
    bad_share: Share = 0.01
    """Of samples that cannot be read, which are left out; more than these (and than 16) end the run. Since a resume."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Ends before the plan does; also the length of the cosine."""
    batch_tokens: Annotated[int, Field(ge=1)] = STEP_TOKENS
    """Of a step, padding among them: so many rows as hold them, or as the ranks divide. A small build has fewer in a
    step where nothing else is asked for than what every plan has (docs/packing.md)."""
    rows_per_step: Annotated[int, Field(ge=1, le=MAX_ROWS)] | None = None
    """Names the rows of a step in place of their tokens."""
    epochs: Annotated[int, Field(ge=1)] | None = None
    """None: the plan's. A plan is made where the shards have one of another number."""
    workers: Annotated[int, Field(ge=0)] = 2
    """Processes of each rank that read ahead."""
    zero_hpz_partition_size: Annotated[int, Field(ge=1)] = 1
    """GPUs among which a second copy of the weights is spread, so that gathering stays in a node (ZeRO++)."""
    cpu_threads: Annotated[int, Field(ge=1)] | None = None
    """Of each rank without a GPU (default: its share of the cores)."""
    wandb: str | None = None
    """Project in Weights & Biases that metrics go to as well; the package is to be installed."""

    @model_validator(mode="after")
    def _one_warmup(self) -> "TrainRecipe":
        if (self.warmup_steps is None) == (self.warmup_share is None):
            raise ValueError("give one of warmup_steps and warmup_share")
        return self

    def rows_asked(self, context: int) -> int | None:
        """Rows of a step of `context` tokens that somebody asked for; None: as many as suit the data."""
        if self.rows_per_step is not None or self.batch_tokens == STEP_TOKENS:
            return self.rows_per_step
        return max(1, self.batch_tokens // context)

    def factor(self, step: int, steps: int) -> float:
        """Share of the peak rate at step `step` (from 0) of `steps`: a linear rise, then a cosine.

        The first step already learns: DeepSpeed's own scheduler spends it at a rate of 0.
        """
        warmup = self.warmup_steps if self.warmup_steps is not None else math.ceil((self.warmup_share or 0) * steps)
        warmup = min(warmup, max(1, steps // 2))
        if step < warmup:
            return (step + 1) / warmup
        progress = (step - warmup) / max(1, steps - 1 - warmup)
        return self.final_share + (1 - self.final_share) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def load_train_recipe(stage: str, overrides: Sequence[str] = ()) -> TrainRecipe:
    """The recipe of a stage that ships with the project, with `key=value` put over it.

    Raises:
        UsageError: a key or a value is wrong.
    """
    document = overridden(read_yaml(stage, RECIPES, "--stage"), overrides)
    if any(override.startswith("warmup_") for override in overrides):
        given = {override.partition("=")[0] for override in overrides}
        document = {key: value for key, value in document.items() if not key.startswith("warmup_") or key in given}
    return validated(TrainRecipe, document, f"the {stage} recipe")
