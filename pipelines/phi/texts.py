"""Where texts are redacted: inside ingest, so that no file of a run ever holds what was found."""

from typing import Any

from filters.phi_spans import VERSION
from pipelines.session import Session
from sources.joins import joined
from sources.records import Corpus, Record
from sources.schema import Reason, Verdict

Given = tuple[Verdict, str | None, str | None]
"""Verdict, reason, evidence."""
KEPT: Given = (Verdict.KEEP, None, None)


def text_parameters(session: Session, corpus: Corpus) -> tuple[Any, ...]:
    """What the texts of a source depend on here; empty where they are left as they are."""
    settings = session.recipe.steps.phi
    if not settings.seeks(corpus):
        return ()
    return "phi", VERSION, settings.text, settings.names


def screened(
    session: Session, corpus: Corpus, path: str, item: Record, row: dict[str, Any]
) -> tuple[dict[str, Any], Given]:
    """A sample as it may be stored, and what is said of it if nothing else is: kept, redacted or quarantined.

    Also of a quarantined sample, and of one that is dropped, the redacted text is all that is stored.
    """
    if not text_parameters(session, corpus):
        return row, KEPT
    from filters.phi import evidence_of, known_values, redact_row  # its patterns take half a second
    from filters.phi_text import Known

    settings = session.recipe.steps.phi
    said = item.row if item.finished else joined(corpus, path, item).row
    # What the record's header and its columns, the joined ones included, say of whom it tells.
    known = [*(Known(kind, value) for kind, value in item.identifiers), *known_values(said)]
    row, findings = redact_row(row, "model" if settings.names == "model" else "rules", known)
    if not findings:
        return row, KEPT
    verdict = Verdict.QUARANTINE if settings.text == "quarantine" else Verdict.EDIT
    return row, (verdict, Reason.PHI_TEXT, evidence_of(findings))
