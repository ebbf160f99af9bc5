"""Columns of records that say by their names that they hold what identifies a person.

Where identifiers are sought, readers of tables hand these out although no field is mapped to them, so that their values
are found in the texts of the same record. Nothing else is made of them.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from sources.columns import mapped_columns
from sources.records import Corpus, PhiKind

_COLUMNS: dict[PhiKind, str] = {
    "name": (
        r"(?:patient|pat|doctor|physician|provider|author|first|last|family|given|sur|full|middle|maiden|referring|"
        r"operator|reader|technologist)_?name|(?:patient|doctor)_?(?:first|family|last)_?name|^name$|^surname$|"
        r"radiologist$|^patient$|(?:referring|attending|ordering|performing|reading)_(?:physician|doctor|provider)$"
    ),
    "date": (
        r"birth_?date|date_of_birth|^(?:patient_)?dob$|"
        r"(?:study|admission|exam|examination|discharge|visit|report|service)_?date|"
        r"date_of_(?:exam|examination|study|visit|admission|discharge|service|death)"
    ),
    "id": (
        r"(?:^|_)mrn(?:$|_)|medical_record|(?:^|_)patient_?id(?:$|_)|^accession|^ssn$|social_security|"
        r"^(?:patient|hospital|case|encounter|visit|account|insurance)_?(?:no|num|number)$|^nhs_(?:no|number)$"
    ),
    "phone": r"phone|telephone|(?:^|_)fax$|^mobile",
    "email": r"e_?mail",
    "address": r"address|^street$|(?:^|_)(?:zip|postal)_?code$|^zip$|(?:^|_)postcode$",
}
IDENTIFYING_COLUMNS = {kind: re.compile(pattern) for kind, pattern in _COLUMNS.items()}
"""Names of a record's columns, as `plain_name` writes them, whose values identify: they are sought in its texts."""
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NO_LETTER = re.compile(r"[^a-z0-9]+")


def plain_name(column: str) -> str:
    """A column's name in small letters with `_` between its words: `Patient ID`, `patientId`, `PATIENT-ID` alike."""
    return _NO_LETTER.sub("_", _CAMEL.sub("_", column).lower()).strip("_")


@lru_cache(maxsize=4096)
def identifying_kind(column: str) -> PhiKind | None:
    """What a column with this name says of a person, if anything."""
    plain = plain_name(column)
    return next((kind for kind, pattern in IDENTIFYING_COLUMNS.items() if pattern.search(plain)), None)


@dataclass(frozen=True)
class Wanted:
    """The columns of a table that are handed out, by name: mapped ones and, where they are sought, identifying ones."""

    mapped: frozenset[str]
    sought: bool

    def __contains__(self, name: object) -> bool:
        return name in self.mapped or (self.sought and identifying_kind(str(name)) is not None)


def wanted_columns(corpus: Corpus) -> Wanted:
    """Which columns a reader of tables hands out, or joins, for a corpus whose card does not take all."""
    return Wanted(mapped_columns(corpus.card), corpus.sought)
