"""The step graph of a recipe, in its fixed order: what is asked for, and how each step hangs on the one before."""

from dataclasses import dataclass

from dedup.distinct import DistinctImages, SampleIds
from dedup.exact import Exact
from filters.license import License
from filters.measure import Measure, Pictures
from filters.tokens import TokenCounts, Tokens
from pipelines.recipe import Recipe, TokenLimits
from pipelines.steps import DecideStep, ExchangeStep, FactStep, KeyStep, PictureStep, Step, own_fingerprint
from pipelines.work import key_of

NO_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class Graph:
    """ingest, identity, pictures; the deciding steps, each after the facts it needs; then images and shards."""

    identity: KeyStep
    pictures: PictureStep
    token_counts: FactStep
    measure: DecideStep
    filters: tuple[tuple[DecideStep, FactStep | None], ...]
    """Deciding steps, each with what computes its facts."""
    exact: ExchangeStep | None
    images: KeyStep

    @property
    def steps(self) -> list[Step]:
        """The steps that decide, in order."""
        return [self.measure, *(step for step, _ in self.filters), *([self.exact] if self.exact else [])]

    def fingerprints(self, ingest: str) -> dict[str, str]:
        """Step name -> hash of name, version, parameters and of all steps before it."""
        chain = {"ingest": ingest}
        previous = key_of(ingest, own_fingerprint(self.pictures), own_fingerprint(self.token_counts))
        for step in self.steps:
            previous = chain[step.name] = key_of(previous, own_fingerprint(step))
        return chain


def graph_of(recipe: Recipe) -> Graph:
    """The steps that the recipe enables, configured."""
    settings = recipe.steps
    filters: list[tuple[DecideStep, FactStep | None]] = []
    if settings.license.enabled:
        policy = settings.license
        filters.append((License(frozenset(policy.access), frozenset(policy.forbidden), policy.unknown), None))
    token_counts = TokenCounts(recipe.tokenizer)
    filters.append((_token_filter(recipe), token_counts))
    measure = settings.measure
    return Graph(
        identity=SampleIds(),
        pictures=Pictures(measure.max_pixels, measure.frames, measure.pixel_hash),
        token_counts=token_counts,
        measure=Measure(min_side_px=measure.min_side_px),
        filters=tuple(filters),
        exact=Exact() if settings.exact.enabled else None,
        images=DistinctImages(),
    )


def _token_filter(recipe: Recipe) -> Tokens:
    """The filter; switched off, only what cannot be counted, or fits no row of the context, is not kept."""
    settings = recipe.steps.tokens
    if not settings.enabled:
        return Tokens({}, (0, NO_LIMIT), recipe.context_tokens)
    limits = {task: _pair(limit) for task, limit in settings.per_task.items()}
    return Tokens(limits, _pair(settings), recipe.context_tokens)


def _pair(limits: TokenLimits) -> tuple[int, int]:
    return limits.min, limits.max
