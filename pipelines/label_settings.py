"""What a recipe may say under `steps.modality` and `steps.quality`."""

import difflib
from typing import Annotated, Literal

from pydantic import Field, field_validator

from filters.languages import LANGUAGES
from filters.modality import CONFIDENCE
from filters.modality_classes import LABELS
from filters.model_files import check_name
from filters.quality_rules import RULE_SETS
from filters.text import SCRIPTS
from sources.cards import Strict


class ModelFiles(Strict):
    """A BiomedCLIP directory, or a head on its embeddings, and what its weights must hash to."""

    path: str
    """The directory, absolute: the same on every machine. Or `hf-hub:OWNER/NAME@COMMIT`, which is fetched."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the weights file, copied from the page it was fetched from. `curate doctor` prints the file's own."""
    head: str | None = None
    """A head that `curate label fit` trained on its embeddings; without one, labels are by prompts (zero-shot)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto`: a GPU where there is one (on a Ray cluster: where any node has), else the CPU."""
    gpus: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of a GPU that a worker on a Ray cluster asks for: 0.25 puts four of them on one."""
    batch: Annotated[int, Field(ge=1, le=4096)] | None = None
    """None: 32 on a CPU, and on a GPU what its memory takes."""

    @field_validator("path")
    @classmethod
    def _named(cls, value: str) -> str:
        check_name(value)
        return value


class ModalitySettings(Strict):
    """How pictures are labelled, and which samples stay."""

    enabled: bool = True
    model: Literal["auto", "biomedclip", "efficientnet-lite0", "none"] = "auto"
    """`auto`: biomedclip where its files are named, else efficientnet-lite0 where it is installed, else none."""
    biomedclip: ModelFiles | None = None
    confidence: Annotated[float, Field(gt=0, lt=1)] = CONFIDENCE
    keep: tuple[str, ...] | None = None
    """Modalities and kinds; None keeps all that are medical."""
    not_medical: Literal["keep", "drop"] = "drop"
    unknown: Literal["keep", "drop"] = "keep"
    compound: Literal["keep", "split", "drop"] = "keep"
    """Figures of several panels: whole, a sample for each panel, or none (MedGemma kept single-panel images only)."""

    @field_validator("keep")
    @classmethod
    def _labels(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for label in value or ():
            if label not in LABELS:
                raise ValueError(f"{label!r} is not one of {', '.join(LABELS)}")
        return value


class QualitySettings(Strict):
    """Limits of pictures and texts. `rules` names a published set, whose values hold where nothing is said here."""

    enabled: bool = True
    rules: Literal["default", "lingshu", "pubmedvision"] = "default"
    min_side_px: Annotated[int, Field(ge=1)] | None = None
    max_aspect: Annotated[float, Field(ge=1)] | None = None
    min_entropy: Annotated[float, Field(ge=0, le=8)] | None = None
    placeholder_levels: Annotated[int, Field(ge=0, le=256)] | None = None
    placeholder_marks: Annotated[int, Field(ge=0)] | None = None
    """A picture with no more grey levels and no more marks than this shows nothing; 0 levels: no such rule."""
    max_ruled: Annotated[float, Field(gt=0)] | None = None
    """Length of straight edges that are even on both sides, over half the circumference; charts have them, too."""
    max_watermarked: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of a picture under half-transparent words or logos; 1: no such rule."""
    max_repeated: Annotated[float, Field(gt=0, le=1)] | None = None
    max_mojibake: Annotated[float, Field(ge=0, le=1)] | None = None
    max_markup: Annotated[int, Field(ge=0)] | None = None
    max_entities: Annotated[float, Field(ge=0)] | None = None
    scripts: tuple[str, ...] | None = None
    """Writings that are wanted (latin, cjk, arabic, cyrillic, greek, hebrew, devanagari ...); not languages."""

    languages: tuple[str, ...] | None = None
    """Languages that are wanted (en, de, fr, es, it, pt, nl); what is too short to tell, or is none of these, stays."""
    min_agreement: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Cosine of BiomedCLIP between a caption and its picture; -1 keeps all and leaves the score in the ledger."""

    @field_validator("languages")
    @classmethod
    def _spoken(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in value or ():
            if name not in LANGUAGES:
                raise ValueError(f"{name!r} is none of the languages told apart here: {', '.join(LANGUAGES)}")
        return value

    @field_validator("scripts")
    @classmethod
    def _writings(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in value or ():
            if name not in SCRIPTS:
                nearest = difflib.get_close_matches(name.casefold(), SCRIPTS, 1, 0.6)
                meant = f"did you mean {nearest[0]!r}? " if nearest else ""
                raise ValueError(f"{name!r} is no writing; {meant}there are {', '.join(SCRIPTS)}")
        return value

    def limits(self) -> dict[str, object]:
        """The limits in force: those of the rule set, and over them what is said here."""
        own = self.model_dump(exclude={"enabled", "rules"}, exclude_none=True)
        return {**RULE_SETS["default"], **RULE_SETS[self.rules], **own}
