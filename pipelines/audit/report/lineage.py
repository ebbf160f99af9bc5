"""`reports/weights.html`: one page for the weights of a checkpoint, over all stages it was trained in."""

from typing import Any

from pipelines.audit.lineage import UNCOVERED, CheckedWeights
from pipelines.audit.report.page import VERDICTS, templates

WEIGHTS_PAGE = "reports/weights.html"


def render_weights(weights: CheckedWeights, place: str) -> str:
    """The page as HTML; `place` is where the checkpoint lies."""
    template = templates().get_template("lineage.html.j2")
    return template.render(weights=weights, place=place, verdict=VERDICTS[weights.verdict], uncovered=UNCOVERED)


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
