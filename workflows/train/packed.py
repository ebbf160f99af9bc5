"""The model as it is trained: packed rows, a loss in chunks, the routers' balance. Nothing here has weights of its own.

Array suffixes: B rows, S tokens of a row, H hidden size, L layers, E experts.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch.utils.checkpoint import checkpoint
from transformers import LlavaForConditionalGeneration
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssTopKRouter, load_balancing_loss_func

IGNORED = -100
"""A label that no loss counts on."""


def packed_masks(config: Any, hidden_BSH: torch.Tensor, positions_BS: torch.Tensor) -> dict[str, Any]:
    """Masks in which a document sees itself only; one begins wherever the position does not go on by one.

    `GptOssModel` makes its masks without the positions (transformers 5.23.0, PR 39997): documents of a packed row
    then read each other.
    """
    given = {"config": config, "inputs_embeds": hidden_BSH, "attention_mask": None, "past_key_values": None,
             "position_ids": positions_BS}  # fmt: skip
    return {
        "full_attention": create_causal_mask(**given),
        "sliding_attention": create_sliding_window_causal_mask(**given),
    }


class PackedModel(LlavaForConditionalGeneration):  # type: ignore[no-untyped-call]
    """LLaVA over GPT-oss with another `forward`; its weights have the names of `LlavaForConditionalGeneration`."""

    loss_chunk_tokens = 2048
    with_balance = True

    def watch_routers(self) -> None:
        """Let `forward` see what the routers say: LLaVA passes on nothing of it. To be called once."""
        self._watched: list[torch.Tensor] = []
        self._watching = False
        for module in self.modules():
            if isinstance(module, GptOssTopKRouter):
                module.register_forward_hook(self._noted)

    def forward(
        self,
        ids_BS: torch.Tensor,
        labels_BS: torch.Tensor,
        positions_BS: torch.Tensor,
        real_BS: torch.Tensor,
        pixels: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The losses of packed rows, float32.

        They are the sum of the cross entropy over all labelled tokens; Switch's load balancing loss over all layers
        (0 where it is not asked for); and the share that each expert got, [E].

        `labels_BS[b, s]` is the token that is to be predicted *at* s from those before it, or IGNORED; `real_BS` is
        False on padding. `pixels`: the pictures of all rows in order; where there is none, one that no token stands
        for. Every rank so calls every part equally often, which ZeRO-3 needs: a rank without pictures would otherwise
        leave out the collectives of the picture encoder.
        """
        hidden_BSH = self._embedded(ids_BS, pixels)
        self._watched, self._watching = [], True
        hidden_BSH = self.model.language_model(
            inputs_embeds=hidden_BSH,
            attention_mask=packed_masks(self.config.text_config, hidden_BSH, positions_BS),
            position_ids=positions_BS,
        ).last_hidden_state
        self._watching = False
        balance, load_E = self._balance(real_BS)
        self._watched = []
        return self._chunked_loss(hidden_BSH, labels_BS), balance, load_E

    def _embedded(self, ids_BS: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        hidden_BSH = self.get_input_embeddings()(ids_BS)
        features = self.model.get_image_features(
            pixel_values=pixels,
            vision_feature_layer=self.config.vision_feature_layer,
            vision_feature_select_strategy=self.config.vision_feature_select_strategy,
            return_dict=True,
        ).pooler_output
        pictures_NH = torch.cat(list(features), dim=0).to(hidden_BSH.dtype)
        stands_BS1 = (ids_BS == self.config.image_token_id).unsqueeze(-1)
        # Scattering to no place at all still puts the encoder into the graph, with gradients of zero.
        joined_BSH: torch.Tensor = hidden_BSH.masked_scatter(stands_BS1, pictures_NH)
        return joined_BSH

    def _noted(self, _module: Any, _given: Any, told: Any) -> None:
        if self._watching:  # not while gradient checkpointing computes a layer again
            self._watched.append(told[0])

    def _balance(self, real_BS: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        config: Any = self.config.text_config
        with torch.no_grad():
            real_N1 = real_BS.reshape(-1, 1).float()
            load_E = torch.zeros(config.num_local_experts, device=real_BS.device)
            for logits_NE in self._watched:
                chosen_NK = logits_NE.topk(config.num_experts_per_tok, dim=-1).indices
                load_E.scatter_add_(0, chosen_NK.flatten(), real_N1.expand(chosen_NK.shape).flatten())
            load_E /= load_E.sum().clamp(min=1)
        if not self.with_balance:
            return torch.zeros((), device=real_BS.device), load_E
        watched: Any = tuple(logits_NE.float() for logits_NE in self._watched)
        balance: Any = load_balancing_loss_func(watched, config.num_local_experts, config.num_experts_per_tok, real_BS)
        return balance, load_E

    def _chunked_loss(self, hidden_BSH: torch.Tensor, labels_BS: torch.Tensor) -> torch.Tensor:
        """Never more than `loss_chunk_tokens` rows of logits (131,072 x 201,088 in float32 would be 105 GB).

        The number of chunks follows from the shape alone, never from the labels: each gathers the head's weights, and
        under ZeRO-3 all ranks must do so equally often.
        """
        hidden_NH = hidden_BSH[:, :-1].flatten(0, 1)
        targets_N = labels_BS[:, 1:].flatten()
        total = torch.zeros((), dtype=torch.float32, device=hidden_NH.device)
        for start in range(0, len(targets_N), self.loss_chunk_tokens):
            stop = start + self.loss_chunk_tokens
            total = total + checkpoint(
                self._cross_entropy, hidden_NH[start:stop], targets_N[start:stop], use_reentrant=False
            )
        return total

    def _cross_entropy(self, hidden_NH: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.lm_head(hidden_NH).float(), targets_N, ignore_index=IGNORED, reduction="sum")
