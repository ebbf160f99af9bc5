"""The arithmetic of a dry run against tensors that exist, and against the study's figures for the full model."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.workflows.train.minis import CONTEXT, batch, document, fresh, mini
from workflows.train.arithmetic import PASSES, activations_gb, checkpoint_gb, row_flops, states_gb, traffic_gb, trained
from workflows.train.model import load_model, part_of
from workflows.train.recipe import load_train_recipe

FULL = load_model("medgpt-oss-20b")
MID, ALIGN = load_train_recipe("mid"), load_train_recipe("align")


def test_a_row_of_131072_tokens_fits_a_b200_as_the_study_says() -> None:
    states, activations = states_gb(FULL, MID, 8), activations_gb(FULL, 131_072)
    assert sum(states.values()) == pytest.approx(42.5, abs=0.1)
    assert sum(activations.values()) == pytest.approx(69.1, abs=0.1)
    assert sum(states_gb(FULL, ALIGN, 8).values()) == pytest.approx(5.3, abs=0.1)
    assert traffic_gb(FULL, MID, 8, 1) == pytest.approx(111, abs=1)


def test_states_are_those_of_a_real_model_under_adam() -> None:
    model = fresh().to(torch.bfloat16)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(part_of(name) == "projector")
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    masters = [parameter.detach().float().requires_grad_() for parameter in learning]
    optimizer = torch.optim.AdamW(masters)
    for master in masters:
        master.grad = torch.ones_like(master)
    optimizer.step()
    moments = sum(value.nbytes for state in optimizer.state.values() for name, value in state.items() if name != "step")
    told = states_gb(mini(), ALIGN, 1)
    assert told["weights_bf16"] * 1e9 == pytest.approx(sum(p.nbytes for p in model.parameters()))
    assert told["master_fp32"] * 1e9 == pytest.approx(sum(master.nbytes for master in masters))
    assert told["adam_fp32"] * 1e9 == pytest.approx(moments)
    assert trained(mini(), ALIGN) == sum(parameter.numel() for parameter in learning)


def test_gradients_of_several_rows_are_added_up_in_float32() -> None:
    one, several = states_gb(FULL, MID, 8), states_gb(FULL, MID, 8, rows=2)
    assert several["gradients_fp32"] == 2 * one["gradients_bf16"]


def test_a_second_copy_of_the_weights_inside_a_node_takes_its_share_of_each_gpu() -> None:
    hierarchical = load_train_recipe("mid", ["zero_hpz_partition_size=8"])
    more = sum(states_gb(FULL, hierarchical, 32).values()) - sum(states_gb(FULL, MID, 32).values())
    assert more == pytest.approx(2 * 21.23 / 8, rel=1e-3)


def test_operations_are_those_that_torch_counts() -> None:
    """But for attention: eager computes the half that its mask throws away, so that is taken out on both sides."""
    model = fresh()
    model.set_experts_implementation({"text_config": "eager"})  # torch does not count the fused kernel
    pictures = CONTEXT // 2 // mini().image_tokens
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**vars(batch(document(1, CONTEXT, pictures=pictures))))
    text, window = mini().text, min(mini().text.sliding_window, CONTEXT / 2)
    attention = 4 * text.num_attention_heads * text.head_dim * CONTEXT * (CONTEXT / 2 + window)
    told = row_flops(mini(), load_train_recipe("mid"), CONTEXT) / PASSES["train"] - attention
    counted = counter.get_total_flops() - counter.get_flop_counts()["Global"][torch.ops.aten.bmm]
    assert counted == pytest.approx(told, rel=0.03)


def test_a_checkpoint_takes_as_much_as_its_parts() -> None:
    assert checkpoint_gb(FULL, MID) == pytest.approx(255 + 42.5, abs=0.5)
