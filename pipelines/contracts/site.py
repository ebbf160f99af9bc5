"""Great Expectations' Data Docs as a static site that loads nothing: no scripts, fonts or styles of other hosts."""

import html
from collections.abc import Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from pipelines.contracts.outcomes import Found, GateReport
from pipelines.contracts.site_style import STYLE
from pipelines.contracts.validation import gx_expectation, gx_version, library

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Even what was overlooked loads nothing: browsers are told so."""
_DROPPED = frozenset({"script", "footer", "nav"})
"""Elements left out with what is in them: they need scripts of other hosts, or link to places that are not there."""
_DROPPED_TAGS = frozenset({"link", "img", "input"})
_WORDS = {"Sampled Unexpected Values": "Ids of some of these rows"}
"""What the templates call values are ids here."""
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})


def pages(reports: Sequence[GateReport]) -> dict[str, str]:
    """File name -> page: one a gate, rendered by Great Expectations, and an index."""
    made = {f"{report.gate}.html": self_contained(_rendered(report), f"contract {report.gate}") for report in reports}
    return {"index.html": _index(reports), **made}


def self_contained(page: str, title: str) -> str:
    """A page of Great Expectations without what it would load, in our own style."""
    cleaner = _Cleaner()
    cleaner.feed(page)
    cleaner.close()
    body = "".join(cleaner.kept)
    return _page(title, f'<p class="home"><a href="index.html">All contracts</a></p>{body}')


class _Cleaner(HTMLParser):
    """Keeps the body, without dropped elements and without attributes that name other places or run scripts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.kept: list[str] = []
        self._inside: list[str] = []
        self._body = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            self._body = True
            return
        if tag in _DROPPED:
            self._inside.append(tag)
        if not self._body or self._inside or tag in _DROPPED_TAGS:
            return
        kept = "".join(
            f' {name}="{html.escape(value or "")}"' for name, value in attrs if _is_harmless(tag, name, value or "")
        )
        self.kept.append(f"<{tag}{kept}>")

    def handle_endtag(self, tag: str) -> None:
        if tag == "body":
            self._body = False
        if self._inside:
            if tag == self._inside[-1]:
                self._inside.pop()
            return
        if self._body and tag not in _DROPPED_TAGS and tag not in _VOID:
            self.kept.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self._body and not self._inside:
            self.kept.append(html.escape(_WORDS.get(data.strip(), data), quote=False))


def _is_harmless(tag: str, name: str, value: str) -> bool:
    if name.startswith(("on", "data-")) or name in ("src", "srcset", "action", "hidden"):
        return False
    if name == "href":
        return tag == "a" and value.startswith("#")
    return "url(" not in value


def _rendered(report: GateReport) -> str:
    """The gate as Great Expectations' own page of a validation result."""
    with library():
        from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
        from great_expectations.render.view.view import DefaultJinjaPageView

        document = ValidationResultsPageRenderer(run_info_at_end=True).render(_as_result(report))
        view: Any = DefaultJinjaPageView()  # typed as Any: its methods have no types
        page: str = view.render(document)
        return page


def _as_result(report: GateReport) -> Any:
    """The outcomes of all batches as one result of a validation. Where values would stand, ids do."""
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.core.run_identifier import RunIdentifier

    results = [_as_expectation_result(found) for found in report.found]
    good = sum(found.success for found in report.found)
    count = len(report.found)
    meta: dict[str, Any] = {
        "great_expectations_version": gx_version(),
        "expectation_suite_name": report.gate.value,
        "run_id": RunIdentifier(run_name=f"contract {report.gate}", run_time=datetime.now(UTC)),
        "batch_spec": {"data_asset_name": report.gate.value},
        "batch_markers": {},
        "active_batch_definition": {},
    }
    statistics = {
        "evaluated_expectations": count,
        "successful_expectations": good,
        "unsuccessful_expectations": count - good,
        "success_percent": 100 * good / count if count else None,
    }
    return ExpectationSuiteValidationResult(
        success=good == count,
        results=results,
        suite_name=report.gate.value,
        statistics=statistics,
        meta=meta,
    )


def _as_expectation_result(found: Found) -> Any:
    from great_expectations.core import ExpectationValidationResult

    return ExpectationValidationResult(
        success=found.success,
        expectation_config=gx_expectation(found.rule).configuration,
        result=_numbers(found),
        exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
    )


def _numbers(found: Found) -> dict[str, Any]:
    """What was counted, under the names that the renderer reads."""
    if found.rule.shape == "form":
        return {"observed_value": list(found.rule.arguments["column_list"]) if found.success else []}
    if found.rule.shape == "table":
        return {"observed_value": found.checked}
    share = 100 * found.unexpected / found.checked if found.checked else 0.0
    return {
        "element_count": found.checked,
        "unexpected_count": found.unexpected,
        "unexpected_percent": share,
        "missing_count": 0,
        "missing_percent": 0.0,
        "unexpected_percent_total": share,
        "unexpected_percent_nonmissing": share,
        "partial_unexpected_list": found.first,
    }


def _index(reports: Sequence[GateReport]) -> str:
    rows = []
    for report in reports:
        warned = len(report.failures) - len(report.critical)
        state = "broken" if report.critical else ("warnings" if warned else "holds")
        rows.append(
            f'<tr><td class="{state}">{state}</td><td><a href="{report.gate}.html">{report.gate}</a></td>'
            f"<td>{report.rows:,}</td><td>{len(report.found)}</td><td>{len(report.critical)}</td><td>{warned}</td></tr>"
        )
    head = _cells("th", ("State", "Gate", "Rows", "Expectations", "Broken", "Warnings"))
    return _page(
        "Contracts of this run",
        f"<h1>Contracts of this run</h1><table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
        f"{_failures(reports)}<p>Checked by Great Expectations {html.escape(gx_version())}. Rows that break a contract "
        "are named by their ids; <code>../contracts.json</code> has the same for programs.</p>",
    )


def _failures(reports: Sequence[GateReport]) -> str:
    """What does not hold, and why it matters."""
    rows = [
        _cells("td", (
            report.gate, found.rule.severity, found.rule.expect, found.rule.column or "",
            ", ".join(source for source in sorted({*found.broken, found.rule.source or ""}) if source),
            f"{found.unexpected:,}" if found.unexpected else "", ", ".join(found.first), found.rule.why,
        ))
        for report in reports
        for found in report.failures
    ]  # fmt: skip
    if not rows:
        return ""
    head = _cells(
        "th", ("Gate", "Severity", "Expectation", "Column", "Source", "Rows", "For example", "Why it matters")
    )
    return f"<h4>What does not hold</h4><table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _cells(tag: str, texts: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(text)}</{tag}>' for text in texts)}</tr>"


def _page(title: str, body: str) -> str:
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )
