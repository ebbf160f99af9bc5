"""`reports/build.html`: what one build did, on one page that loads nothing and runs nothing.

It is for the people of the site and not part of the run's identity.
"""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import jinja2
import orjson
import yaml

from pipelines.private import private_sources
from pipelines.replan import packing_in
from pipelines.report.breakdown import by, funnel, losses
from pipelines.report.charts import histogram, short
from pipelines.report.examples import contact_sheet
from pipelines.report.near import Gallery, near_gallery
from pipelines.report.page_templates import page_templates
from pipelines.report.parts import published_parts
from pipelines.report.survey import Survey, check_survey, committed_survey, surveyed
from pipelines.report.times import Times, read_times
from pipelines.run_directory import read_run
from pipelines.work import Work
from sources.storage import Folder

PAGE = "reports/build.html"
CONTRACTS = "reports/contracts.json"
CONTRACT_PAGES = "contracts/index.html"
FAILED_ROWS = 5
DIMENSIONS = ("task", "license", "access", "modality", "language")

INDEXED = {
    "near_text bands": "Texts",
    "near_picture bands": "Pictures",
    "near_image bands": "Texts of samples with pictures",
}
"""What near-duplicates are sought among, by the step that makes its index."""


def write_page(work: Work, answer: Mapping[str, Any]) -> None:
    """Write the page of the finished run in the folder of `work`; `answer` is what the command answers.

    Of a run whose work was cleaned away the page that is there stays.

    Raises:
        ConservationError: the tables do not hold what `run.json` counted.
    """
    run = work.folder
    committed = run.has_folder("work/ingest")
    if not committed and run.stat(PAGE) is not None:
        return
    document, parts = read_run(run), published_parts(run)
    survey = committed_survey(work, document["fingerprint"], parts) if committed else surveyed(run, parts)
    check_survey(document, survey)
    private = private_sources(document)
    shown, near = contact_sheet(run, parts, survey, private), near_gallery(run, parts, private)
    told = {**answer, "packing": packing_in(run)}
    page = render(document, survey, shown, near, read_times(run), _contracts(run), told, run.place)
    run.write(PAGE, page.encode())


def render(
    run: Mapping[str, Any],
    survey: Survey,
    shown: Mapping[str, Any],
    near: Gallery | None,
    times: Times,
    contracts: Mapping[str, Any] | None,
    answer: Mapping[str, Any],
    place: str,
) -> str:
    """The page as HTML."""
    words = {reason: examples[0].words for reason, examples in shown.items() if examples}
    recipe = run["identity"]["recipe"]
    settings = {name: value for name, value in recipe.items() if name not in {"sources", "stage"}}
    lost = losses(survey, words)
    return (
        _templates()
        .get_template("build.html.j2")
        .render(
            run=run,
            answer=answer,
            place=place,
            command=f"curate why {shlex.quote(place)}",
            survey=survey,
            funnel=funnel(run),
            losses=lost,
            sources=by(survey, "source"),
            breakdowns=[(name, by(survey, name)) for name in DIMENSIONS],
            tokens=histogram(survey.tokens, "tokens"),
            sides=histogram(survey.sides, "px"),
            shown=shown,
            lost_examples=[(row, shown[row.reason]) for row in lost if row.reason in shown],
            private=private_sources(run),
            near=near,
            indexed=[(what, times.steps[name]) for name, what in INDEXED.items() if name in times.steps],
            contracts=contracts,
            times=times,
            slowest=max((step.seconds for step in times.steps.values()), default=0.0),
            settings=yaml.safe_dump(settings, sort_keys=True, width=100, allow_unicode=True),
            failed_rows=FAILED_ROWS,
        )
    )


def _contracts(run: Folder) -> dict[str, Any] | None:
    """The results of the data contracts, if the run has any, and where their own pages are."""
    if run.stat(CONTRACTS) is None:
        return None
    results: dict[str, Any] = orjson.loads(run.read(CONTRACTS))
    return results | {"page": CONTRACT_PAGES if run.stat(f"reports/{CONTRACT_PAGES}") is not None else None}


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    environment = page_templates()
    environment.filters |= {"n": number, "size": size, "duration": duration, "when": when, "short": short}
    return environment


def number(value: float) -> str:
    """A count with its thousands set apart."""
    return f"{value:,.0f}"


def size(value: float) -> str:
    """Bytes, in the unit that suits."""
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= limit:
            return f"{value / limit:,.1f} {unit}"
    return f"{value:.0f} B"


def duration(seconds: float) -> str:
    """A time span as people say it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def when(timestamp: float) -> str:
    """A point in time, UTC."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
