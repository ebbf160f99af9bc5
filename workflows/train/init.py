"""`curate train init`: one directory that every stage can start from."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.errors import UsageError
from workflows.train.model import ModelDescription, configuration
from workflows.train.tokenizer import TOKENIZER_FILE, check_tokenizer, load_fast, write_byte_tokenizer
from workflows.train.weights import load_strictly, save_model

CLIP_TEXT = ("text_model.", "text_projection.", "visual_projection.", "logit_scale")
"""What a CLIP directory holds besides the picture encoder."""
DESCRIPTION = "curate_model.json"
CHAT_TEMPLATE = Path(__file__).parent / "models" / "chat_template.jinja"
"""For those who ask the model by `transformers` or a server; the project itself renders with shards/harmony.py."""
BASES = "bases.json"
"""Beside the weights: what they were joined from, and last what was made, by hash, for the lineage."""


def init_random(model: ModelDescription, out: Path, seed: int) -> None:
    """Write a model of random weights (bf16), its processor and its tokenizer.

    Raises:
        UsageError: `out` is not empty, or the model has the tokenizer of others.
    """
    import torch
    from transformers import LlavaForConditionalGeneration

    if model.tokenizer != "bytes":
        raise UsageError(f"--model {model.name}: starts from weights of others", "give --language DIR and --vision DIR")
    with _whole(out) as writing:
        torch.manual_seed(seed)
        made: Any = LlavaForConditionalGeneration(configuration(model))
        made = made.to(torch.bfloat16)
        save_model(made, made.state_dict(), writing)
        write_byte_tokenizer(writing / TOKENIZER_FILE)
        _finish(model, writing, [])


def init_joined(model: ModelDescription, language: Path, vision: Path, out: Path, seed: int) -> None:
    """Join GPT-oss (MXFP4 becomes bf16) and CLIP's picture encoder; the projector between them is random.

    Takes as much memory as the bf16 weights (43 GB for gpt-oss-20b).

    Raises:
        UsageError: a directory lacks weights, has others, or is of another shape than the model's description.
    """
    _check_shapes(model, language, vision)
    check_tokenizer(language / TOKENIZER_FILE, model)
    bases = [_base(language, "--language"), _base(vision, "--vision")]
    with _whole(out) as writing:
        _join(model, language, vision, writing, seed)
        _finish(model, writing, bases)


def _join(model: ModelDescription, language: Path, vision: Path, out: Path, seed: int) -> None:
    import torch
    from transformers import LlavaForConditionalGeneration

    text = _language_model(language)
    encoder = _picture_encoder(vision)
    torch.manual_seed(seed)
    with torch.device("meta"):
        whole: Any = LlavaForConditionalGeneration(configuration(model))
    whole.model.multi_modal_projector.to_empty(device="cpu")
    for module in whole.model.multi_modal_projector.modules():
        whole._init_weights(module)  # noqa: SLF001 - the only way to a fresh projector as transformers makes it
    state = {f"model.language_model.{name}": value for name, value in text.model.state_dict().items()}
    state |= {f"model.vision_tower.{name}": value for name, value in encoder.state_dict().items()}
    state |= {
        f"model.multi_modal_projector.{name}": value
        for name, value in whole.model.multi_modal_projector.state_dict().items()
    }
    state["lm_head.weight"] = text.lm_head.weight
    state = {name: value.detach().to(torch.bfloat16) for name, value in state.items()}
    whole.load_state_dict(state, strict=True, assign=True)
    save_model(whole, state, out)
    (out / TOKENIZER_FILE).write_bytes((language / TOKENIZER_FILE).read_bytes())


def read_description(directory: Path) -> ModelDescription | None:
    """The description of the model in a directory that `init` or a stage wrote; None in others."""
    place = directory / DESCRIPTION
    return ModelDescription.model_validate_json(place.read_bytes()) if place.is_file() else None


def write_description(model: ModelDescription, directory: Path) -> None:
    """Say beside weights what model they are of."""
    (directory / DESCRIPTION).write_text(model.model_dump_json(indent=1) + "\n", encoding="utf-8")


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A directory to write into, which becomes `out` when all is there: half a model is never taken for one.

    Raises:
        UsageError: `out` is not empty.
    """
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"--out {out}: not empty", "name a new directory")
    writing = out.absolute().with_name(f".{out.name}.writing")
    shutil.rmtree(writing, ignore_errors=True)
    writing.mkdir(parents=True)
    try:
        yield writing
        writing.replace(out)
    finally:
        shutil.rmtree(writing, ignore_errors=True)


def _language_model(directory: Path) -> Any:
    import torch
    from transformers import GptOssForCausalLM
    from transformers.utils.quantization_config import Mxfp4Config

    config = json.loads((directory / "config.json").read_bytes())
    options: dict[str, Any] = {"dtype": torch.bfloat16}
    if "quantization_config" in config:
        options["quantization_config"] = Mxfp4Config(dequantize=True)
    return load_strictly(GptOssForCausalLM, directory, **options)


def _picture_encoder(directory: Path) -> Any:
    import torch
    from transformers import CLIPVisionModel

    return load_strictly(CLIPVisionModel, directory, CLIP_TEXT, dtype=torch.bfloat16)


def _check_shapes(model: ModelDescription, language: Path, vision: Path) -> None:
    for directory, shape, option in ((language, model.text, "--language"), (vision, model.vision, "--vision")):
        place = directory / "config.json"
        if not place.is_file():
            raise UsageError(f"{option} {directory}: no config.json there", "give the directory of a downloaded model")
        given = json.loads(place.read_bytes())
        given = given.get("vision_config", given) if option == "--vision" else given
        for name, wanted in shape.model_dump().items():
            if name in given and given[name] != wanted and not name.endswith("_token_id"):
                raise UsageError(
                    f"{option} {directory}: {name} is {given[name]}, {model.name} has {wanted}",
                    "give the directory of the model that the description was made for, or another --model",
                )
    _check_rope(model, language)


def _check_rope(model: ModelDescription, language: Path) -> None:
    """Compare rotary positions, which no shape of a weight shows."""
    config = json.loads((language / "config.json").read_bytes())
    given = {**config, **(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    rope = model.rope
    wanted = {"rope_theta": rope.theta, "factor": rope.factor,
              "original_max_position_embeddings": rope.original_max_position_embeddings}  # fmt: skip
    for name, value in wanted.items():
        if name in given and given[name] != value:
            raise UsageError(
                f"--language {language}: {name} is {given[name]}, {model.name} has {value}",
                "set `rope` in the model's description to what the weights were trained with",
            )


def _finish(model: ModelDescription, out: Path, bases: list[dict[str, Any]]) -> None:
    """The processor, what the model is, and what it was made from."""
    from transformers import LlavaProcessor

    kind: Any = LlavaProcessor
    kind(
        image_processor=_picture_processor(model),
        tokenizer=load_fast(out / TOKENIZER_FILE, model),
        patch_size=model.vision.patch_size,
        vision_feature_select_strategy="default",
        image_token=model.image_token.text,
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE.read_text(encoding="utf-8").replace("<<image>>", model.image_token.text),
    ).save_pretrained(str(out))
    write_description(model, out)
    made = {**_base(out, "--out"), "name": model.name}
    (out / BASES).write_text(json.dumps([*bases, made], indent=1) + "\n", encoding="utf-8")


def _picture_processor(model: ModelDescription) -> Any:
    from transformers import GotOcr2ImageProcessor, LlavaImageProcessor
    from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

    side = model.vision.image_size
    square = {"height": side, "width": side}
    if model.max_tiles == 1:  # as LLaVA-1.5 (2310.03744): padded to a square, so that nothing at the rim is cut off
        return LlavaImageProcessor(do_pad=True, size={"shortest_edge": side}, crop_size=square)
    return GotOcr2ImageProcessor(
        size=square, crop_to_patches=True, min_patches=1, max_patches=model.max_tiles,
        image_mean=OPENAI_CLIP_MEAN, image_std=OPENAI_CLIP_STD,
    )  # fmt: skip


def _base(directory: Path, option: str) -> dict[str, Any]:
    """A directory by the hashes of its weights, in the form of a lineage's `base`: of the files that are loaded.

    Raises:
        UsageError: it has none.
    """
    from pipelines.audit.statement import sha256_of
    from sources.storage import LocalFolder

    folder = LocalFolder(directory)
    names = sorted(path.name for path in directory.iterdir() if path.suffix == ".safetensors") or sorted(
        path.name for path in directory.glob("pytorch_model*.bin")
    )
    if not names:
        raise UsageError(f"{option} {directory}: no weights there", "give a directory with *.safetensors")
    files = {name: sha256_of(folder, name) for name in names}
    return {"name": directory.name, "revision": None, "files": files}
