"""Traps 1, 2, 3 and 6 of the training study: what silently goes wrong in a packed, spread, routed model."""

from typing import Any

import pytest
import torch

from tests.workflows.train.minis import batch, document, fresh, mini, packed
from workflows.train.packed import IGNORED, PackedModel

pytestmark = pytest.mark.filterwarnings("ignore")


def total(model: PackedModel, row: Any) -> torch.Tensor:
    return model(**vars(batch(row)))[0]


def test_documents_of_a_packed_row_do_not_see_each_other() -> None:
    model = fresh()
    first, second = document(1, 37), document(2, 53, pictures=2)
    with torch.no_grad():
        apart = total(model, first) + total(model, second)
        together = total(model, packed(first, second))
        mixed = total(model, packed(document(3, 37), second)) - total(model, document(3, 37))
    assert float(together) == pytest.approx(float(apart), rel=1e-6)
    assert float(mixed) == pytest.approx(float(total(model, second)), rel=1e-5)


def test_masks_without_positions_would_let_documents_see_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the test above can fail: what transformers makes of the row by itself."""
    model = fresh()
    first, second = document(1, 37), document(2, 53)
    with torch.no_grad():
        apart = float(total(model, first) + total(model, second))
        monkeypatch.setattr("workflows.train.packed.packed_masks", lambda *_: None)
        assert abs(float(total(model, packed(first, second))) - apart) > 0.01


def test_a_row_without_pictures_runs_the_picture_encoder_forward_and_backward() -> None:
    model = fresh()
    calls = []
    for part in (model.model.vision_tower, model.model.multi_modal_projector):
        part.register_forward_hook(lambda module, *_: calls.append(type(module).__name__))
    row = document(1, 40)
    assert not row.pictures
    total(model, row).backward()
    assert len(calls) == 2
    gradients = [parameter.grad for parameter in model.model.multi_modal_projector.parameters()]
    assert all(gradient is not None and not gradient.any() for gradient in gradients)


def test_the_picture_of_a_row_without_any_changes_nothing() -> None:
    model = fresh()
    given = batch(document(1, 40))
    other = {**vars(given), "pixels": torch.randn_like(given.pixels)}
    with torch.no_grad():
        assert torch.equal(model(**vars(given))[0], model(**other)[0])


def test_pictures_stand_where_their_tokens_are() -> None:
    model = fresh()
    row = document(5, 60, pictures=2)
    plain = batch(row)
    with torch.no_grad():
        want = (
            super(PackedModel, model)
            .forward(input_ids=plain.ids_BS, pixel_values=plain.pixels, position_ids=plain.positions_BS)
            .logits
        )
    labels = torch.full_like(plain.labels_BS, IGNORED)
    labels[:, 1:60] = want.argmax(-1)[:, :59]
    loss = torch.nn.functional.cross_entropy(want[0, :59].float(), labels[0, 1:60], reduction="sum")
    with torch.no_grad():
        got = model(**{**vars(plain), "labels_BS": labels})[0]
    assert float(got) == pytest.approx(float(loss), rel=1e-5)


def test_the_chunked_loss_has_the_gradients_of_the_whole_one() -> None:
    row = packed(document(1, 50), document(2, 60, pictures=1))
    gradients = []
    for chunk in (7, 10_000):
        model = fresh()
        model.loss_chunk_tokens = chunk
        total(model, row).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("length", [3, 120])
def test_the_head_is_called_as_often_whatever_is_labelled(labelled: bool, length: int) -> None:
    model = fresh()
    calls: list[int] = []
    model.lm_head.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        loss = total(model, document(1, length, labelled=labelled))
    assert len(calls) == 3  # 127 targets in chunks of 48
    assert bool(loss > 0) == labelled


def test_the_routers_balance_is_in_the_loss_and_reaches_their_weights() -> None:
    model = fresh()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    _, balance, load_E = model(**vars(batch(document(1, 100))))
    balance.backward()
    least = mini().text.num_experts_per_tok
    assert float(balance) >= least - 1e-3
    assert float(load_E.sum()) == pytest.approx(1)
    routers = [p.grad for name, p in model.named_parameters() if "router.weight" in name]
    assert len(routers) == mini().text.num_hidden_layers
    assert all(gradient is not None and gradient.any() for gradient in routers)


def test_training_on_the_balance_alone_evens_the_experts_out() -> None:
    model = fresh()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "router.bias" in name:
                parameter[0] += 2.0  # everybody wants the first expert
    optimizer = torch.optim.SGD([p for n, p in model.named_parameters() if "router" in n], lr=0.5)
    given = vars(batch(document(1, 128)))
    seen = []
    for _ in range(12):
        _, balance, _ = model(**given)
        optimizer.zero_grad()
        balance.backward()
        optimizer.step()
        seen.append(float(balance))
    assert seen[-1] < seen[0] - 0.2


def test_padding_counts_neither_for_the_loss_nor_for_the_balance() -> None:
    model = fresh()
    row = document(1, 40)
    with torch.no_grad():
        short, long = (model(**vars(batch(row, context))) for context in (64, 128))
    for place in range(3):
        torch.testing.assert_close(short[place], long[place], rtol=1e-5, atol=1e-6)
