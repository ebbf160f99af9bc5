"""The step graph of a recipe, in its fixed order: what is asked for, and how each step hangs on the one before."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dedup.distinct import DistinctImages, SampleIds
from dedup.exact import Exact
from dedup.fingerprints import Fingerprints
from dedup.images import NearImage
from dedup.picture_phash import PerceptualHash
from dedup.text import NearText
from filters.drawn import DrawnMarks
from filters.license import License
from filters.measure import Measure, Pictures
from filters.measurer import AnyMeasurer
from filters.quality import Quality
from filters.tokens import TokenCounts, Tokens
from filters.watermark import Watermark
from pipelines import exchange
from pipelines.holdout import Holdout
from pipelines.label import Labelling, labelling_of, text_quality_of
from pipelines.near.flow import versions_of
from pipelines.phi.pictures import Privacy
from pipelines.plugged import PluggedExchange, PluggedFacts, PluggedFilter
from pipelines.plugins import PLACES, is_exchange, is_measured, made_steps
from pipelines.recipe import Recipe, TokenLimits
from pipelines.steps import DecideStep, ExchangeStep, FactStep, KeyStep, PictureStep, Step, own_fingerprint
from pipelines.takedown.record import Removal
from pipelines.takedown.step import Takedown
from pipelines.work import key_of

if TYPE_CHECKING:
    from pipelines.audit.step import Decontaminate

NO_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class Filter:
    """A step that decides about each sample, and what computes its facts just before."""

    step: DecideStep
    facts: FactStep | None = None


@dataclass(frozen=True)
class Comparison:
    """A step that decides from what an exchange answered."""

    step: ExchangeStep


@dataclass(frozen=True)
class Nearness:
    """A step that decides from a search for near-duplicates."""

    step: NearText | NearImage


@dataclass(frozen=True)
class Decontamination:
    """A step that decides from a search for eval items."""

    step: "Decontaminate"


@dataclass(frozen=True)
class Split:
    """The hold-out: it keeps everything and tells two sides apart."""

    step: Holdout


Deciding = Filter | Comparison | Nearness | Decontamination | Split | Privacy


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
    near: tuple[NearText | NearImage, ...] = ()
    others: tuple[tuple[str, Deciding], ...] = ()
    """Steps of other packages, each with the step of ours that it follows."""
    decontaminate: "Decontaminate | None" = None
    """Known once the eval sets were read; after all comparisons."""
    holdout: Holdout | None = None
    labelling: Labelling | None = None
    """What labels pictures, between measure and the first filter."""
    privacy: Privacy | None = None
    """Looks for identifiers in pictures, where a source tells of people; after the filters, before comparisons."""
    removed: DecideStep | None = None
    """Takes out what was taken down; the last of all, as if `curate remove` had been run afterwards."""

    @property
    def deciding(self) -> list[Deciding]:
        """What decides after measure, in order; a place whose own step is switched off is still a place."""
        ours: dict[str, list[Deciding]] = {place: [] for place in PLACES}
        for step, facts in self.filters:
            ours[step.name].append(Filter(step, facts))
        if self.privacy is not None:
            ours[self.privacy.step.name].append(self.privacy)
        if self.exact is not None:
            ours[self.exact.name].append(Comparison(self.exact))
        for near in self.near:
            ours[near.name].append(Nearness(near))
        for place, other in self.others:
            ours[place].append(other)
        last: list[Deciding] = [] if self.decontaminate is None else [Decontamination(self.decontaminate)]
        last += [] if self.holdout is None else [Split(self.holdout)]
        last += [] if self.removed is None else [Filter(self.removed)]
        return [*(deciding for place in PLACES for deciding in ours[place]), *last]

    @property
    def steps(self) -> list[Step]:
        """The steps that decide, in order."""
        return [self.measure, *(deciding.step for deciding in self.deciding)]

    @property
    def unshown(self) -> frozenset[str]:
        """Ids of pictures that are shown nowhere as they are, whatever their source: a reviewer took them out."""
        return frozenset() if self.privacy is None else self.privacy.step.unshown

    def fingerprints(self, ingest: str) -> dict[str, str]:
        """Step name -> hash of name, version and parameters, of what it decides from, and of all steps before it."""
        previous = key_of(ingest, own_fingerprint(self.pictures))
        previous = key_of(previous, own_fingerprint(self.measure))
        chain = {"ingest": ingest, self.measure.name: previous}
        for deciding in self.deciding:
            if isinstance(deciding, Privacy):  # how pictures are looked at decides, too
                previous = key_of(previous, own_fingerprint(deciding.examination))
            if isinstance(deciding, Comparison):
                previous = key_of(previous, exchange.VERSION)
            if isinstance(deciding, Nearness):
                previous = key_of(previous, versions_of(deciding.step))
            if isinstance(deciding, Filter) and deciding.facts is not None:
                previous = key_of(previous, own_fingerprint(deciding.facts))
            previous = chain[deciding.step.name] = key_of(previous, own_fingerprint(deciding.step))
        return chain


def graph_of(recipe: Recipe, removal: Removal | None = None, privacy: Privacy | None = None) -> Graph:
    """The steps that the recipe enables, configured."""
    settings = recipe.steps
    labelling = labelling_of(settings.modality) if settings.modality is not None and settings.modality.enabled else None
    filters: list[tuple[DecideStep, FactStep | None]] = [] if labelling is None else [(labelling.step, None)]
    if settings.quality is not None and settings.quality.enabled:
        filters.append((Quality(settings.quality.limits()), text_quality_of(settings.quality, labelling)))
    if settings.license.enabled:
        policy = settings.license
        filters.append((License(frozenset(policy.access), frozenset(policy.forbidden), policy.unknown), None))
    token_counts = TokenCounts(recipe.tokenizer)
    filters.append((_token_filter(recipe), token_counts))
    measure = settings.measure
    return Graph(
        identity=SampleIds(),
        pictures=Pictures(
            measure.max_pixels,
            measure.frames,
            measure.pixel_hash,
            _measurers(recipe, labelling),
            measure.ct_windows,
            split=labelling is not None and settings.modality is not None and settings.modality.compound == "split",
        ),
        token_counts=token_counts,
        measure=Measure(min_side_px=measure.min_side_px),
        filters=tuple(filters),
        exact=Exact() if settings.exact.enabled else None,
        images=DistinctImages(),
        near=_near(recipe),
        others=_others(recipe),
        holdout=None if recipe.holdout is None else Holdout(**recipe.holdout.model_dump()),
        labelling=labelling,
        privacy=privacy,
        removed=None if removal is None else Takedown(removal),
    )


def _near(recipe: Recipe) -> tuple[NearText | NearImage, ...]:
    text, image = recipe.steps.near_text, recipe.steps.near_image
    steps: list[NearText | NearImage] = []
    if text.enabled:
        steps.append(NearText(jaccard=text.jaccard))
    if image.enabled:
        steps.append(NearImage(NearText(jaccard=image.jaccard), image.method, image.distance))
    return tuple(steps)


def _measurers(recipe: Recipe, labelling: Labelling | None) -> tuple[AnyMeasurer, ...]:
    """What pictures are measured by besides our statistics: fingerprints and what rules of quality need."""
    image = recipe.steps.near_image
    published: tuple[AnyMeasurer, ...] = (PerceptualHash(),) if image.method == "phash" else ()
    near: tuple[AnyMeasurer, ...] = (Fingerprints(), *published) if image.enabled else ()
    quality = recipe.steps.quality
    junk: tuple[AnyMeasurer, ...] = (DrawnMarks(), Watermark()) if quality is not None and quality.enabled else ()
    return (*near, *junk, *(() if labelling is None else labelling.measurers))


def _others(recipe: Recipe) -> tuple[tuple[str, Deciding], ...]:
    found: list[tuple[str, Deciding]] = []
    for chosen, made in made_steps(recipe):
        if is_exchange(made.step):
            found.append((chosen.after, Comparison(PluggedExchange(made))))
        else:
            facts = PluggedFacts(made) if is_measured(made.step) else None
            found.append((chosen.after, Filter(PluggedFilter(made), facts)))
    return tuple(found)


def _token_filter(recipe: Recipe) -> Tokens:
    """The filter; switched off, only what cannot be counted, or fits no row of the context, is not kept."""
    settings = recipe.steps.tokens
    if not settings.enabled:
        return Tokens({}, (0, NO_LIMIT), recipe.context_tokens)
    limits = {task: _pair(limit) for task, limit in settings.per_task.items()}
    return Tokens(limits, _pair(settings), recipe.context_tokens)


def _pair(limits: TokenLimits) -> tuple[int, int]:
    return limits.min, limits.max
