"""Traps 7 and 10: attention that is not what was asked for, and rotary frequencies that lost their digits."""

from typing import Any

import pytest
import torch
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssRotaryEmbedding, eager_attention_forward

from pipelines.errors import CurateError
from tests.workflows.train.minis import CPU, fresh, mini
from workflows.train.attention import SHORT, assert_attention, assert_frequencies, compare_with_eager
from workflows.train.model import Attention, configuration, load_model


def without_sinks(module: Any, query: Any, key: Any, value: Any, mask: Any, **given: Any) -> Any:
    given["s_aux"] = None
    kept = module.sinks
    module.sinks = torch.nn.Parameter(torch.full_like(kept, -1e4))
    try:
        return eager_attention_forward(module, query, key, value, mask, **given)
    finally:
        module.sinks = kept


def through_documents(module: Any, query: Any, key: Any, value: Any, mask: Any, **given: Any) -> Any:
    causal = torch.full((query.shape[2], query.shape[2]), torch.finfo(query.dtype).min).triu(1)[None, None]
    return eager_attention_forward(module, query, key, value, causal.to(query.dtype), **given)


def without_window(module: Any, query: Any, key: Any, value: Any, mask: Any, **given: Any) -> Any:
    """Keeps documents apart, and lets each token see all of its own before it."""
    length = query.shape[2]
    own = torch.zeros(length, dtype=torch.long)
    starts = [0, *(sum(SHORT[: number + 1]) for number in range(len(SHORT)))]
    for number, start in enumerate(starts):
        own[start:] = number
    seen = (own[:, None] == own[None]) & torch.ones(length, length).tril().bool()
    whole = torch.where(seen, 0.0, torch.finfo(query.dtype).min)[None, None]
    return eager_attention_forward(module, query, key, value, whole.to(query.dtype), **given)


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    kernels = (("drops_sinks", without_sinks), ("drops_masks", through_documents), ("drops_window", without_window))
    for name, kernel in kernels:
        AttentionInterface.register(name, kernel)
        AttentionMaskInterface.register(name, eager_mask)


def test_eager_attention_in_bfloat16_passes_the_comparison() -> None:
    assert compare_with_eager(mini(), "eager", CPU, torch.bfloat16) < 0.02


def test_it_passes_at_the_width_and_window_of_the_full_model() -> None:
    """With 8 of its 64 heads, each as wide: bfloat16 takes minutes on a CPU."""
    full = load_model("medgpt-oss-20b")
    heads = full.text.model_copy(update={"num_attention_heads": 8, "num_key_value_heads": 1})
    assert compare_with_eager(full.model_copy(update={"text": heads}), "eager", CPU, torch.bfloat16) < 0.02


@pytest.mark.parametrize("kernel", ["drops_sinks", "drops_masks"])
def test_a_kernel_that_drops_sinks_or_masks_is_refused(kernel: str) -> None:
    with pytest.raises(CurateError, match=kernel):
        compare_with_eager(mini(), kernel, CPU, torch.float32)


def test_a_kernel_that_ignores_the_window_of_the_full_model_is_refused() -> None:
    full = load_model("medgpt-oss-20b")
    assert full.text.sliding_window == 128
    small = mini().text.model_copy(update={"sliding_window": full.text.sliding_window})
    model = mini().model_copy(update={"text": small})
    assert compare_with_eager(model, "eager", CPU, torch.float32) < 0.02
    with pytest.raises(CurateError, match="drops_window"):
        compare_with_eager(model, "drops_window", CPU, torch.float32)


def test_a_model_with_another_attention_than_asked_for_is_refused() -> None:
    model = fresh()
    assert_attention(model, Attention(text="eager"))
    model.config.text_config._attn_implementation = "vllm-flash-attn3"
    with pytest.raises(CurateError, match="vllm-flash-attn3"):
        assert_attention(model, Attention(text="flash_attention_4"))


def test_frequencies_that_were_rounded_to_bfloat16_are_refused() -> None:
    model = fresh()
    assert_frequencies(model)
    with pytest.raises(CurateError, match="bfloat16"):
        assert_frequencies(model.to(torch.bfloat16))
    rotary = model.model.language_model.rotary_emb
    rotary.inv_freq = rotary.inv_freq.float()  # float32 again, with the digits gone
    with pytest.raises(CurateError, match="YaRN"):
        assert_frequencies(model)


def test_a_shorter_context_keeps_the_frequencies_that_the_weights_were_trained_with() -> None:
    full = load_model("medgpt-oss-20b")
    short = full.model_copy(update={"max_context_tokens": 32_768})
    frequencies = [GptOssRotaryEmbedding(config=configuration(one).text_config).inv_freq for one in (full, short)]
    assert torch.equal(*frequencies)
