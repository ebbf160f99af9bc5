"""The directory that training starts from: tiny random weights, or a language model and a picture encoder joined."""

import errno
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor, CLIPConfig, CLIPModel, GptOssForCausalLM, LlavaForConditionalGeneration

from pipelines.errors import UsageError
from shards.harmony import render
from tests.workflows.train.minis import mini
from workflows.train.init import init_joined, init_random, read_description
from workflows.train.model import configuration, load_model, parameter_counts
from workflows.train.packed import PackedModel
from workflows.train.tokenizer import check_tokenizer, write_byte_tokenizer
from workflows.train.weights import differences, load_strictly, save_model

pytestmark = pytest.mark.filterwarnings("ignore")
FP4 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


def values_of(blocks: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """MXFP4 by its definition: two 4-bit floats a byte, low half first, 32 of them under one power of two."""
    pairs = torch.stack([FP4[(blocks & 15).long()], FP4[(blocks >> 4).long()]], dim=-1).flatten(-2)
    scaled = pairs * torch.exp2(scales.float() - 127)[..., None]
    return scaled.flatten(-2).transpose(1, 2).to(torch.bfloat16)


@pytest.fixture
def language(tmp_path: Path) -> Path:
    """A language model in the layout of OpenAI's release: experts in MXFP4, all else in bf16."""
    place, shape = tmp_path / "language", mini().text
    place.mkdir()
    torch.manual_seed(1)
    config: Any = configuration(mini()).text_config
    state = {
        name: value.to(torch.bfloat16).contiguous() for name, value in GptOssForCausalLM(config).state_dict().items()
    }
    for layer in range(shape.num_hidden_layers):
        for name, rows in (("gate_up_proj", 2 * shape.intermediate_size), ("down_proj", shape.hidden_size)):
            key = f"model.layers.{layer}.mlp.experts.{name}"
            del state[key]
            groups = shape.hidden_size // 32
            state[f"{key}_blocks"] = torch.randint(
                0, 256, (shape.num_local_experts, rows, groups, 16), dtype=torch.uint8
            )
            state[f"{key}_scales"] = torch.randint(115, 122, (shape.num_local_experts, rows, groups), dtype=torch.uint8)
    save_file(state, place / "model.safetensors", metadata={"format": "pt"})
    document = config.to_dict() | {"architectures": ["GptOssForCausalLM"], "dtype": "bfloat16", "quantization_config": {
        "quant_method": "mxfp4",
        "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens",
                                   "lm_head"]}}  # fmt: skip
    (place / "config.json").write_text(json.dumps(document))
    write_byte_tokenizer(place / "tokenizer.json")
    return place


@pytest.fixture
def vision(tmp_path: Path) -> Path:
    """A whole CLIP, text tower and all, as it is published."""
    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
            "vocab_size": 99}  # fmt: skip
    config = CLIPConfig(vision_config=mini().vision.model_dump(), text_config=text, projection_dim=32)
    CLIPModel(config).to(torch.bfloat16).save_pretrained(str(tmp_path / "vision"))
    return tmp_path / "vision"


def test_joined_weights_are_those_that_were_given_mxfp4_by_its_definition(
    language: Path, vision: Path, tmp_path: Path
) -> None:
    init_joined(mini(), language, vision, tmp_path / "out", 0)
    made, given = load_file(tmp_path / "out/model.safetensors"), load_file(language / "model.safetensors")
    key = "layers.1.mlp.experts.down_proj"
    want = values_of(given[f"model.{key}_blocks"], given[f"model.{key}_scales"])
    assert torch.equal(made[f"model.language_model.{key}"], want)
    assert torch.equal(made["lm_head.weight"], given["lm_head.weight"])
    patches = "embeddings.patch_embedding.weight"
    clip = load_file(vision / "model.safetensors")
    assert torch.equal(made[f"model.vision_tower.{patches}"], clip[f"vision_model.{patches}"])
    assert {value.dtype for value in made.values()} == {torch.bfloat16}
    assert sum(value.numel() for value in made.values()) == parameter_counts(mini())["total"]
    assert "quantization_config" not in json.loads((tmp_path / "out/config.json").read_bytes())
    assert made["model.multi_modal_projector.linear_1.weight"].float().std() > 0
    load_strictly(LlavaForConditionalGeneration, tmp_path / "out")
    bases = json.loads((tmp_path / "out/bases.json").read_bytes())
    assert [(one["name"], list(one["files"])) for one in bases] == [
        ("language", ["model.safetensors"]), ("vision", ["model.safetensors"]), ("mini", ["model.safetensors"]),
    ]  # fmt: skip


def test_a_picture_encoder_in_pytorchs_own_format_is_in_the_bases(language: Path, vision: Path, tmp_path: Path) -> None:
    state = load_file(vision / "model.safetensors")
    torch.save(state, vision / "pytorch_model.bin")
    (vision / "model.safetensors").unlink()
    init_joined(mini(), language, vision, tmp_path / "out", 0)
    bases = json.loads((tmp_path / "out/bases.json").read_bytes())
    digest = hashlib.sha256((vision / "pytorch_model.bin").read_bytes()).hexdigest()
    assert bases[1]["files"] == {"pytorch_model.bin": digest}


def test_an_init_that_fails_leaves_nothing_that_looks_like_a_model(
    language: Path, vision: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("workflows.train.init._finish", full_disk)
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(OSError, match="No space"):
        init_joined(mini(), language, vision, tmp_path / "out", 0)
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("change", ["missing", "unexpected"])
def test_a_language_model_with_other_weights_is_refused(
    language: Path, vision: Path, tmp_path: Path, change: str
) -> None:
    state = load_file(language / "model.safetensors")
    if change == "missing":
        del state["model.norm.weight"]
    else:
        state["model.other.weight"] = torch.zeros(2)
    save_file(state, language / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match=change):
        init_joined(mini(), language, vision, tmp_path / "out", 0)


def test_a_language_model_of_another_shape_or_tokenizer_is_refused(
    language: Path, vision: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="vocab_size"):
        init_joined(load_model("medgpt-oss-20b"), language, vision, tmp_path / "out", 0)
    tokenizer = json.loads((language / "tokenizer.json").read_bytes())
    tokenizer["added_tokens"][2]["content"] = "<|other|>"
    (language / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(UsageError, match="return"):
        init_joined(mini(), language, vision, tmp_path / "out", 0)


def test_a_language_model_of_other_rotary_positions_is_refused(language: Path, vision: Path, tmp_path: Path) -> None:
    place = language / "config.json"
    config = json.loads(place.read_bytes())
    config["rope_parameters"]["original_max_position_embeddings"] *= 2
    place.write_text(json.dumps(config))
    with pytest.raises(UsageError, match="original_max_position_embeddings"):
        init_joined(mini(), language, vision, tmp_path / "out", 0)


def test_random_weights_follow_from_the_seed_and_the_processor_fits_them(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        init_random(mini(), tmp_path / name, seed)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c
    assert read_description(tmp_path / "a") == mini()
    check_tokenizer(tmp_path / "a" / "tokenizer.json", mini())
    with pytest.raises(UsageError, match="not empty"):
        init_random(mini(), tmp_path / "a", 0)


def test_the_chat_template_gives_the_tokens_that_training_saw(tmp_path: Path) -> None:
    init_random(mini(), tmp_path / "init", 0)
    processor = AutoProcessor.from_pretrained(str(tmp_path / "init"))
    picture = {"type": "image", "image": Image.new("RGB", (28, 28))}
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": [picture, {"type": "text", "text": "Which view?\n"}]},
        {"role": "assistant", "thinking": "The heart is large.", "content": "AP."},
        {"role": "user", "content": "Sure?"},
    ]
    turns = [{"role": "system", "text": "Be short."}, {"role": "user", "text": "<image>Which view?\n"},
             {"role": "analysis", "text": "The heart is large."}, {"role": "assistant", "text": "AP."},
             {"role": "user", "text": "Sure?"}, {"role": "assistant", "text": "Yes."}]  # fmt: skip
    wanted = render(turns, [mini().image_tokens], str(tmp_path / "init" / "tokenizer.json")).ids.tolist()
    whole = [*messages, {"role": "assistant", "content": "Yes."}]
    told = processor.apply_chat_template(whole, tokenize=True, return_dict=True)
    assert told["input_ids"][0] == wanted
    asked = processor.apply_chat_template(messages, tokenize=True, return_dict=True, add_generation_prompt=True)
    assert wanted[: len(asked["input_ids"][0])] == asked["input_ids"][0]


def old_names(state: dict[str, Any]) -> dict[str, Any]:
    """As a model that was loaded under ZeRO-3 once wrote them."""
    return {
        name.replace("model.language_model.", "language_model.model.model."): value
        for name, value in state.items()
        if name != "lm_head.weight"
    } | {"language_model.model.lm_head.weight": state["lm_head.weight"]}


def test_names_that_would_leave_the_head_random_are_refused(tmp_path: Path) -> None:
    init_random(mini(), tmp_path / "init", 0)
    place = tmp_path / "init" / "model.safetensors"
    save_file(old_names(load_file(place)), place, metadata={"format": "pt"})
    with pytest.raises(UsageError, match="lm_head"):
        load_strictly(PackedModel, tmp_path / "init")


def test_a_model_that_was_loaded_is_saved_under_the_names_of_a_fresh_one(tmp_path: Path) -> None:
    init_random(mini(), tmp_path / "init", 0)
    model = load_strictly(PackedModel, tmp_path / "init", dtype=torch.bfloat16)
    save_model(model, model.state_dict(), tmp_path / "again", max_shard="200KB")
    assert differences(load_file(tmp_path / "init" / "model.safetensors"), tmp_path / "again") == []
    assert len(list((tmp_path / "again").glob("*.safetensors"))) > 1
    changed = {**model.state_dict(), "lm_head.weight": model.lm_head.weight + 1}
    assert differences(changed, tmp_path / "again") == ["lm_head.weight"]


def test_the_full_model_has_as_many_parameters_as_the_study_counted() -> None:
    assert parameter_counts(load_model("medgpt-oss-20b"))["total"] == 21_229_513_920
