"""`reports/shortcuts.html`: what could be scored on the eval sets without knowing anything."""

from collections.abc import Sequence
from dataclasses import asdict

import orjson

from dedup.decontamination.shortcuts import LEAST_EXPECTED, SHORTEST_ANSWER, Shortcuts
from pipelines.audit.report.page import templates


def render_shortcuts(found: Sequence[Shortcuts]) -> str:
    """The page as HTML."""
    template = templates().get_template("shortcuts.html.j2")
    return template.render(found=found, shortest=SHORTEST_ANSWER, least=LEAST_EXPECTED)


def shortcuts_bytes(found: Sequence[Shortcuts]) -> bytes:
    """The same as JSON: eval set -> its figures."""
    document = {one.eval_set: asdict(one) for one in found}
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
