"""Findings in the columns of the public contamination registry (CONDA 2024 shared task)."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from dedup.decontamination.assemble import RANK
from dedup.decontamination.grades import Grade
from pipelines.audit.document import leaking

HEADER = ("Evaluation Dataset", "Subset", "Contaminated Source", "Model or corpus", "Train Split", "Development Split",
          "Test Split", "Approach", "Reference", "PR")  # fmt: skip
TRAIN, DEVELOPMENT = ("train", "training"), ("dev", "validation", "val", "validate")


def conda_csv(document: Mapping[str, Any]) -> str:
    """One row per eval set and source in which items of it leaked; fields are parted by semicolons.

    The share of leaked items, in per cent of the eval set, stands under the split that is evaluated; the others are
    left empty: nobody looked. `Reference` and `PR` are for whoever hands the rows in.
    """
    limit = leaking(Grade(document["policy"]["fail_on"]))
    file = io.StringIO()
    writer = csv.writer(file, delimiter=";", lineterminator="\n")
    writer.writerow(HEADER)
    for source, of in document["sources"].items():
        for name, found in of["eval_sets"].items():
            leaked = sum(count for grade, count in found["by_grade"].items() if RANK[grade] <= limit)
            if leaked:
                writer.writerow(_row(document["eval_sets"][name], name, source, leaked))
    return file.getvalue()


def _row(eval_set: Mapping[str, Any], name: str, source: str, leaked: int) -> list[str]:
    share = f"{100 * leaked / eval_set['items']:.1f}"
    splits = [split.casefold() for split in eval_set["split"]]
    place = 0 if any(one in TRAIN for one in splits) else 1 if any(one in DEVELOPMENT for one in splits) else 2
    shares = [share if number == place else "" for number in range(3)]
    return [name, "", source, "corpus", *shares, "data-based", "", ""]
