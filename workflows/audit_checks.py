"""What `curate audit` does besides an audit: whether one still holds, and the lineage of a checkpoint."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.answer import print_json, say

if TYPE_CHECKING:
    from pipelines.audit.run import AuditOptions
    from pipelines.audit.signing import PrivateKey


def key_in(path: Path) -> "PrivateKey":
    """The private key in a PEM file.

    Raises:
        UsageError: it cannot be read, or is none.
    """
    from pipelines.audit.signing import private_key

    return private_key(_read(path, "--sign"))


def verify_audit(options: "AuditOptions", key: Path | None, *, as_json: bool) -> int:
    """Compare an audit with what it is of; the exit status is 1 where anything was swapped, else 0."""
    from pipelines.audit.attest import verify
    from pipelines.audit.signing import public_key

    checked = verify(options, None if key is None else public_key(_read(key, "--key")))
    if as_json:
        print_json({"ok": not checked.problems, "problems": list(checked.problems), "verdict": checked.verdict,
                    "signed_by": checked.signed_by})  # fmt: skip
    for problem in checked.problems:
        say(problem)
    if not checked.problems:
        signed = "not signed" if checked.signed_by is None else f"signed by {checked.signed_by}"
        say(f"ok: the audit is of this data and these eval sets ({signed}); its verdict is {checked.verdict}")
    return 1 if checked.problems else 0


def checkpoint_in(data: list[str]) -> str | None:
    """The place, where a single one was given and it is a checkpoint with a lineage."""
    from pipelines.audit.lineage import has_lineage
    from pipelines.places import folder_of

    folder = folder_of(data[0], "DATA") if len(data) == 1 else None
    return data[0] if folder is not None and folder.exists() and has_lineage(folder) else None


def refuse_for_checkpoints(place: str, given: Sequence[str]) -> None:
    """A checkpoint is not searched, so options of a search are not quietly passed over.

    Raises:
        UsageError: one was given.
    """
    from pipelines.errors import UsageError

    if given:
        raise UsageError(
            f"{place} has a lineage.json: it is a checkpoint, and {', '.join(given)} means nothing there",
            "leave that out, or name the data in it (a folder or files beside lineage.json)",
        )


def audit_checkpoint(place: str, out: str | None, *, as_json: bool) -> int:
    """Re-verify a checkpoint's lineage and write its page; the exit status is that of its verdict."""
    from pipelines.audit.lineage import check_weights
    from pipelines.audit.names import names_for
    from pipelines.audit.report.lineage import WEIGHTS_PAGE, render_weights, weights_answer
    from pipelines.audit.verdict import STATUS
    from pipelines.places import folder_of

    weights = check_weights(folder_of(place, "DATA"), datetime.now(UTC).date())
    folder = folder_of(out or f"audit-{names_for([place])[0]}", "--out")
    folder.write(WEIGHTS_PAGE, render_weights(weights, place).encode())
    answer = weights_answer(weights, f"{folder.place}/{WEIGHTS_PAGE}")
    if as_json:
        print_json(answer)
    lines = [f"verdict: {answer['verdict']}", *(f"  {problem}" for problem in weights.problems)]
    for one in weights.stages:
        lines += [f"  {one.stage.stage}: {one.verdict}", *(f"    {problem}" for problem in one.problems)]
    say("\n".join([*lines, f"  not covered: {answer['not_covered'][0]}", f"report: {answer['report']}"]))
    return STATUS[weights.verdict]


def _read(path: Path, option: str) -> bytes:
    from pipelines.errors import UsageError

    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{option} {path}: cannot be read ({error.strerror})", "give a PEM file") from None
