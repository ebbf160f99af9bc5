"""The model under DeepSpeed's ZeRO-3: weights, gradients and optimizer spread over the ranks."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import deepspeed  # type: ignore[import-untyped]
import torch
from deepspeed.accelerator import get_accelerator  # type: ignore[import-untyped]
from transformers.integrations.deepspeed import HfDeepSpeedConfig

from workflows.train.attention import assert_attention, assert_frequencies
from workflows.train.job import Job
from workflows.train.model import parameter_counts, part_of
from workflows.train.packed import PackedModel
from workflows.train.ranks import TIMEOUT, Ranks
from workflows.train.weights import load_strictly

COMPILED = ("deepspeed_shm_comm",)
"""What DeepSpeed would compile with g++ and ninja as it starts on a CPU (60 to 100 s), and runs as well without."""


@dataclass
class Engine:
    """DeepSpeed's engine, and the groups of parameters in the order of its optimizer."""

    deepspeed: Any
    model: PackedModel
    rates: list[float]
    """Peak learning rate of each group."""
    decays: list[float]
    """Weight decay of each group."""

    def set_rate(self, factor: float) -> None:
        """Give every group its peak rate times `factor`.

        Nothing of a schedule is kept, so nothing can be off by one after a resume.
        """
        for group, rate in zip(self.deepspeed.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor

    def put_right(self) -> None:
        """Give every group its own settings and every state its own step again, after a checkpoint was loaded.

        DeepSpeed's universal load copies the settings of the first group over all, and lets all states share one
        tensor for the step, in which Adam then counts once a group (0.19.8). Sharing survives being saved and loaded.
        """
        adam = self.deepspeed.optimizer.optimizer
        for group, rate, decay in zip(adam.param_groups, self.rates, self.decays, strict=True):
            group.update({"lr": rate, "weight_decay": decay})
        for state in adam.state.values():
            state["step"] = state["step"].clone()


def never_compile() -> None:
    """Keep DeepSpeed from compiling anything: nodes need no compiler and start at once."""
    for name in COMPILED:
        if name in deepspeed.ops.__compatible_ops__:
            deepspeed.ops.__compatible_ops__[name] = False


def join_ranks(ranks: Ranks) -> None:
    """Meet the other ranks: NCCL between GPUs, gloo between CPUs. To be called once."""
    if ranks.device.type == "cuda":
        torch.cuda.set_device(ranks.device)
    else:
        never_compile()
    for name, value in (("RANK", ranks.rank), ("WORLD_SIZE", ranks.world), ("LOCAL_RANK", ranks.local_rank)):
        os.environ.setdefault(name, str(value))
    deepspeed.init_distributed(get_accelerator().communication_backend_name(), timeout=TIMEOUT, verbose=False)


def make_engine(job: Job, ranks: Ranks, *, universal: bool) -> Engine:
    """The model of `job.start` under ZeRO-3; `universal`: it will load a checkpoint of another number of ranks.

    Raises:
        UsageError: the directory's weights are not the model's.
        CurateError: attention or rotary frequencies are not what was asked for.
    """
    config = zero_config(job, ranks.world, universal=universal)
    spread: Any = HfDeepSpeedConfig
    kept = spread(config)  # while it lives, from_pretrained spreads weights as it reads them
    wanted = job.model.attention
    model: Any = load_strictly(
        PackedModel,
        job.start,
        dtype=torch.bfloat16,
        attn_implementation={"text_config": wanted.text, "vision_config": wanted.vision},
    )
    del kept
    assert_attention(model, wanted)
    model.loss_chunk_tokens = job.model.loss_chunk_tokens
    model.with_balance = job.recipe.balance > 0
    model.watch_routers()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    groups = _groups(model, job)
    made, *_ = deepspeed.initialize(model=model, model_parameters=groups, config=config)
    assert_frequencies(model)
    return Engine(made, model, [group["lr"] for group in groups], [group["weight_decay"] for group in groups])


def zero_config(job: Job, world: int, *, universal: bool) -> dict[str, Any]:
    """DeepSpeed's configuration. A row is a micro step; a rank takes its rows of a step one after another."""
    recipe, total = job.recipe, parameter_counts(job.model)["total"]
    bucket = min(500_000_000, max(500_000, total // 40))
    rows = job.rows_per_step // world
    hierarchy = {"zero_hpz_partition_size": recipe.zero_hpz_partition_size}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": rows,
        # A sum of many rows in bfloat16 loses per cents, and another number of them with another number of ranks.
        **({"data_types": {"grad_accum_dtype": "fp32"}} if rows > 1 else {}),
        "gradient_clipping": recipe.clip,
        "steps_per_print": 10**9,
        "bf16": {"enabled": True},
        "zero_optimization": {
            "stage": 3,
            "overlap_comm": True,
            "contiguous_gradients": True,
            "reduce_bucket_size": bucket,
            "stage3_prefetch_bucket_size": bucket,
            "stage3_param_persistence_threshold": min(100_000, total // 200),
            "stage3_gather_16bit_weights_on_model_save": True,
            **(hierarchy if recipe.zero_hpz_partition_size > 1 else {}),
        },
        "optimizer": {
            "type": "AdamW",
            "params": {
                "lr": max(recipe.learning_rate.values()), "betas": list(recipe.betas), "eps": recipe.eps,
                "weight_decay": recipe.weight_decay, "torch_adam": True,  # else another compilation
            },
        },
        "checkpoint": {"load_universal": universal},
    }  # fmt: skip


def _groups(model: PackedModel, job: Job) -> list[dict[str, Any]]:
    """Freeze what the recipe does not name; the rest by part, and by whether it decays."""
    recipe = job.recipe
    rates: Mapping[str, float] = {str(part): rate for part, rate in recipe.learning_rate.items()}
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        part = part_of(name)
        parameter.requires_grad_(part in rates)
        if part in rates:
            decay = recipe.weight_decay if _is_matrix(name, parameter) else 0.0
            groups.setdefault((rates[part], decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "weight_decay": decay}
        for (rate, decay), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]


def _is_matrix(name: str, parameter: Any) -> bool:
    shape = getattr(parameter, "ds_shape", parameter.shape)
    return len(shape) > 1 and not name.endswith("bias")
