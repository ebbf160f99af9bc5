"""Real ZeRO-3 on two processes over gloo, once for all tests of this file (traps 2, 4, 5, 8 and 9 among them)."""

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines.audit.lineage import check_weights
from shards.harmony import render
from sources.storage import LocalFolder
from tests.end_to_end.runs import curate_json
from tests.workflows.train.made_shards import film, key_of, sample_turns, write_build
from tests.workflows.train.minis import mini, mini_file
from workflows.train.batch import Row, batch_of
from workflows.train.check import Spec
from workflows.train.data import Pixels
from workflows.train.init import init_random
from workflows.train.job import METRICS, Job, write_job
from workflows.train.metrics import BOARD, read_metrics
from workflows.train.model import Attention, parameter_counts, part_of
from workflows.train.packed import IGNORED, PackedModel
from workflows.train.start import TrainOptions, make_job, prepare
from workflows.train.weights import load_strictly

pytestmark = pytest.mark.filterwarnings("ignore")
FAST = (
    "learning_rate={vision: 1e-3, projector: 3e-3, language: 3e-3}",
    "warmup_steps=2",
    "weight_decay=0.1",
    "save_every=3",
    "workers=0",
    "epochs=2",
    "validation={every: 3, rows: 2}",
    "cpu_threads=1",
)
HELD_OUT = range(24, 30)
ALIGN = ("learning_rate={projector: 1e-2}", "save_every=3", "workers=0", "epochs=2")


class Outcome:
    """What the two ranks left behind."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.told: Mapping[str, Any] = orjson.loads((work / "told.json").read_bytes())

    def losses(self, name: str) -> list[float]:
        return [row["loss"] for row in read_metrics(self.work / name / METRICS)]

    def weights(self, place: str) -> dict[str, Any]:
        return load_file(self.work / place / "model.safetensors")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    work = tmp_path_factory.mktemp("distributed")
    init_random(mini(), work / "init", 0)
    write_build(work / "mid", "mid", samples=24, held_out=len(HELD_OUT))
    write_build(work / "align", "align", samples=12, pictures=(1, *[0] * 11))
    model = str(mini_file(work))

    def settled(name: str, stage: str, *overrides: str) -> None:
        options = TrainOptions(stage, str(work / stage / "shards"), model, work / "init", work / name, 2, 1, False,
                               None, overrides)  # fmt: skip
        job: Job = make_job(prepare(options))
        write_job(job)
        (work / f"{name}.job").write_text(job.model_dump_json())

    settled("whole", "mid", *FAST)
    settled("stopped", "mid", *FAST)
    settled("spread", "mid", *FAST, "steps=4", "zero_hpz_partition_size=2")
    settled("aligned", "align", *ALIGN, "rows_per_step=2")
    (work / "aligned.job").rename(work / "align.job")
    settled("exploding", "mid", *FAST, "learning_rate={language: 1e30}")
    settled("unlearnable", "mid", *FAST, "balance=1e39")  # more than float32 holds, in the gradient alone
    (work / "check").mkdir()
    kernel = mini().model_copy(update={"attention": Attention(text="flash_attention_4")})
    spec = Spec(model=kernel, small=mini(), start=work / "init", work=work / "check", steps=6)
    (work / "check" / "spec.json").write_text(spec.model_dump_json())
    environment = {**os.environ, "TORCH_EXTENSIONS_DIR": str(work / "compiled"), "OMP_NUM_THREADS": "1",
                   "PYTHONPATH": str(Path(__file__).parents[3]), "HF_HUB_OFFLINE": "1"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
         "tests.workflows.train.distributed", str(work)],
        env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-6000:]
    return Outcome(work)


def test_the_loss_falls(outcome: Outcome) -> None:
    losses = outcome.losses("whole")
    assert len(losses) >= 6
    assert losses[-1] < losses[0] - 0.7


def test_the_first_step_already_learns(outcome: Outcome) -> None:
    rows = read_metrics(outcome.work / "whole" / METRICS)
    assert rows[0]["learning_rate"] == pytest.approx(0.0015)
    assert rows[1]["loss"] < rows[0]["loss"]


def test_one_rank_that_is_told_to_stop_stops_all_with_a_checkpoint_and_going_on_gives_the_same_losses(
    outcome: Outcome,
) -> None:
    assert outcome.told["stopped"] is False
    assert 2 <= outcome.told["stopped_at"] < len(outcome.losses("whole"))
    assert outcome.told["resumed"] is True
    assert outcome.losses("stopped") == outcome.losses("whole")
    whole, resumed = outcome.weights("whole/export"), outcome.weights("stopped/export")
    assert all((whole[name] == resumed[name]).all() for name in whole)


def test_only_the_projector_changes_in_align_even_where_a_rank_has_no_picture(outcome: Outcome) -> None:
    assert any(0 in step and sum(step) > 0 for step in outcome.told["pictures"])
    before, after = outcome.weights("init"), outcome.weights("aligned/export")
    assert before.keys() == after.keys()
    changed = {name for name in before if not (before[name] == after[name]).all()}
    assert {part_of(name) for name in changed} == {"projector"}
    assert len(changed) == 4


def test_the_export_has_the_names_of_a_fresh_model(outcome: Outcome) -> None:
    names = outcome.weights("whole/export").keys()
    assert names == outcome.weights("init").keys()
    assert not any("model.model" in name for name in names)
    config = orjson.loads((outcome.work / "whole/export/config.json").read_bytes())
    assert config["architectures"] == ["LlavaForConditionalGeneration"]


def test_a_loss_that_is_no_number_stops_at_its_step_and_names_the_samples(outcome: Outcome) -> None:
    assert "no number" in outcome.told["exploding"]
    told = orjson.loads((outcome.work / "exploding" / "bad_batch.json").read_bytes())
    assert told["step"] == len(outcome.losses("exploding")) + 1
    assert told["samples"]
    assert set(told["samples"]) <= {key_of(number) for number in range(24)}


def test_a_gradient_that_is_no_number_stops_at_its_step_and_names_the_samples(outcome: Outcome) -> None:
    assert "step 1: the loss is 5" in outcome.told["unlearnable"]
    assert "gradient no number" in outcome.told["unlearnable"]
    assert orjson.loads((outcome.work / "unlearnable" / "bad_batch.json").read_bytes())["samples"]
    assert not outcome.losses("unlearnable")


def test_a_second_copy_of_the_weights_in_the_node_changes_no_loss(outcome: Outcome) -> None:
    """Of ZeRO++; the first steps, at rates that do not depend on the number of steps."""
    assert outcome.told["spread"] is True
    assert outcome.losses("spread")[:3] == outcome.losses("whole")[:3]


def validated(outcome: Outcome, name: str) -> dict[int, float]:
    rows = read_metrics(outcome.work / name / METRICS)
    return {row["step"]: row["validation"]["films"] for row in rows if "validation" in row}


def test_the_loss_on_held_out_samples_is_told_every_so_many_steps_and_at_the_end(outcome: Outcome) -> None:
    told = validated(outcome, "whole")
    steps = len(outcome.losses("whole"))
    assert list(told) == sorted({*range(3, steps + 1, 3), steps})
    assert told[steps] < told[3]
    assert validated(outcome, "stopped") == told


def test_the_loss_on_held_out_samples_is_that_of_each_of_them_alone(outcome: Outcome) -> None:
    model = load_strictly(
        PackedModel, outcome.work / "whole/export", dtype=torch.bfloat16,
        attn_implementation={"text_config": "eager", "vision_config": "sdpa"},
    )  # fmt: skip
    model.watch_routers()
    encoder, pixels = str(outcome.work / "init/tokenizer.json"), Pixels(outcome.work / "init")
    total = labelled = 0.0
    for number in HELD_OUT:
        count = (1, 1, 0, 2)[number % 4]
        rendered = render(sample_turns(number, count), [mini().image_tokens] * count, encoder)
        ids = rendered.ids.astype(np.int64)
        pictures = [pixels(np.asarray(Image.open(io.BytesIO(film(number))).convert("RGB"))) for _ in range(count)]
        row = Row(ids, np.where(rendered.loss, ids, IGNORED), np.arange(len(ids)), pictures, [key_of(number)])
        with torch.no_grad():
            total += float(model(**vars(batch_of(row, 128, mini(), torch.device("cpu"))))[0])
        labelled += row.labelled
    assert list(validated(outcome, "whole").values())[-1] == pytest.approx(total / labelled, rel=5e-3)


def test_tensorboard_shows_every_step_once_also_after_a_resume(outcome: Outcome) -> None:
    rows = read_metrics(outcome.work / "stopped" / METRICS)
    events = EventAccumulator(str(outcome.work / "stopped" / BOARD)).Reload()
    assert {"loss", "learning_rate", "grad_norm", "tokens_per_second", "router_max_load", "rows", "wait_seconds",
            "validation/films"} <= set(events.Tags()["scalars"])  # fmt: skip
    shown = [(event.step, event.value) for event in events.Scalars("loss")]
    assert shown == [(row["step"], pytest.approx(row["loss"], rel=1e-6)) for row in rows]


def test_a_check_runs_what_it_can_without_gpus_and_names_what_it_cannot(outcome: Outcome) -> None:
    lines = (outcome.work / "check" / "told.jsonl").read_bytes().splitlines()
    found = {one["name"]: (one["status"], one["told"]) for one in map(orjson.loads, lines)}
    status = {name: status for name, (status, _) in found.items()}
    assert status == {
        "versions and devices of all ranks": "passed",
        "attention flash_attention_4 against eager on packed rows with sinks": "not run",
        "one layer of mini at 128 tokens, forward and backward": "not run",
        "bandwidth of an all-reduce": "passed",
        "mini in place of the full size: 6 steps under ZeRO-3": "passed",
        "mini in place of the full size: save, load, and the same losses again": "passed",
    }, found


def test_nothing_is_compiled(outcome: Outcome) -> None:
    assert not list((outcome.work / "compiled").rglob("*"))


def test_checkpoints_and_exports_have_a_lineage_that_holds(outcome: Outcome) -> None:
    places = [*(outcome.work / "whole" / "checkpoints").iterdir(), outcome.work / "whole" / "export"]
    assert len(places) == 3  # two checkpoints are kept
    for place in places:
        weights = check_weights(LocalFolder(place), datetime.now(UTC).date())
        assert (weights.verdict, weights.problems) == ("clean", ())
        assert [one.stage.stage for one in weights.stages] == ["mid"]


def test_the_command_goes_on_with_one_rank_where_two_stopped(outcome: Outcome) -> None:
    work = outcome.work
    answer = curate_json(
        "train", "--stage", "mid", "--shards", work / "mid" / "shards", "--model", work / "mini.yaml", "--from",
        work / "init", "--out", work / "elastic", "--nproc", 1, "--resume", *(word for one in FAST for word in
                                                                            ("--set", one)),
    )  # fmt: skip
    whole, elastic = outcome.losses("whole"), outcome.losses("elastic")
    same = outcome.told["stopped_at"] + 1  # the first loss after the resume is of the very weights that were saved
    assert elastic[:same] == whole[:same]
    assert elastic == pytest.approx(whole, rel=2e-3)  # gradients are added up in another order
    assert set(answer) == {
        "stage", "steps", "tokens", "first_loss", "last_loss", "parameters", "export", "seconds",
    }  # fmt: skip
    assert answer["steps"] == len(whole)
    assert answer["parameters"] == parameter_counts(mini())["total"]
    assert answer["first_loss"] == whole[0]
    assert Path(answer["export"]).is_dir()
    [states] = sorted((work / "elastic" / "checkpoints").glob("step-*/*optim_states.pt"))[-1:]
    adam = torch.load(states, weights_only=False)["optimizer_state_dict"]["optimizer_state_dict"]
    assert {float(state["step"]) for state in adam["state"].values()} == {float(len(whole))}
    assert [group["weight_decay"] for group in adam["param_groups"]] == [0.0, 0.1, 0.0, 0.1]
