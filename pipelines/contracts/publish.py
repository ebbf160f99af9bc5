"""The reports of the gates: `reports/contracts.json` for machines, `reports/contracts/` for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from pipelines.contracts.outcomes import GateReport
from pipelines.flow import Flow
from pipelines.session import Session
from pipelines.work import Commit

REPORT = "reports/contracts.json"
SITE = "reports/contracts"


@dataclass(frozen=True)
class SiteTask:
    """Renders Great Expectations' Data Docs and writes them into the run: on a worker, which has imported it."""

    reports: tuple[GateReport, ...]

    @property
    def label(self) -> str:
        """What is rendered."""
        return "contracts pages"

    def run(self, session: Session) -> Commit:
        """Write the pages. Nothing is committed: `reports/contracts.json`, written last, says that they are there."""
        from pipelines.contracts.site import pages

        folder = session.work.folder
        folder.delete_tree(SITE)
        for name, html in pages(self.reports).items():
            folder.write(f"{SITE}/{name}", html.encode())
        return Commit("contracts_pages", "", {}, {})


def publish_contracts(flow: Flow, reports: Sequence[GateReport], document: dict[str, Any]) -> None:
    """Write both, unless the run has exactly these already."""
    folder = flow.session.work.folder
    data = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if _holds(flow, data) and folder.stat(f"{SITE}/index.html") is not None:
        return
    folder.delete(REPORT)
    task = SiteTask(tuple(reports))
    flow.aside(task.label, [task])
    folder.write(REPORT, data)


def _holds(flow: Flow, data: bytes) -> bool:
    try:
        return flow.session.work.folder.read(REPORT) == data
    except FileNotFoundError:
        return False
