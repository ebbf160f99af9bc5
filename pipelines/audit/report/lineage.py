"""`reports/weights.html`: one page for the weights of a checkpoint, over all stages it was trained in."""

from typing import Any

from pipelines.audit.document import accepted_leaks
from pipelines.audit.lineage import UNCOVERED, CheckedWeights
from pipelines.audit.report.page import REVIEWED, VERDICTS, templates

WEIGHTS_PAGE = "reports/weights.html"


def render_weights(weights: CheckedWeights, place: str) -> str:
    """The page as HTML; `place` is where the checkpoint lies."""
    template = templates().get_template("lineage.html.j2")
    heading, sentence = VERDICTS[weights.verdict]
    by_their_own = any(one.document is not None and accepted_leaks(one.document) for one in weights.stages)
    if by_their_own or any(one.accepted for one in weights.stages):
        sentence = REVIEWED[weights.verdict]
    return template.render(weights=weights, place=place, verdict=(heading, sentence), uncovered=UNCOVERED)


def weights_answer(weights: CheckedWeights, report: str) -> dict[str, Any]:
    """The command's JSON."""
    return {
        "verdict": weights.verdict.value,
        "stages": [
            {
                "stage": one.stage.stage,
                "verdict": one.verdict.value,
                "accepted": one.accepted,
                "problems": list(one.problems),
            }
            for one in weights.stages
        ],
        "problems": list(weights.problems),
        "not_covered": [UNCOVERED],
        "report": report,
    }
