"""What each rank of `curate train check` does; the first one writes down what was found."""

import copy
import gc
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
import torch.distributed as dist

from pipelines.audit.lineage import Lineage, NamedFile, Stage
from pipelines.errors import CurateError, presentable
from workflows.train import checkpoint
from workflows.train.arithmetic import activations_gb, states_gb
from workflows.train.attention import compare_with_eager
from workflows.train.batch import Row
from workflows.train.check import Spec
from workflows.train.engine import Engine, join_ranks, make_engine
from workflows.train.job import ADMISSION, CHECKPOINTS, METRICS, Job
from workflows.train.lineage import LINEAGE
from workflows.train.loop import Loop
from workflows.train.metrics import read_metrics
from workflows.train.model import ModelDescription, configuration
from workflows.train.packed import IGNORED, packed_masks
from workflows.train.preflight import check_ranks_alike
from workflows.train.ranks import Ranks, ranks_of_environment
from workflows.train.recipe import load_train_recipe
from workflows.train.stopping import StopRequest

MORE = 2
"""Steps after the checkpoint."""
LEAST_NCCL_GB_S = 20.0
"""Of an all-reduce inside a node: NVLink gives hundreds, PCIe without peer access less than this."""
FAST = ("learning_rate={vision: 1e-3, projector: 3e-3, language: 3e-3}",)
"""Rates at which a model of random weights learns in a few steps."""
Check = Callable[[], str | None]
"""Says what it found, or None where it cannot be run here; raises where it fails."""


def main(spec: Spec) -> int:
    """Run all checks in order; the exit status says nothing of what they found."""
    ranks = ranks_of_environment()
    join_ranks(ranks)
    run_checks(spec, ranks)
    dist.destroy_process_group()
    return 0


def run_checks(spec: Spec, ranks: Ranks) -> None:
    """Run them among ranks that have met; what each found is a line of `told.jsonl`."""
    for name, work in Checks(spec, ranks).all().items():
        began = time.perf_counter()
        try:
            told = work()
            status = "not run" if told is None else "passed"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            status, told = "failed", presentable(error, f"rank {ranks.rank}").message
        words = ranks.gathered((status, told))
        status, told = next((word for word in words if word[0] == "failed"), words[0])
        if ranks.first:
            row = {"name": name, "status": status, "seconds": round(time.perf_counter() - began, 2),
                   "told": told or "needs a GPU"}  # fmt: skip
            with (spec.work / "told.jsonl").open("ab") as file:
                file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


class Checks:
    """The checks of a machine for a model."""

    def __init__(self, spec: Spec, ranks: Ranks) -> None:
        self.spec, self.ranks = spec, ranks
        self.gpu = ranks.device.type == "cuda"
        self.engine: Engine | None = None
        steps = spec.steps + MORE
        overrides = [f"steps={steps}", "warmup_steps=2", f"save_every={spec.steps}", "keep=2", "spike=null"]
        self.job = Job(
            model=spec.small, recipe=load_train_recipe("mid", [*overrides, *(() if self.gpu else FAST)]), shards="",
            plan_folder="", plan="", plan_digest="", manifest_sha256="", start=spec.start, start_sha256="",
            out=spec.work, context=spec.small.max_context_tokens, rows_per_step=ranks.world, steps=steps,
        )  # fmt: skip

    def all(self) -> dict[str, Check]:
        """By name. Where the steps are of another model, their names say so."""
        model, small = self.spec.model, self.spec.small
        of = "full-size" if small == model and self.gpu else f"{small.name} in place of the full size:"
        return {
            "versions and devices of all ranks": self.alike,
            f"attention {model.attention.text} against eager on packed rows with sinks": self.attention,
            f"one layer of {model.name} at {model.max_context_tokens:,} tokens, forward and backward": self.layer,
            "bandwidth of an all-reduce": self.bandwidth,
            f"{of} {self.spec.steps} steps under ZeRO-3": self.steps,
            f"{of} save, load, and the same losses again": self.resume,
        }

    def alike(self) -> str:
        """Versions and the device; the attention of the model of the steps with them."""
        check_ranks_alike(self.job, self.ranks)
        return f"torch {torch.__version__}, {self.ranks.world} ranks alike"

    def attention(self) -> str | None:
        """That of the model itself, on a packed row."""
        if not self.gpu and self.spec.model.attention.text != "eager":
            return None
        implementation = self.spec.model.attention.text
        worst = compare_with_eager(self.spec.model, implementation, self.ranks.device, torch.bfloat16)
        return f"largest difference {worst:.2%}"

    def layer(self) -> str | None:
        """A layer of each kind over one row of the model's whole context."""
        model = self.spec.model
        if not self.gpu and model.attention.text != "eager":
            return None
        began = time.perf_counter()
        for kind in range(2):
            _layer(model, kind, self.ranks.device)
        most = f", {torch.cuda.max_memory_allocated() / 1e9:.1f} GB at most" if self.gpu else ""
        return f"{time.perf_counter() - began:.2f} s for one of each kind{most}"

    def bandwidth(self) -> str:
        """Bytes that the ring moves a second and rank."""
        backend, numbers = dist.get_backend(), 2**28 if self.gpu else 2**21
        data = torch.ones(numbers, dtype=torch.bfloat16, device=self.ranks.device)
        dist.all_reduce(data)
        self._settled()
        began = time.perf_counter()
        for _ in range(5):
            dist.all_reduce(data)
        self._settled()
        world = self.ranks.world
        moved = 5 * data.nbytes * 2 * (world - 1) / world / (time.perf_counter() - began) / 1e9
        if self.gpu and world > 1 and moved < LEAST_NCCL_GB_S:
            raise CurateError(
                f"{backend} moves {moved:.1f} GB/s a GPU, less than {LEAST_NCCL_GB_S}", "nvidia-smi topo -m"
            )
        return f"{moved:.1f} GB/s a rank over {backend}"

    def steps(self) -> str:
        """Steps of the whole model on made-up rows, one rank without a picture; the loss has to fall."""
        if self.ranks.first:
            _admitted(self.job)
        self.engine = make_engine(self.job, self.ranks, universal=False)
        self._run(self.engine, 0)
        rows = read_metrics(self.job.out / METRICS)[: self.spec.steps]
        first, last = rows[0]["loss"], rows[-1]["loss"]
        if not (len(rows) == self.spec.steps and math.isfinite(last) and last < first):
            raise CurateError(f"the loss went from {first:.4f} to {last:.4f} in {len(rows)} steps", "see the log")
        speed = np.median([row["tokens_per_second"] for row in rows])
        return f"loss {first:.4f} -> {last:.4f}, {speed:,.0f} tokens/s{self._memory()}"

    def resume(self) -> str:
        """The steps after a checkpoint, by the model that wrote it and by one that loads it."""
        if self.engine is None:
            raise CurateError("there were no steps", "see the check before")
        self.engine.deepspeed.destroy()
        self.engine = None
        gc.collect()
        if self.gpu:  # two models have no room beside each other
            torch.cuda.empty_cache()
        place = self.job.out / CHECKPOINTS / f"step-{self.spec.steps:08d}"
        about = checkpoint.Checkpoint.model_validate_json((place / checkpoint.ABOUT).read_bytes())
        checkpoint.verify(self.ranks, place, about)
        engine = make_engine(self.job, self.ranks, universal=False)
        checkpoint.load(self.job, self.ranks, engine, place, about)
        self._run(engine, self.spec.steps)
        losses = [row["loss"] for row in read_metrics(self.job.out / METRICS)]
        before, again = (
            losses[self.spec.steps : self.spec.steps + MORE],
            losses[self.spec.steps + MORE : self.spec.steps + 2 * MORE],
        )
        if before != again or not again:
            raise CurateError(f"the losses after it were {before} and are {again}", "see the log")
        size = sum(facts.bytes for facts in about.files.values()) / 1e9
        return f"{len(again)} losses equal to the last digit; a checkpoint of {size:,.3f} GB"

    def _run(self, engine: Engine, step: int) -> None:
        loop = Loop(self.job, self.ranks, engine, StopRequest(()))  # a signal ends the rank
        loop.step = step

        def save() -> None:
            if loop.step == self.spec.steps:
                checkpoint.save(self.job, self.ranks, engine, loop.step, loop.losses)

        loop.run(_rows(self.job, self.ranks, step), save)
        self.ranks.wait()  # until the first has written its metrics

    def _memory(self) -> str:
        if not self.gpu:
            return ""
        job, used = self.job, torch.cuda.max_memory_allocated() / 1e9
        told = sum(states_gb(job.model, job.recipe, self.ranks.world).values())
        told += sum(activations_gb(job.model, job.context).values())
        return f", {used:.1f} GB of GPU memory where {told:.1f} are worked out"

    def _settled(self) -> None:
        if self.gpu:
            torch.cuda.synchronize()
        self.ranks.wait()


def _layer(model: ModelDescription, kind: int, device: torch.device) -> None:
    """Forward and backward of one decoder layer over documents that fill the context.

    Raises:
        CurateError: a gradient is no number.
    """
    from transformers.models.gpt_oss.modeling_gpt_oss import GptOssDecoderLayer, GptOssRotaryEmbedding

    config: Any = copy.deepcopy(configuration(model).text_config)
    config._attn_implementation = model.attention.text  # noqa: SLF001 - transformers has no public name for it
    torch.manual_seed(kind)
    with torch.device(device):
        layer: Any = GptOssDecoderLayer(config, kind).to(torch.bfloat16)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    context = model.max_context_tokens
    positions_BS = torch.cat([torch.arange(context // 4), torch.arange(context - context // 4)])[None].to(device)
    row_BSH = torch.randn(1, context, config.hidden_size, device=device).to(torch.bfloat16).requires_grad_()
    rotary = GptOssRotaryEmbedding(config=config).to(device)
    mask = packed_masks(config, row_BSH, positions_BS)[config.layer_types[kind]]
    out = layer(row_BSH, attention_mask=mask, position_ids=positions_BS,
                position_embeddings=rotary(row_BSH, positions_BS))  # fmt: skip
    (out[0] if isinstance(out, tuple) else out).float().square().mean().backward()
    if row_BSH.grad is None or not bool(torch.isfinite(row_BSH.grad).all()):
        raise CurateError(f"a layer of kind {config.layer_types[kind]}: its gradient is no number", "another kernel")


def _rows(job: Job, ranks: Ranks, step: int) -> Iterator[Sequence[Row]]:
    """Made-up rows: the same word again and again, two documents a row, pictures in the first rank's."""
    model, side = job.model, job.model.vision.image_size
    while True:
        generator = np.random.default_rng((step, ranks.rank))
        half = job.context // 2
        positions = np.concatenate([np.arange(half), np.arange(job.context - half)])
        ids = 32 + positions % 17
        pictures = []
        if ranks.first:
            ids[1 : 1 + model.image_tokens] = model.image_token.id
            pictures = [generator.normal(size=(1, 3, side, side)).astype(np.float32)]
        labels = np.where((ids == model.image_token.id) | (positions == 0), IGNORED, ids)
        yield [Row(ids, labels, positions, pictures, [f"{step:032x}"])]
        step += 1


def _admitted(job: Job) -> None:
    """What a checkpoint takes along; it names no audit, so nobody can go on from these weights."""
    place = job.out / ADMISSION
    (place / "lineage").mkdir(parents=True)
    stage = Stage(stage="check", manifest=NamedFile(path="lineage/none.json", sha256="0" * 64))
    lineage = Lineage(format=1, files={"none": "0" * 64}, stages=(stage,))
    (place / LINEAGE).write_bytes(orjson.dumps(lineage.model_dump(mode="json")))


if __name__ == "__main__":
    sys.exit(main(Spec.model_validate_json(Path(sys.argv[1]).read_bytes())))
