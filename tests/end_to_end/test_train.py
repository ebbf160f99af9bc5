"""From a corpus to trained weights: `curate build`, `curate train` for two stages in a chain, `curate audit`."""

import csv
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from safetensors.torch import load_file

from tests.end_to_end.audits import eval_set
from tests.end_to_end.runs import curate_json
from tests.pipelines.audit.forms import drawn
from tests.workflows.train.minis import mini_file
from workflows.train.forecast import forecast
from workflows.train.metrics import read_metrics
from workflows.train.model import part_of
from workflows.train.start import TrainOptions, prepare

pytestmark = pytest.mark.filterwarnings("ignore")
FINDINGS = ("a healing fracture", "no effusion", "two surgical clips", "a granuloma")


def write_corpus(root: Path) -> None:
    root.mkdir(parents=True)
    with (root / "data.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "image", "question", "answer"])
        writer.writeheader()
        for number in range(8):
            drawn(100 + number, 80).save(root / f"{number}.png")
            writer.writerow({"id": number, "image": f"{number}.png", "question": f"What is on film {number}?",
                             "answer": FINDINGS[number % 4]})  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    write_corpus(root / "corpus")
    eval_set(root / "evals")
    source = {"name": "films", "reader": "csv", "path": "corpus/data.csv", "task": "vqa", "access": "open",
              "fields": {"id": "id", "image": "image", "question": "question", "answer": "answer"},
              "images": "corpus"}  # fmt: skip
    steps = {"decontaminate": {"against": ["mine"], "calibrate": {"enabled": False}}, "tokens": {"min": 1, "max": 1024}}
    recipe = root / "mid.yaml"
    recipe.write_text(yaml.safe_dump({"stage": "mid", "sources": [source], "steps": steps}))
    where = ("--data", root, "--evals", root / "evals", "--out", root / "mid")
    assert curate_json("build", "--recipe", recipe, *where)["audit"] == "clean"
    return root


def train(root: Path, stage: str, *more: object) -> dict[str, Any]:
    settings = ("--set", "cpu_threads=1", "--set", "workers=0", "--set", "epochs=2", "--set", "rows_per_step=2")
    return curate_json("train", "--stage", stage, "--shards", root / "mid" / "shards", "--model", mini_file(root),
                       "--out", root / f"trained-{stage}", *settings, *more)  # fmt: skip


def foretold(root: Path, stage: str) -> set[str]:
    """What a dry run says that will lie in a run's folder."""
    options = TrainOptions(stage, str(root / "mid" / "shards"), str(mini_file(root)), None, root / "trained-align", 1,
                           1, False, None, ())  # fmt: skip
    return {Path(name).relative_to(options.out).parts[0] for name in forecast(prepare(options))["files"]}


def test_two_stages_in_a_chain_leave_weights_whose_lineage_an_audit_confirms(built: Path) -> None:
    align = train(built, "align", "--set", "learning_rate={projector: 1e-2}")
    mid = train(built, "mid", "--from", built / "trained-align", "--set", "learning_rate={language: 1e-2}", "--set",
                "warmup_steps=1")  # fmt: skip
    assert align["last_loss"] < align["first_loss"]
    written = {path.name for path in (built / "trained-align").iterdir() if not path.name.startswith(".")}
    assert written == foretold(built, "align")
    assert mid["last_loss"] < mid["first_loss"]
    before, after = (load_file(Path(answer["export"]) / "model.safetensors") for answer in (align, mid))
    changed = {part_of(name) for name in before if not (before[name] == after[name]).all()}
    assert changed == {"language"}
    assert len(read_metrics(built / "trained-mid" / "metrics.jsonl")) == mid["steps"]
    audited = curate_json("audit", mid["export"], "--out", built / "audit")
    assert (audited["verdict"], [one["stage"] for one in audited["stages"]]) == ("clean", ["align", "mid"])
    asked = [
        curate_json("train", "sample", "--checkpoint", place, "--count", 3, "--max-tokens", 12)["samples"]
        for place in (
            built / "trained-mid",
            mid["export"],
            built / "trained-mid" / "checkpoints" / f"step-{mid['steps']:08d}",
        )
    ]
    assert asked[0] == asked[1] == asked[2]  # nothing is drawn, and the last checkpoint is what was exported
    assert len({one["sample_id"] for one in asked[0]}) == 3
    assert all(one["expected"] in FINDINGS and one["answer"] for one in asked[0])
    again = train(built, "mid", "--from", built / "trained-align", "--resume", "--set",
                  "learning_rate={language: 1e-2}", "--set", "warmup_steps=1")  # fmt: skip
    assert again == mid
    lineage = orjson.loads((Path(mid["export"]) / "lineage.json").read_bytes())
    assert lineage["stages"][0]["findings"] is not None
