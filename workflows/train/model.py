"""What model is trained: a description in YAML, made into classes of `transformers` alone."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from shards.plan_file import ImagePolicy
from sources.cards import Strict
from workflows.train.settings import read_yaml, validated

if TYPE_CHECKING:
    from transformers import LlavaConfig

MODELS = Path(__file__).parent / "models"
Positive = Annotated[int, Field(ge=1)]
PARTS = ("vision", "projector", "language")
"""What a recipe can train apart: the picture encoder, the projector, and the language model with its head."""


class ImageToken(Strict):
    """The token that stands for one token of a picture."""

    text: str
    id: Positive


class Attention(Strict):
    """Attention implementations by their names in `transformers`. They are asserted, never replaced in silence."""

    text: Literal["eager", "flex_attention", "flash_attention_4"]
    vision: Literal["eager", "sdpa"] = "sdpa"


class TextShape(Strict):
    """The language model: arguments of `GptOssConfig`."""

    vocab_size: Positive
    hidden_size: Positive
    intermediate_size: Positive
    num_hidden_layers: Positive
    num_attention_heads: Positive
    num_key_value_heads: Positive
    head_dim: Positive
    num_local_experts: Positive
    num_experts_per_tok: Positive
    sliding_window: Positive
    pad_token_id: int
    bos_token_id: int
    eos_token_id: int


class Rope(Strict):
    """Rotary positions, by YaRN: those that the weights were trained with, however long a context is used."""

    theta: Annotated[float, Field(gt=0)]
    factor: Annotated[float, Field(ge=1)]
    original_max_position_embeddings: Positive
    """Positions before they were stretched by `factor`."""


class VisionShape(Strict):
    """The picture encoder: arguments of `CLIPVisionConfig`."""

    hidden_size: Positive
    intermediate_size: Positive
    num_hidden_layers: Positive
    num_attention_heads: Positive
    image_size: Positive
    patch_size: Positive
    projection_dim: Positive


class ModelDescription(Strict):
    """A model by its shape. `tokenizer`: `o200k_harmony`, or `bytes` for the one that the project makes."""

    name: str
    max_context_tokens: Positive
    tokenizer: Literal["o200k_harmony", "bytes"]
    image_token: ImageToken
    attention: Attention
    loss_chunk_tokens: Positive
    max_tiles: Positive = 1
    """Of a picture: 1 brings every picture to one size; more cut a large one into tiles and add a thumbnail."""
    rows_per_step: Positive | None = None
    """Of a plan that has to be made for this model (default: a step of about a million tokens)."""
    text: TextShape
    rope: Rope
    vision: VisionShape

    @property
    def image_tokens(self) -> int:
        """Tokens of one picture, or of one tile of it."""
        return (self.vision.image_size // self.vision.patch_size) ** 2

    @property
    def images(self) -> ImagePolicy:
        """How many tokens pictures take, as plans say it."""
        return ImagePolicy(
            policy="tiles" if self.max_tiles > 1 else "fixed", tokens_per_tile=self.image_tokens,
            side=self.vision.image_size, max_tiles=self.max_tiles,
        )  # fmt: skip

    @model_validator(mode="after")
    def _ids_have_rows(self) -> "ModelDescription":
        ids = (self.image_token.id, self.text.pad_token_id, self.text.bos_token_id, self.text.eos_token_id)
        if not all(0 <= number < self.text.vocab_size for number in ids):
            raise ValueError(f"ids of special tokens must lie below vocab_size ({self.text.vocab_size})")
        positions = int(self.rope.factor * self.rope.original_max_position_embeddings)
        if self.max_context_tokens > positions:
            raise ValueError(f"max_context_tokens must be at most the {positions:,} positions of rope")
        return self


def load_model(name: str) -> ModelDescription:
    """A model that ships with the project, by name, or one in a YAML file.

    Raises:
        UsageError: there is none, or it is not in its form.
    """
    return validated(ModelDescription, read_yaml(name, MODELS, "--model"), f"--model {name}")


def configuration(model: ModelDescription) -> "LlavaConfig":
    """The configuration that `transformers` builds the model from."""
    from transformers import CLIPVisionConfig, GptOssConfig, LlavaConfig

    context, rope = model.max_context_tokens, model.rope
    yarn = {
        "rope_type": "yarn", "rope_theta": rope.theta, "factor": rope.factor, "beta_fast": 32.0, "beta_slow": 1.0,
        "truncate": False, "original_max_position_embeddings": rope.original_max_position_embeddings,
    }  # fmt: skip
    text = GptOssConfig(
        **model.text.model_dump(), max_position_embeddings=context, rope_parameters=yarn, tie_word_embeddings=False,
        use_cache=False,
    )  # fmt: skip
    return LlavaConfig(
        vision_config=CLIPVisionConfig(**model.vision.model_dump()),
        text_config=text,
        image_token_index=model.image_token.id,
        image_seq_length=model.image_tokens,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        projector_hidden_act="gelu",
        tie_word_embeddings=False,
    )


@lru_cache(maxsize=4)
def parameter_counts(model: ModelDescription) -> dict[str, int]:
    """Parameters of each part, of all (`total`), and of one expert layer and the head; nothing is allocated."""
    import torch
    from transformers import LlavaForConditionalGeneration

    with torch.device("meta"):
        whole = LlavaForConditionalGeneration(configuration(model))
    counts: dict[str, int] = dict.fromkeys(PARTS, 0)
    for name, parameter in whole.named_parameters():
        counts[part_of(name)] += parameter.numel()
    language: Any = whole.model.language_model
    counts["layer"] = sum(parameter.numel() for parameter in language.layers[0].parameters())
    counts["experts"] = sum(parameter.numel() for parameter in language.layers[0].mlp.experts.parameters())
    counts["embedding"] = language.embed_tokens.weight.numel()
    counts["head"] = whole.lm_head.weight.numel()
    counts["total"] = sum(counts[part] for part in PARTS)
    return counts


def part_of(parameter: str) -> str:
    """Which of PARTS a parameter belongs to, by its name in the model."""
    if "vision_tower" in parameter:
        return "vision"
    return "projector" if "multi_modal_projector" in parameter else "language"
