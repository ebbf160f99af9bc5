"""Which attention a model really computes with: asserted by name, and compared with the plain one by number."""

import copy
from typing import Any

import torch
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssAttention, GptOssRotaryEmbedding

from pipelines.errors import CurateError
from workflows.train.model import Attention, ModelDescription, configuration
from workflows.train.packed import packed_masks

SHORT, LONG = (37, 5), 54
"""Lengths of the documents of the row that implementations are compared on; the last is two windows longer."""
TOLERANCE = 0.02
"""Largest difference from float32 eager attention, relative to the largest value: bfloat16 has 8 bits of mantissa."""


def assert_attention(model: Any, wanted: Attention) -> None:
    """Refuse a model that computes with another attention than it was told to.

    For GPT-oss `transformers` rewrites a request for some flash kernels to another one, which it does not say.

    Raises:
        CurateError: it does.
    """
    language, vision = model.config.text_config, model.config.vision_config
    used = {id(layer.self_attn.config): layer.self_attn.config for layer in model.model.language_model.layers}
    names = {config._attn_implementation for config in (language, *used.values())}  # noqa: SLF001
    names_vision = {vision._attn_implementation}  # noqa: SLF001 - transformers has no public name for it
    for part, found, expected in (("text", names, wanted.text), ("vision", names_vision, wanted.vision)):
        if found != {expected}:
            raise CurateError(
                f"attention of {part}: {', '.join(sorted(map(str, found)))} is in use and {expected} was asked for",
                "install the kernel, or name another in `attention` of the model's description",
            )


def compare_with_eager(model: ModelDescription, implementation: str, device: torch.device, dtype: torch.dtype) -> float:
    """The largest relative difference of one layer of each kind from eager attention in float32, forward and backward.

    On a packed row with sinks that matter and a document longer than the sliding window, so a kernel that ignores sinks
    or the window, or lets documents read each other, shows.

    Raises:
        CurateError: it is more than TOLERANCE.
    """
    worst = 0.0
    for kind in range(2):  # a sliding and a full layer
        got = _run(model, implementation, kind, device, dtype)
        want = _run(model, "eager", kind, torch.device("cpu"), torch.float32, apart=True)
        for name in want:
            difference = (got[name].float().cpu() - want[name]).abs().max() / want[name].abs().max()
            worst = max(worst, float(difference))
    if not worst <= TOLERANCE:
        raise CurateError(
            f"attention: {implementation} differs from eager attention by {worst:.1%} on a packed row with sinks",
            "this kernel drops sinks or the window, or mixes documents: training with it would go wrong in silence; "
            "use another",
        )
    return worst


def _run(
    model: ModelDescription, implementation: str, kind: int, device: torch.device, dtype: torch.dtype, *,
    apart: bool = False,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Output and gradients of a layer of random weights; `apart` runs each document alone, which is the truth."""
    config: Any = copy.deepcopy(configuration(model).text_config)
    config._attn_implementation = implementation  # noqa: SLF001 - as above
    generator = torch.Generator().manual_seed(kind)
    layer: Any = GptOssAttention(config, kind)
    for name, parameter in layer.named_parameters():
        scale = 2.0 if name == "sinks" else 0.4 / float(config.hidden_size) ** 0.5  # scores as sharp at any width
        parameter.data = torch.randn(parameter.shape, generator=generator) * scale
    documents = (*SHORT, 2 * config.sliding_window + LONG)
    row_SH = torch.randn(1, sum(documents), config.hidden_size, generator=generator)
    layer, hidden = layer.to(device, dtype), row_SH.to(device, dtype).requires_grad_()
    rotary = GptOssRotaryEmbedding(config=config).to(device)
    pieces, start = [], 0
    for length in documents if apart else (sum(documents),):
        positions = torch.cat([torch.arange(part) for part in ((length,) if apart else documents)])[None].to(device)
        part = hidden[:, start : start + length]
        mask = packed_masks(config, part, positions)[layer.layer_type]
        out, _ = layer(part, position_embeddings=rotary(part, positions), attention_mask=mask, position_ids=positions)
        pieces.append(out)
        start += length
    output = torch.cat(pieces, dim=1)
    (output.float() * torch.linspace(-1, 1, output.shape[1], device=device)[None, :, None]).sum().backward()  # type: ignore[no-untyped-call]
    told = {"output": output, "row": hidden.grad, "sinks": layer.sinks.grad}
    return {name: torch.zeros(1) if value is None else value.detach() for name, value in told.items()}


def assert_frequencies(model: Any) -> None:
    """Refuse rotary frequencies that are not exact: in bfloat16 position 131,071 is hundreds of radians off.

    Raises:
        CurateError: they are not float32, or not those of the configuration.
    """
    rotary = model.model.language_model.rotary_emb
    want = GptOssRotaryEmbedding(config=model.config.text_config).inv_freq
    found = rotary.inv_freq
    if found.dtype != torch.float32 or not torch.equal(found.cpu(), want.cpu()):
        raise CurateError(
            f"YaRN frequencies are {str(found.dtype).removeprefix('torch.')} and not those of the configuration",
            "keep the model's buffers in float32: convert parameters only",
        )
