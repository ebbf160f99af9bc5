"""What a run takes, worked out from shapes: memory of a GPU by part, floating point operations, traffic, disk.

The formulas are checked against a small model's real tensors by the tests, and against `memory.py` of the training
study (one row of 131,072 tokens on 8 B200: 111.6 GB). Gigabytes are decimal.
"""

from typing import TYPE_CHECKING

from workflows.train.model import PARTS, ModelDescription, parameter_counts
from workflows.train.recipe import TrainRecipe

if TYPE_CHECKING:
    from workflows.train.job import Job

GB = 1e9
PEAK_FLOPS = {"B200": 2.25e15, "H200": 0.989e15, "H100": 0.989e15, "A100": 0.312e15}
"""Dense bfloat16, by a word of the device's name (NVIDIA's data sheets)."""
NVLINK_BYTES = 700e9
"""Bytes a second and GPU that collectives reach inside a B200 node, of 900 a direction."""
NETWORK_BYTES = 40e9
"""Bytes a second and GPU between nodes: 400 Gbit/s InfiniBand a GPU, at 80 %."""
PASSES = {"train": 3, "through": 2, "forward": 1}
"""Forward passes that a part costs: forward and a backward of two; without gradients of its own weights one less; and
a part before everything that learns only runs forward. MFU counts no recomputation (PaLM, arXiv 2204.02311, appendix
B), which checkpointing of every layer adds: one pass more."""


def trained(model: ModelDescription, recipe: TrainRecipe) -> int:
    """Parameters that learn."""
    counts = parameter_counts(model)
    return sum(counts[part] for part in PARTS if part in recipe.learning_rate)


def states_gb(model: ModelDescription, recipe: TrainRecipe, world: int, rows: int = 1) -> dict[str, float]:
    """ZeRO-3's share of a GPU: weights in bf16, gradients, master weights and two moments of Adam in float32.

    Gradients are bf16 where a rank has one row a step, and float32 where it adds up those of several `rows`. With
    `zero_hpz_partition_size` the weights are there a second time, spread over so many GPUs.
    """
    total, learning = parameter_counts(model)["total"], trained(model, recipe)
    return {
        "weights_bf16": 2 * total / world / GB,
        **({"weights_again_bf16": 2 * total / recipe.zero_hpz_partition_size / GB}
           if recipe.zero_hpz_partition_size > 1 else {}),
        **({"gradients_fp32": 4 * learning / world / GB} if rows > 1 else
           {"gradients_bf16": 2 * learning / world / GB}),
        "master_fp32": 4 * learning / world / GB,
        "adam_fp32": 8 * learning / world / GB,
    }  # fmt: skip


def activations_gb(model: ModelDescription, context: int) -> dict[str, float]:
    """What one row of `context` tokens takes at the worst moment, with every layer checkpointed."""
    text, counts = model.text, parameter_counts(model)
    hidden, inner, chosen = text.hidden_size, text.intermediate_size, text.num_experts_per_tok
    heads = text.num_attention_heads * text.head_dim
    keys = 2 * text.num_key_value_heads * text.head_dim
    routed = chosen * context
    chunk = min(model.loss_chunk_tokens, context)
    parts = {
        "checkpoints": text.num_hidden_layers * context * hidden * 2,
        "experts_recomputed": routed * (hidden + 2 * inner + inner + hidden) * 2 + routed * 2 * inner * 2
        + 2 * context * hidden * 2,
        "experts_backward": routed * (hidden + 2 * inner + hidden) * 2,
        "attention": context * (2 * heads + keys) * 2 * 2,
        "gathered_layers": 3 * counts["layer"] * 2,
        "gathered_head": 2 * counts["head"] * 2,
        "logits_chunk": chunk * text.vocab_size * (2 + 4 + 4),
    }  # fmt: skip
    if model.attention.text == "eager":
        parts["eager_scores"] = 2 * text.num_attention_heads * context**2 * 4
    return {name: size / GB for name, size in parts.items()}


def row_flops(model: ModelDescription, recipe: TrainRecipe, context: int) -> float:
    """Floating point operations of one row, without recomputation. Pictures: as many as fill half of it.

    Twice the weights that a token meets, and 4 x head size x tokens seen of attention, a token and layer (training.md,
    section 7).
    """
    text, vision, counts = model.text, model.vision, parameter_counts(model)
    idle = text.num_hidden_layers * counts["experts"] * (1 - text.num_experts_per_tok / text.num_local_experts)
    met = counts["language"] - counts["embedding"] - idle
    heads = text.num_attention_heads * text.head_dim
    half = text.num_hidden_layers / 2
    seen = 4 * heads * (half * context / 2 + half * min(text.sliding_window, context / 2))
    language = (2 * met + seen) * context
    patches = model.image_tokens + 1
    picture = 2 * counts["vision"] * patches + 4 * vision.hidden_size * patches**2 * vision.num_hidden_layers
    pictures = picture * context / 2 / model.image_tokens
    learns = recipe.learning_rate
    return (
        language * PASSES["train" if "language" in learns else "through"]
        + pictures * PASSES["train" if "vision" in learns else "forward"]
    )


def traffic_gb(model: ModelDescription, recipe: TrainRecipe, world: int, rows: int) -> float:
    """What a GPU sends in a step of `rows` rows of its own.

    Weights are gathered for the forward and the backward pass of each row, gradients scattered after each.
    """
    total, learning = parameter_counts(model)["total"], trained(model, recipe)
    return rows * (2 * 2 * total + 2 * learning) * (world - 1) / world / GB


def checkpoint_gb(model: ModelDescription, recipe: TrainRecipe) -> float:
    """A whole checkpoint on disk: master weights and moments, and the weights in bf16."""
    return (12 * trained(model, recipe) + 2 * parameter_counts(model)["total"]) / GB


def export_gb(model: ModelDescription) -> float:
    """The export for inference: weights in bf16."""
    return 2 * parameter_counts(model)["total"] / GB


def peak_flops(device: str) -> float | None:
    """Operations a second of a GPU by its name; None for one that is not known."""
    return next((peak for word, peak in PEAK_FLOPS.items() if word in device), None)


def mfu(job: "Job", world: int, seconds: float) -> float | None:
    """Share of the GPUs' peak that a step of so many seconds reached; None without GPUs of known peak."""
    import torch

    peak = peak_flops(torch.cuda.get_device_name()) if torch.cuda.is_available() else None
    if peak is None:
        return None
    return job.rows_per_step * row_flops(job.model, job.recipe, job.context) / (world * seconds * peak)
