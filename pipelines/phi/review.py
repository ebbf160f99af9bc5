"""The review file: what people decided about quarantined pictures, an input of the next build."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from filters.phi_decision import Decision
from pipelines.errors import UsageError
from sources.cards import Strict

Edge = Annotated[int, Field(ge=0)]


class _Entry(Strict):
    image: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    decision: Literal["accept", "mask", "drop"]
    who: Annotated[str, Field(min_length=1, max_length=200)]
    why: Annotated[str, Field(min_length=1, max_length=1000)]
    boxes: tuple[tuple[Edge, Edge, Edge, Edge], ...] | None = None
    """Of `mask`: left, top, right, bottom in pixels; without them what the build found is covered."""


class _Review(Strict):
    decisions: tuple[_Entry, ...]


def load_review(path: str | None) -> Mapping[str, Decision]:
    """The decisions of a review file by image id; none where no file is named.

    Raises:
        UsageError: it cannot be read, is not in the form of `docs/privacy.md`, or decides twice about a picture.
    """
    if path is None:
        return {}
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        review = _Review.model_validate(document)
    except OSError as error:
        raise UsageError(f"steps.phi.review: {path}: cannot be read ({error.strerror})", _HINT) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise UsageError(f"steps.phi.review: {path}: not valid YAML", _HINT) from None
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the file"
        raise UsageError(f"steps.phi.review: {path}: {place}: {error.errors()[0]['msg']}", _HINT) from None
    found: dict[str, Decision] = {}
    for entry in review.decisions:
        if entry.image in found:
            raise UsageError(f"steps.phi.review: {path}: two decisions about {entry.image}", "keep one of them")
        if entry.boxes is not None and not all(
            left < right and top < bottom for left, top, right, bottom in entry.boxes or ((0, 0, 0, 0),)
        ):
            raise UsageError(f"steps.phi.review: {path}: boxes of {entry.image} cover nothing", _BOXES)
        if entry.boxes is not None and entry.decision != "mask":
            raise UsageError(f"steps.phi.review: {path}: boxes with {entry.decision!r}", "boxes are what `mask` covers")
        found[entry.image] = Decision(entry.image, entry.decision, entry.who, entry.why, entry.boxes)
    return found


_BOXES = "a box is [left, top, right, bottom] in pixels, with left < right and top < bottom"
_HINT = (
    "a list `decisions` of {image, decision: accept|mask|drop, who, why}; reports/phi_review.html names the pictures"
)
