"""How strong a piece of evidence is that an eval item is in the data, and which evidence removes a sample."""

from enum import StrEnum


class Grade(StrEnum):
    """Strongest first. The last two are reported and never remove anything."""

    EXACT = "exact"
    """Same bytes, same decoded pixels, or same normalised text."""
    REENCODED = "reencoded"
    """Same picture after resize, recompression, flip, rotation, window, equalisation, border or overlay."""
    PARTIAL = "partial"
    """One picture is a crop or a panel of the other."""
    NEAR_TEXT = "near_text"
    """The question (without its options) is in the text with small edits."""
    PARAPHRASE = "paraphrase"
    """A reworded question with the same answer."""
    SAME_GROUP = "same_group"
    """Same patient, study, article, case, video or slide; other content."""
    PROVENANCE = "provenance"
    """The eval set was made from this corpus."""
    PASSAGE_SHARED = "passage_shared"
    """Both quote the same public passage; the question is not there."""
    TEMPLATE_SIBLING = "template_sibling"
    """Same wording, another number, side, negation or entity."""


STRENGTH: tuple[Grade, ...] = tuple(Grade)
"""All grades, strongest first."""
REMOVING: tuple[Grade, ...] = STRENGTH[:7]
"""The grades that a recipe may drop samples for and an audit may fail on."""


def strongest(grades: "set[Grade] | list[Grade] | tuple[Grade, ...]") -> Grade:
    """The strongest of some grades.

    Raises:
        ValueError: there are none.
    """
    return min(grades, key=STRENGTH.index)


def at_least(grade: Grade, limit: Grade) -> bool:
    """Whether a grade is as strong as a limit."""
    return STRENGTH.index(grade) <= STRENGTH.index(limit)
