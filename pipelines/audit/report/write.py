"""Everything that people read of an audit, written beside its document."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from dedup.decontamination.shortcuts import COLUMNS, shortcuts_of
from pipelines.audit.conda import conda_csv
from pipelines.audit.document import document_bytes
from pipelines.audit.looking import Looked
from pipelines.audit.places import CLEAN, DOCUMENT, FINDINGS_TABLE, PAGE, SHORTCUTS, SHORTCUTS_PAGE
from pipelines.audit.report.evidence import LISTED, in_turn, told
from pipelines.audit.report.page import render
from pipelines.audit.report.public import public_document, public_sources, public_told, salt_of
from pipelines.audit.report.shortcuts import render_shortcuts, shortcuts_bytes
from pipelines.audit.report.sides import AuditedSides
from pipelines.audit.signing import PrivateKey, signed
from pipelines.audit.statement import ENVELOPE, STATEMENT, statement_bytes
from pipelines.private import Hidden
from sources.storage import Folder

PUBLIC_PAGE = "reports/contamination.public.html"
CONDA = "reports/conda.csv"


@dataclass(frozen=True)
class Report:
    """What is made of an audit for people. `hidden`: what no page shows, besides sources that are known here."""

    looked: Looked
    document: Mapping[str, Any]
    hidden: Hidden

    @property
    def page(self) -> bytes:
        """The internal page."""
        return render(
            self.document, told(self._findings, self._sides, self._accepted), self._findings.num_rows
        ).encode()

    @property
    def public_page(self) -> bytes:
        """The page for outsiders."""
        salt = salt_of(document_bytes(self.document))
        found = public_told(self._findings, self._sides, self._accepted, salt, public_sources(self.document))
        return render(public_document(self.document, salt), found, self._findings.num_rows, salt=salt).encode()

    @property
    def shortcuts(self) -> dict[str, bytes]:
        """The second page, and the same as JSON."""
        found = shortcuts_of(self.looked.work.read(self.looked.protected.items, list(COLUMNS)))
        return {SHORTCUTS_PAGE: render_shortcuts(found).encode(), SHORTCUTS: shortcuts_bytes(found)}

    @property
    def _findings(self) -> pa.Table:
        return self.looked.found.findings

    @cached_property
    def _sides(self) -> AuditedSides:
        looked = self.looked
        samples = {row["sample_id"] for row in in_turn(self._findings, LISTED)}
        flow = looked.flow
        return AuditedSides(flow.session, flow.views, looked.protected, looked.found, samples, self.hidden)

    @property
    def _accepted(self) -> frozenset[str]:
        accepted = self.document["accepted"]
        return frozenset() if accepted is None else frozenset(accepted["findings"])


def write_reports(out: Folder, report: Report, *, public: bool, key: PrivateKey | None) -> None:
    """Write the pages, the columns for the registry, and the statement over all of it, signed where there is a key.

    What an earlier audit in the folder left and this one does not make goes. The document must have been written.
    """
    files = {PAGE: report.page, **report.shortcuts, CONDA: conda_csv(report.document).encode()}
    if public:
        files[PUBLIC_PAGE] = report.public_page
    for path, data in files.items():
        out.write(path, data, last=False)
    for path in {PUBLIC_PAGE, ENVELOPE, STATEMENT} - files.keys():
        out.delete(path)
    payload = statement_bytes(out, _stated(out, files), report.document)
    out.write(STATEMENT, payload)
    if key is not None:
        out.write(ENVELOPE, signed(payload, key))


def _stated(out: Folder, files: Iterable[str]) -> list[str]:
    """The files of an audit that its statement is about."""
    subsets = [stat.path for stat in out.glob([f"{CLEAN}/*.json"])]
    return [DOCUMENT, FINDINGS_TABLE, *subsets, *files]
