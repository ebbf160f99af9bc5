"""The recipe of a stage: what a user configures, validated, immutable, with the defaults of every step."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.audit.settings import DecontaminateSettings
from pipelines.contracts.settings import ContractSettings
from pipelines.label_settings import ModalitySettings, QualitySettings
from pipelines.phi.settings import PhiSettings
from shards.image_tokens import FIXED
from shards.mixture import Weight
from shards.plan_file import ImagePolicy
from sources.cards import GROUP_KINDS, First, Join, Pick, Speakers, Strict
from sources.licenses import spdx_license
from sources.pictures.picture import CtWindows, Limits
from sources.schema import ACCESS, MODALITIES, TASKS, UNKNOWN_LICENSE

Stage = Literal["align", "mid", "instruct"]
NOT_YET: tuple[str, ...] = ()
"""Steps that have their place in the recipe and are not in this version: naming one is an error."""


def _known(value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
    return value


class SourceEntry(Strict):
    """One source of the recipe: a name of the catalogue, or anything with a reader.

    What is given here overrides the card.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,47}$")]
    path: str | None = None
    weight: Annotated[float, Field(gt=0)] = 1.0
    reader: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    fields: dict[str, str | Pick | First | tuple[str | Pick, ...]] = Field(default_factory=dict)
    images: str | None = None
    task: str | None = None
    license: str | None = None
    access: str | None = None
    identifiers: Literal["public", "keyed"] | None = None
    optional: bool = False
    split: tuple[str, ...] | None = None
    language: str | None = None
    modality: str | None = None
    groups: tuple[str, ...] | None = None
    meta: tuple[str, ...] | None = None
    speakers: Speakers | None = None
    join: Join | None = None
    budget: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of this source's records that errors may quarantine (default: the recipe's)."""

    @field_validator("split", "groups", "meta", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _vocabularies(self) -> "SourceEntry":
        for value, allowed in ((self.task, TASKS), (self.access, ACCESS), (self.modality, MODALITIES)):
            if value is not None:
                _known(value, allowed)
        for kind in self.groups or ():
            _known(kind, GROUP_KINDS)
        if self.license not in (None, UNKNOWN_LICENSE) and spdx_license(self.license) == UNKNOWN_LICENSE:
            raise ValueError(f"{self.license!r} is no licence this version knows; give an SPDX identifier, or unknown")
        return self


class MeasureSettings(Strict):
    """How pictures are read. Every picture is measured, whatever the recipe."""

    min_side_px: Annotated[int, Field(ge=1)] = 64
    max_pixels: Annotated[int, Field(ge=1)] = 200_000_000
    frames: Literal["first", "middle", "each"] = "middle"
    """Which frames of a multi-frame picture become samples; `each` makes one sample a frame."""
    pixel_hash: bool = True
    """Without it, JPEGs are decoded at reduced scale and exact duplicates are told by their bytes alone."""
    ct_windows: CtWindows = "header"
    """How CT with Hounsfield units is shown: by its header's window, a fixed one, or MedGemma's three as RGB."""

    @property
    def limits(self) -> Limits:
        """What decoding is told."""
        return Limits(max_pixels=self.max_pixels, ct_windows=self.ct_windows)


class LicenseSettings(Strict):
    """Which access and licences may enter the mix."""

    enabled: bool = True
    access: tuple[str, ...] = ("open", "noncommercial")
    forbidden: tuple[str, ...] = ()
    unknown: Literal["keep", "drop"] = "keep"

    @field_validator("access")
    @classmethod
    def _access(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_known(kind, ACCESS) for kind in value)

    @field_validator("forbidden")
    @classmethod
    def _licenses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        found = tuple(spdx_license(text) for text in value)
        for text, license_id in zip(value, found, strict=True):
            if license_id == UNKNOWN_LICENSE:
                raise ValueError(f"{text!r} is no licence this version knows; for unstated ones use unknown: drop")
        return found


class TokenLimits(Strict):
    """Fewest and most tokens of a sample's turns, both allowed."""

    min: Annotated[int, Field(ge=0)] = 10
    max: Annotated[int, Field(ge=1)] = 1024

    @model_validator(mode="after")
    def _ordered(self) -> "TokenLimits":
        if self.min > self.max:
            raise ValueError(f"min {self.min} is more than max {self.max}")
        return self


class TokenSettings(TokenLimits):
    """The token filter."""

    enabled: bool = True
    per_task: dict[str, TokenLimits] = Field(default_factory=dict)

    @field_validator("per_task")
    @classmethod
    def _tasks(cls, value: dict[str, TokenLimits]) -> dict[str, TokenLimits]:
        return {_known(task, TASKS): limits for task, limits in value.items()}


class ExactSettings(Strict):
    """Exact duplicates of (pictures, text) pairs and of texts."""

    enabled: bool = True


class NearTextSettings(Strict):
    """Near-duplicate texts of samples without pictures."""

    enabled: bool = True
    jaccard: Annotated[float, Field(ge=0.5, le=1)] = 0.8
    """Share of word shingles that two texts must have in common (`dedup/text.py`)."""


class NearImageSettings(Strict):
    """Near-duplicates of samples with pictures: pictures and text must both be near-duplicates."""

    enabled: bool = True
    jaccard: Annotated[float, Field(ge=0.5, le=1)] = 0.8
    """Of the texts, as for near_text."""
    method: Literal["verified", "phash"] = "verified"
    """`phash`: what Lingshu publishes, pictures whose perceptual hashes differ in at most `distance` bits; it merges
    films of different patients, and is there for comparison."""
    distance: Annotated[int, Field(ge=0, le=10)] = 0


class OtherSettings(Strict):
    """A step of another package: `settings` are its own, the rest says whether and where it runs."""

    enabled: bool = True
    after: Literal["measure", "modality", "quality", "license", "tokens", "exact", "near_text", "near_image"] = "tokens"
    """The step of ours that it follows; those that follow the same one run in the order of their names."""
    settings: dict[str, Any] = Field(default_factory=dict)


class Steps(Strict):
    """Settings by step; a step that is not named has its defaults."""

    measure: MeasureSettings = MeasureSettings()
    modality: ModalitySettings | None = None
    """None: nothing is labelled, and pictures have the modality of their header or their source's card."""
    quality: QualitySettings | None = None
    """None: no rules but those of measure."""
    license: LicenseSettings = LicenseSettings()
    phi: PhiSettings = PhiSettings()
    tokens: TokenSettings = TokenSettings()
    exact: ExactSettings = ExactSettings()
    near_text: NearTextSettings = NearTextSettings()
    near_image: NearImageSettings = NearImageSettings()
    decontaminate: DecontaminateSettings = DecontaminateSettings()
    others: dict[str, OtherSettings] | None = None
    """Steps of other packages by name. In a recipe file they stand among ours (`pipelines/plugins.py: separated`)."""


class Mixture(Strict):
    """How sources are mixed when the shards are planned."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    epochs: Annotated[int, Field(ge=1, le=1000)] = 1
    rows_per_step: Annotated[int, Field(ge=1, le=2**16)] | None = None
    """Packed rows of a global step (default: as many as hold about a million tokens, fewer where data is scarce)."""
    weights: dict[Literal["modality", "task"], dict[str, Weight]] = Field(default_factory=dict)
    """Weights by modality and task; those of sources stand at the sources."""
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    caps: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    token_caps: dict[str, Annotated[int, Field(ge=1)]] | None = None  # null, so that older runs have the same settings
    max_repeats: Annotated[int, Field(ge=1)] = 4
    images: ImagePolicy = FIXED
    cut: bool = False

    @field_validator("weights")
    @classmethod
    def _words(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for kind, weights in value.items():
            for name in weights:
                _known(name, MODALITIES if kind == "modality" else TASKS)
        return value


class ShardSettings(Strict):
    """Limits of a tar, and how rendered pictures are stored."""

    max_bytes: Annotated[int, Field(ge=1)] = 2**30
    max_samples: Annotated[int, Field(ge=1)] = 10_000
    dicom_bits: Literal[8, 16] = 8
    """Depth of pictures rendered from DICOM and other deep sources: most trainers read 8 bits only."""


class HoldoutSettings(Strict):
    """A validation split: about this share of the components of samples that share groups or pictures."""

    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.01
    by: Annotated[tuple[str, ...], Field(min_length=1)] = GROUP_KINDS
    """Kinds of group that are never on both sides. Pictures never are, whatever is named."""
    seed: int = 0

    @field_validator("by")
    @classmethod
    def _kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_known(kind, GROUP_KINDS) for kind in value)


class Budget(Strict):
    """What a run tolerates."""

    quarantined: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of the ingested records that errors may quarantine; 20 are always tolerated."""


class Prompts(Strict):
    """User turns of captions and of reports without indication; chosen by sample id."""

    caption: tuple[str, ...] = ("Describe this image.",)
    report: tuple[str, ...] = ("Write a radiology report for this study.",)

    @field_validator("caption", "report")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("at least one prompt is needed")
        return value


class Recipe(Strict):
    """Everything a build depends on besides its inputs."""

    stage: Stage
    context_tokens: Annotated[int, Field(ge=1)] = 131_072
    tokenizer: str = "o200k_harmony"
    sources: tuple[SourceEntry, ...]
    steps: Steps = Steps()
    prompts: Prompts = Prompts()
    mixture: Mixture = Mixture()
    shards: ShardSettings = ShardSettings()
    budget: Budget = Budget()
    holdout: HoldoutSettings | None = None
    """None: every kept sample is for training."""
    contracts: ContractSettings = ContractSettings()

    @model_validator(mode="after")
    def _contracts_name_sources(self) -> "Recipe":
        self.contracts.check_sources([entry.name for entry in self.sources])
        return self

    @model_validator(mode="after")
    def _caps_name_sources(self) -> "Recipe":
        names = {*self.mixture.caps, *(self.mixture.token_caps or ())}
        unknown = sorted(names - {entry.name for entry in self.sources})
        if unknown:
            raise ValueError(f"mixture.caps: {unknown[0]!r} is no source of this recipe")
        return self

    @field_validator("sources")
    @classmethod
    def _named_once(cls, value: tuple[SourceEntry, ...]) -> tuple[SourceEntry, ...]:
        names = [entry.name for entry in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        if not names:
            raise ValueError("at least one source is needed")
        return value
