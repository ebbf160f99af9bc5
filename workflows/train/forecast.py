"""`curate train --dry-run`: what a stage would take, and what would stop it. Nothing is written."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import CurateError
from workflows.train.arithmetic import (
    GB,
    NETWORK_BYTES,
    NVLINK_BYTES,
    PEAK_FLOPS,
    activations_gb,
    checkpoint_gb,
    export_gb,
    row_flops,
    states_gb,
    traffic_gb,
    trained,
)
from workflows.train.job import ADMISSION, ANSWER, CHECKPOINTS, EXPORT, FAILURES, JOB, LAUNCH, METRICS, SAVED
from workflows.train.launch import LOG
from workflows.train.metrics import BOARD, WANDB
from workflows.train.model import PARTS, ModelDescription, parameter_counts
from workflows.train.planning import VIEW, ChosenPlan, choose_plan
from workflows.train.recipe import TrainRecipe
from workflows.train.start import INIT, Prepared, admit_shards, check_machine, settled, start_of
from workflows.train.tokenizer import TOKENIZER_FILE, write_byte_tokenizer

GPU = "B200"
GPU_GB = 180
SHARES = (10, 20, 35)
"""Model FLOPs utilisation, in per cent, that times are told for."""


def forecast(prepared: Prepared) -> dict[str, Any]:
    """Steps, tokens, memory of a GPU by part, time, traffic, disk, files; and `problems`, each with what to do.

    Memory, time and traffic are worked out, not measured (docs/training.md says how that was checked).
    """
    options, model, recipe = prepared.options, prepared.model, prepared.recipe
    problems: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        _tried(problems, lambda: check_machine(prepared))
        start = weights = options.start and _tried(problems, lambda: start_of(prepared))
        if options.start is None and model.tokenizer == "bytes":
            write_byte_tokenizer(scratch / TOKENIZER_FILE)
            start = scratch
        elif options.start is None:
            _tried(problems, lambda: start_of(prepared))
        _tried(problems, lambda: admit_shards(prepared, weights, scratch / "admission"))
        plan: ChosenPlan | None = _tried(
            problems,
            lambda: choose_plan(prepared.shards, model, recipe, options.world, start or scratch, scratch / "plan"),
        )
        if plan is not None:
            _tried(problems, lambda: settled(prepared, plan, start or scratch, ""))
    told: dict[str, Any] = {
        "stage": options.stage,
        "model": model.name,
        "parameters": {part: parameter_counts(model)[part] for part in (*PARTS, "total")},
        "trained_parameters": trained(model, recipe),
        "ranks": options.world,
        "nodes": options.nodes,
    }
    if plan is not None:
        told |= _of_plan(prepared, plan)
    context = plan.about.context if plan is not None else min(recipe.context_tokens, model.max_context_tokens)
    rows = plan.about.rows_per_step // options.world if plan is not None else 1
    told |= {
        "memory_gb": _memory(model, recipe, options.world, context, rows),
        "disk_gb": {
            "checkpoint": round(checkpoint_gb(model, recipe), 1), "export": round(export_gb(model), 1),
            "most_at_once": round((recipe.keep + 1) * checkpoint_gb(model, recipe) + export_gb(model), 1),
        },
        "files": [f"{options.out}/{name}" for name in _files(prepared, plan)],
        "problems": problems,
    }  # fmt: skip
    return told


def _of_plan(prepared: Prepared, plan: ChosenPlan) -> dict[str, Any]:
    options, model, recipe, about = prepared.options, prepared.model, prepared.recipe, plan.about
    steps = recipe.steps or about.steps
    flops = steps * about.rows_per_step * row_flops(model, recipe, about.context)
    rows = about.rows_per_step // options.world
    sent = traffic_gb(model, recipe, options.world, rows)
    return {
        "steps": steps,
        "rows_per_step": about.rows_per_step,
        "context": about.context,
        "tokens": round(about.tokens * steps / max(1, about.steps)),
        "fill": about.fill,
        "excluded": dict(about.excluded),
        "plan": "the one beside the shards" if not plan.reasons else f"a new one: {'; '.join(plan.reasons)}",
        "hours": {
            f"mfu_{share}": round(flops / (options.world * PEAK_FLOPS[GPU] * share / 100) / 3600, 4) for share in SHARES
        },
        "traffic": {
            "gb_per_step_and_gpu": round(sent, 1),
            "seconds_per_step_inside_a_node": round(sent * GB / NVLINK_BYTES, 3),
            **_between_nodes(prepared, rows),
        },
    }


def _files(prepared: Prepared, plan: ChosenPlan | None) -> list[str]:
    """What a run that comes to its end has written, by name in its folder."""
    options, own_plan = prepared.options, plan is not None and not plan.reasons
    fresh = options.start is None and prepared.model.tokenizer == "bytes"
    started = {"local": (LOG,), "slurm": (f"{LAUNCH}/", "slurm-N.log")}.get(options.launcher, (f"{LAUNCH}/",))
    return [
        JOB, f"{ADMISSION}/", *(() if own_plan else (f"{VIEW}/",)), *((f"{INIT}/",) if fresh else ()), *started,
        f"{FAILURES}/", METRICS, f"{BOARD}/", *((WANDB, "wandb/") if prepared.recipe.wandb else ()),
        f"{CHECKPOINTS}/step-NNNNNNNN/", SAVED, f"{EXPORT}/", ANSWER,
    ]  # fmt: skip


def _between_nodes(prepared: Prepared, rows: int) -> dict[str, float]:
    """What a node receives from the others, and how long that takes through one network card a GPU.

    A ring passes all bytes through each node once; with a second copy of the weights inside the node
    (`zero_hpz_partition_size`), those of the backward pass stay there.
    """
    options, model, recipe = prepared.options, prepared.model, prepared.recipe
    total, learning = parameter_counts(model)["total"], trained(model, recipe)
    gathers = 1 if recipe.zero_hpz_partition_size > 1 else 2
    share = (options.nodes - 1) / options.nodes
    received = rows * (2 * gathers * total + 2 * learning) * share
    seconds = received / (options.nproc * NETWORK_BYTES)
    return {"gb_per_step_and_node_between_nodes": round(received / GB, 1),
            "seconds_per_step_between_nodes": round(seconds, 3)}  # fmt: skip


def _memory(model: ModelDescription, recipe: TrainRecipe, world: int, context: int, rows: int) -> dict[str, Any]:
    states, activations = states_gb(model, recipe, world, rows), activations_gb(model, context)
    parts = {name: round(size, 3) for name, size in {**states, **activations}.items()}
    total = sum(states.values()) + sum(activations.values())
    return {"parts": parts, "sum": round(total, 1), "of": GPU_GB, "fits": total < GPU_GB}


def _tried(problems: list[dict[str, str]], work: Callable[[], Any]) -> Any:
    """What the work gives; None where it objects, which is told and stops nothing here."""
    try:
        return work()
    except CurateError as error:
        problems.append({"problem": error.message, "hint": error.hint})
        return None


def _time(hours: float) -> str:
    return f"{hours:,.2f} h" if hours >= 1 else f"{3600 * hours:,.0f} s"


def forecast_lines(told: Mapping[str, Any]) -> list[str]:
    """The forecast for people."""
    memory = told["memory_gb"]
    lines = [(f"{told['stage']} of {told['model']}: {told['parameters']['total']:,} parameters, "
             f"{told['trained_parameters']:,} learn, on {told['ranks']} ranks")]  # fmt: skip
    if "steps" in told:
        hours, traffic = told["hours"], told["traffic"]
        lines += [
            (
                f"  {told['steps']:,} steps of {told['rows_per_step']} rows of {told['context']:,} tokens "
                f"({told['tokens']:,} tokens, fill {told['fill']:.1%}); plan: {told['plan']}"
            ),
            *(f"  {count:,} samples are in no row: {reason}" for reason, count in told["excluded"].items()),
            "  time on B200: " + ", ".join(f"{_time(hours[f'mfu_{share}'])} at {share} % MFU" for share in SHARES),
            (
                f"  traffic: {traffic['gb_per_step_and_gpu']:,.1f} GB a step and GPU "
                f"({traffic['seconds_per_step_inside_a_node']} s inside a node, "
                f"{traffic['seconds_per_step_between_nodes']} s between nodes)"
            ),
        ]
    lines.append(f"  memory of a GPU: {memory['sum']:,.1f} of {memory['of']} GB")
    lines += [f"    {name:<20} {size:>10,.3f} GB" for name, size in memory["parts"].items()]
    disk = told["disk_gb"]
    lines.append(f"  disk: {disk['checkpoint']:,.1f} GB a checkpoint, {disk['most_at_once']:,.1f} GB at most")
    lines += [f"  writes {name}" for name in told["files"]]
    lines += [f"problem: {one['problem']}\n  {one['hint']}" for one in told["problems"]]
    return lines
