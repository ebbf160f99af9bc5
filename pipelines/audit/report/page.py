"""`reports/contamination.html`: verdict first, then every finding with its evidence, on one page that loads nothing."""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from dedup.decontamination.grades import STRENGTH
from pipelines.audit.document import accepted_gaps, accepted_leaks
from pipelines.audit.report.evidence import CHANNELS, GRADES, LISTED, PICTURED, PICTURED_ALIKE, TOLD, Told
from pipelines.audit.report.plot import FALSE, plot
from pipelines.report.page import number, size
from pipelines.report.page_templates import page_templates

INPUTS = 40
"""Files of one place that are listed."""
VERDICTS: Mapping[str, tuple[str, str]] = {
    "leaks": ("Leaks", "Items of the eval sets are in the data."),
    "incomplete": ("Incomplete", "No leak was found, but not everything could be looked at: this is no clean bill."),
    "insensitive": ("Insensitive", "No leak was found, but by its own probes this audit would have missed too many."),
    "clean": ("Clean", "No item of these eval sets was found in the data at or above the limit."),
}
"""Heading and sentence of each verdict."""
REVIEWED: Mapping[str, str] = {
    "leaks": "Items of the eval sets are in the data. A review accepts some of the findings, but not all.",
    "incomplete": "Items of the eval sets are in the data, and a review accepts them. Not everything could be looked"
    " at: this is no clean bill.",
    "insensitive": "Items of the eval sets are in the data, and a review accepts them. By its own probes this audit"
    " would have missed too many others.",
    "clean": "Items of the eval sets are in the data, and a review accepts every one that was found.",
}
"""The sentence of each verdict where a review accepts leaks."""
UNLOOKED = " The review also accepts that the audit was incomplete or insensitive."


@dataclass(frozen=True)
class Options:
    """The values of one filter, each with how many findings on the page have it."""

    name: str
    label: str
    values: tuple[tuple[str, int], ...]


def render(document: Mapping[str, Any], found: Sequence[Told], total: int, *, salt: str | None = None) -> str:
    """The page as HTML.

    Args:
        document: the content of `contamination.json`, or of it what outsiders may see.
        found: the findings that are on the page.
        total: how many findings there are in the table.
        salt: what hashes on a page for outsiders are salted with; None: the page is internal.
    """
    script = asset("filter.js")
    policy = document["policy"]
    return (
        templates()
        .get_template("contamination.html.j2")
        .render(
            document=document,
            verdict=verdict_told(document),
            found=found,
            total=total,
            told=sum(one.full for one in found),
            pictured=sum(one.our_picture is not None and one.our_picture.shown is not None for one in found),
            limits={"alike": PICTURED_ALIKE, "pictures": PICTURED, "told": TOLD, "listed": LISTED},
            filters=filters(found),
            grades=GRADES,
            channels=CHANNELS,
            strength=[grade.value for grade in STRENGTH],
            graded=[
                grade.value
                for grade in STRENGTH
                if any(one["by_grade"].get(grade.value) for one in document["eval_sets"].values())
            ],
            plot=plot(document["calibration"], policy.get("min_recall")),
            decoys=(document["calibration"] or {}).get(FALSE),
            probes=document.get("probes"),
            residual=document.get("residual"),
            assumes=document.get("residual_assumes"),
            samples=sum(one["samples"] for one in document["sources"].values()),
            inputs=INPUTS,
            public=salt is not None,
            salt=salt,
            script=Markup(script),  # noqa: S704 - our own file
            script_hash=script_hash(script),
        )
    )


def verdict_told(document: Mapping[str, Any]) -> tuple[str, str]:
    """Heading and sentence of an audit's verdict: where a review made it what it is, the sentence says so."""
    verdict = document["verdict"]
    heading, sentence = VERDICTS[verdict]
    accepted = document["accepted"]
    some = accepted is not None and bool(accepted["findings"]) and verdict == "leaks"
    if some or accepted_leaks(document):
        sentence = REVIEWED[verdict]
    return heading, sentence + (UNLOOKED if accepted_gaps(document) else "")


def filters(found: Sequence[Told]) -> tuple[Options, ...]:
    """Eval set, source, grade and channel, with counts."""
    ranks = {grade.value: place for place, grade in enumerate(STRENGTH)}
    asked = (("eval_set", "Eval set"), ("source", "Source"), ("grade", "Grade"), ("channel", "Found by"))
    made = []
    for name, label in asked:
        counts = Counter(str(getattr(one, name)) for one in found)
        ordered = sorted(counts.items(), key=lambda item: (ranks.get(item[0], 0), item[0]))
        made.append(Options(name, label, tuple(ordered)))
    return tuple(made)


def asset(name: str) -> str:
    """A file of the templates."""
    return (files("pipelines.audit.report") / "templates" / name).read_text(encoding="utf-8")


def script_hash(script: str) -> str:
    """What the content security policy names the page's own script by."""
    return base64.b64encode(sha256(script.encode()).digest()).decode("ascii")


@lru_cache(maxsize=1)
def templates() -> jinja2.Environment:
    """The templates of audits, with those of build reports beside them."""
    environment = page_templates("pipelines.audit.report")
    environment.filters |= {"n": number, "size": size, "share": share}
    return environment


def share(value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.1f} %"
