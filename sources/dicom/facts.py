"""What may leave a DICOM header: an allow-list of facts, and what is said of a picture from them alone.

PS3.15 Table E.1-1 (2024b) lists what the Basic Profile removes or replaces. Everything allowed here is absent from
it, so the profile keeps it; Patient's Sex and Age are in it, so they are not here. Codes are allowed only from a
closed vocabulary, and numbers only as numbers: neither can hold a name.
"""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sources.dicom.vocabulary import (
    BODY_PARTS,
    CODE_WORDS,
    CONVERSIONS,
    IMAGE_TYPES,
    MODALITY_OF,
    MODALITY_WORDS,
    PHOTOMETRIC,
    SIDES,
    VIEWS,
    YES_NO,
)
from sources.pictures.picture import Facts, FactValue

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_CODES: dict[str, Mapping[str, str] | frozenset[str]] = {
    "Modality": MODALITY_OF,
    "BodyPartExamined": BODY_PARTS,
    "ViewPosition": VIEWS,
    "Laterality": SIDES,
    "ImageLaterality": SIDES,
    "PhotometricInterpretation": PHOTOMETRIC,
    "ConversionType": CONVERSIONS,
    "BurnedInAnnotation": YES_NO,
}
_NO_VIEW = frozenset({"SCREEN SAVE", "SCREENSAVE", "LABEL", "OVERVIEW"})
"""Values of ImageType of pictures that are none of the body (PS3.3 C.7.6.1.1.2, C.8.12.4.1.1; vendors')."""
_CODE_LISTS = {"ImageType": IMAGE_TYPES}
_WHOLE_NUMBERS = ("Rows", "Columns", "BitsStored", "NumberOfFrames")
_MEASURES = ("SliceThickness", "KVP")
ALLOWED = (*_CODES, *_CODE_LISTS, *_WHOLE_NUMBERS, *_MEASURES)
"""Keywords of every header element that may reach any output as it is."""


def header_facts(dataset: "Dataset") -> dict[str, FactValue]:
    """The allow-listed facts of a header by DICOM keyword; absent, malformed and unknown values are left out."""
    from sources.dicom.values import header_values

    facts: dict[str, FactValue] = {}
    for keyword in ALLOWED:
        values = header_values(dataset, keyword)
        fact = _allowed(keyword, values) if values else None
        if fact is not None:
            facts[keyword] = fact
    return facts


def _allowed(keyword: str, values: list[Any]) -> FactValue | None:
    if keyword in _CODES:
        return _code(values[0], _CODES[keyword])
    if keyword in _CODE_LISTS:
        codes = [code for value in values if (code := _code(value, _CODE_LISTS[keyword])) is not None]
        return codes or None
    number = _number(values[0], int if keyword in _WHOLE_NUMBERS else float)
    return number if number is not None and number > 0 else None


def _code(value: Any, vocabulary: Mapping[str, str] | frozenset[str]) -> str | None:
    code = value.strip(" \0") if isinstance(value, str) else ""
    return code if code in vocabulary else None


def _number(value: Any, kind: Callable[[Any], int | float]) -> int | float | None:
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) < 2**31 else None


def dicom_modality(facts: Facts) -> str:
    """The project's modality of a header's facts; `unknown` where the header does not say.

    Of a saved screen (a dose sheet) and of a slide's label or overview it names the study's, not the picture's.
    """
    if _shows_something_else(facts):
        return "unknown"
    return MODALITY_OF.get(str(facts.get("Modality", "")), "unknown")


def _shows_something_else(facts: Facts) -> bool:
    kinds = facts.get("ImageType")
    return isinstance(kinds, list) and not _NO_VIEW.isdisjoint(kinds)


def caption_from(facts: Facts) -> str | None:
    """A caption that says nothing but facts, or None.

    `CT, abdomen.` or `X-ray, left knee, lateral view.`; None where neither the modality nor the body part is known.
    """
    code = str(facts.get("Modality", ""))
    known = None if _shows_something_else(facts) else CODE_WORDS.get(code)
    modality = known or MODALITY_WORDS.get(dicom_modality(facts))
    part = BODY_PARTS.get(str(facts.get("BodyPartExamined", "")))
    if modality is None and part is None:
        return None
    words = [modality or "Medical image"]
    side = SIDES.get(str(facts.get("ImageLaterality") or facts.get("Laterality") or ""), "")
    if part is not None:
        words.append(f"{side} {part}" if side in {"left", "right"} else part)
    elif side:
        words.append(side if side == "both sides" else f"{side} side")
    view = VIEWS.get(str(facts.get("ViewPosition", "")))
    if view is not None:
        words.append(f"{view} view")
    return ", ".join(words) + "."
