"""What a recipe may say under `steps.phi`."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from filters import ocr
from filters.phi_model import MODEL, model_is_installed
from sources.cards import Strict
from sources.extras import install_extra
from sources.records import Corpus

INSTALL = install_extra("phi")


class PhiSettings(Strict):
    """Identifiers in texts, in the metadata of pictures, and burned into them.

    `auto` becomes what this machine has as the recipe is read, so that the run says which it was.
    """

    enabled: bool = True
    sources: Literal["keyed", "all"] = "keyed"
    """`keyed`: the sources that tell of people (`identifiers: keyed`, credentialed access, DICOM)."""
    text: Literal["redact", "quarantine", "keep"] = "redact"
    names: Annotated[Literal["auto", "model", "rules"], Field(validate_default=True)] = "auto"
    """How names are found in texts: by rules alone, or by a language model as well."""
    metadata: Literal["strip", "quarantine", "keep"] = "strip"
    """What becomes of EXIF, comments, thumbnails and the like in JPEG and PNG files."""
    burned_in_text: Literal["quarantine", "mask", "redact", "keep"] = "quarantine"
    """`mask` covers what identifies, `redact` all writing. Such a picture is stored anew, as PNG."""
    ocr: Annotated[Literal["auto", "rapidocr", "none"], Field(validate_default=True)] = "auto"
    """What reads burned-in writing. `none`: all that looks like writing is taken for an identifier."""
    ocr_timeout_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """For one picture; one that takes longer is quarantined."""
    review: str | None = None
    """A file of decisions on quarantined pictures (`docs/privacy.md`)."""

    @field_validator("names")
    @classmethod
    def _names(cls, value: str) -> str:
        if value == "auto":
            return "model" if model_is_installed() else "rules"
        if value == "model" and not model_is_installed():
            raise ValueError(f"the language model {MODEL} is not installed; {INSTALL}, or names: rules")
        return value

    @field_validator("ocr")
    @classmethod
    def _ocr(cls, value: str) -> str:
        if value == "auto":
            return "rapidocr" if ocr.is_installed() else "none"
        if value == "rapidocr" and not ocr.is_installed():
            raise ValueError(f"{ocr.PACKAGE} is not installed; {INSTALL}, or ocr: none")
        return value

    @model_validator(mode="after")
    def _masks_are_read_again(self) -> "PhiSettings":
        if self.enabled and self.burned_in_text in ("mask", "redact") and self.ocr == "none":
            raise ValueError(
                f"burned_in_text: {self.burned_in_text} needs a reader, which looks again at what was covered; "
                f"{INSTALL}, or burned_in_text: quarantine"
            )
        return self

    def seeks(self, corpus: Corpus) -> bool:
        """Whether identifiers are sought in the texts of a source."""
        return self.text != "keep" and self.covers(corpus)

    def looks_at(self, corpus: Corpus) -> bool:
        """Whether writing is sought on the pictures of a source."""
        return self.burned_in_text != "keep" and self.covers(corpus)

    def covers(self, corpus: Corpus) -> bool:
        """Whether a source is looked at. Of such a source no page has text or pictures (`pipelines/private.py`)."""
        tells_of_people = corpus.identity.keyed or corpus.card.tells_of_people
        return self.enabled and (self.sources == "all" or tells_of_people)
