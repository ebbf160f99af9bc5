"""`curate train sample`: what a model answers to a few samples, for a look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from pipelines.errors import CurateError, UsageError
from pipelines.places import folder_of
from shards.encoders import MESSAGE, RETURN, START, TEXT_END, load_encoder
from shards.harmony import render
from shards.image_tokens import tokens_of
from shards.index_file import IndexFileError, open_index
from shards.loader_order import LoaderError
from shards.loader_pictures import decoded
from shards.loader_samples import BadSample, RawSample, SampleReader
from shards.loader_shards import Shards
from shards.manifest import ManifestError, read_manifest
from shards.mixture import hashes
from shards.plan_file import Place
from shards.plan_samples import samples_of
from workflows.train.checkpoint import ABOUT, Checkpoint, finished, verify
from workflows.train.data import VERIFY, Pixels
from workflows.train.init import read_description
from workflows.train.job import EXPORT, JOB, Job, read_job
from workflows.train.model import ModelDescription
from workflows.train.ranks import Ranks
from workflows.train.tokenizer import TOKENIZER_FILE, load_fast
from workflows.train.weights import load_strictly

ANSWERS = ("assistant", "analysis")
SHOWN_TOKENS = 32
"""Of a text without turns, which is gone on with."""
_OF_SAMPLES = 5  # which random numbers; validation uses 4


@dataclass(frozen=True)
class Weights:
    """A model directory, and the checkpoint whose weights take the place of those in it."""

    directory: Path
    model: ModelDescription
    job: Job | None
    states: tuple[Path, Checkpoint] | None = None


def answered(checkpoint: Path, shards: str | None, count: int, max_tokens: int) -> dict[str, Any]:
    """`count` samples with the answer of the model: the likeliest token each time.

    Samples are drawn by a fixed seed from the held-out shards, or from all where nothing is held out.

    Raises:
        UsageError: there is no model, or there are no shards to take samples from.
        CurateError: the checkpoint is damaged, or the shards cannot be read.
    """
    weights = weights_at(checkpoint)
    if shards is None and weights.job is None:
        raise UsageError(f"--checkpoint {checkpoint}: no run that says what shards", "--shards RUN/shards")
    place = shards if shards is not None else weights.job.shards if weights.job is not None else ""
    drawn = _drawn(place, weights.model, count)
    model = _model(weights)
    return {"checkpoint": str(checkpoint), "samples": [_answer(weights, model, one, max_tokens) for one in drawn]}


def weights_at(place: Path) -> Weights:
    """The weights in an export, a directory of `init`, a checkpoint, or a run: its export, or its newest checkpoint.

    Raises:
        UsageError: there are none.
    """
    if not (place / ABOUT).is_file() and read_description(place) is None:
        newest = finished(place)
        place = place / EXPORT if (place / EXPORT).is_dir() else newest[-1] if newest else place
    if (place / ABOUT).is_file():
        about = Checkpoint.model_validate_json((place / ABOUT).read_bytes())
        return Weights(about.job.start, about.job.model, about.job, (place, about))
    model = read_description(place)
    if model is None:
        raise UsageError(f"--checkpoint {place}: no weights there", "give an export, a checkpoint or a run's folder")
    job = place.parent / JOB
    return Weights(place, model, read_job(job) if job.is_file() else None)


def _drawn(place: str, model: ModelDescription, count: int) -> list[RawSample]:
    """Samples that fit the model's context with an answer beside them."""
    folder = folder_of(place, "--shards")
    try:
        manifest = read_manifest(folder)
        if manifest.index is None:
            raise UsageError(f"{folder.place}: has no member index", "build the shards again with this version")
        samples = samples_of(open_index(folder, manifest.index), len(manifest.every_shard), model.images)
        first = len(manifest.shards) if manifest.validation else 0
        order = np.argsort(hashes(0, 0, _OF_SAMPLES, len(samples.shard)), kind="stable")
        fits = samples.shard >= first
        if model.tokenizer == manifest.tokenizer:
            fits &= samples.tokens < model.max_context_tokens
        chosen = order[fits[order]][:count]
        places = [
            Place(int(samples.shard[one]), int(samples.offset[one]), int(samples.size[one]), int(samples.tokens[one]))
            for one in chosen
        ]
        reader = SampleReader(Shards(folder, manifest))
        found = reader.read(places)
    except (ManifestError, IndexFileError, LoaderError) as error:
        raise CurateError(str(error), VERIFY) from None
    bad = [one for one in found if isinstance(one, BadSample)]
    if bad or not found:
        raise CurateError(str(bad[0]) if bad else f"{folder.place}: no sample", VERIFY)
    return [one for one in found if isinstance(one, RawSample)]


def _model(weights: Weights) -> Any:
    import torch
    from transformers import LlavaForConditionalGeneration

    gpu, attention = torch.cuda.is_available(), weights.model.attention
    model = load_strictly(
        LlavaForConditionalGeneration, weights.directory, dtype=torch.bfloat16,
        attn_implementation={"text_config": attention.text if gpu else "eager", "vision_config": attention.vision},
    )  # fmt: skip
    if weights.states is not None:
        place, about = weights.states
        verify(_Alone(0, 0, 1, 1), place, about)  # it is of pickles
        from deepspeed.utils.zero_to_fp32 import (  # type: ignore[import-untyped]
            get_fp32_state_dict_from_zero_checkpoint,
        )

        state = get_fp32_state_dict_from_zero_checkpoint(str(place.parent), tag=place.name)
        model.load_state_dict({name: value.to(torch.bfloat16) for name, value in state.items()}, strict=True)
    return model.to("cuda" if gpu else "cpu").eval()


class _Alone(Ranks):
    """This process, which has nobody to ask."""

    def gathered(self, value: Any) -> list[Any]:
        """The value."""
        return [value]


def _answer(weights: Weights, model: Any, sample: RawSample, max_tokens: int) -> dict[str, str]:
    import torch

    content: Mapping[str, Any] = orjson.loads(bytes(sample.json))
    tokenizer = str(weights.directory / TOKENIZER_FILE)
    encoder = load_encoder(tokenizer)
    asked, wanted = _parted(content["turns"])
    shown = "".join(turn["text"] for turn in asked).count("<image>")
    sizes = np.array([(one["width"], one["height"]) for one in content["images"][:shown]], np.int64).reshape(-1, 2)
    tokens = tokens_of(weights.model.images, sizes[:, 0], sizes[:, 1]).tolist() if len(sizes) else []
    ids = render(asked, tokens, tokenizer).ids.tolist()
    if asked[0]["role"] == "text":
        ids = ids[: min(SHOWN_TOKENS, len(ids) - 1)]
    else:
        ids += [encoder.special[START], *encoder.encode("assistant")]
    room = weights.model.max_context_tokens - max_tokens
    if len(ids) > room:
        return _told(sample, content, asked, wanted, f"(not asked: {len(ids)} tokens, {room} fit)")
    pixels = Pixels(weights.directory)
    pictures = [pixels(decoded(suffix, data)) for suffix, data in sample.pictures[:shown]]
    given: dict[str, Any] = {"input_ids": torch.tensor([ids], device=model.device)}
    if pictures:
        given["pixel_values"] = torch.from_numpy(np.concatenate(pictures)).to(model.device, torch.bfloat16)
    with torch.no_grad():
        made = model.generate(
            **given, attention_mask=torch.ones_like(given["input_ids"]), max_new_tokens=max_tokens, do_sample=False,
            use_cache=True, pad_token_id=weights.model.text.pad_token_id,
            eos_token_id=[encoder.special[RETURN], encoder.special[TEXT_END]],
        )[0, len(ids) :].tolist()  # fmt: skip
    if encoder.special[MESSAGE] in made:  # what comes before the last message is its channel, or thoughts
        made = made[len(made) - made[::-1].index(encoder.special[MESSAGE]) :]
    special = set(encoder.special.values())
    text = load_fast(Path(tokenizer), weights.model).decode([one for one in made if one not in special])
    return _told(sample, content, asked, wanted, str(text))


def _parted(turns: Sequence[Mapping[str, str]]) -> tuple[list[Mapping[str, str]], str]:
    """What is asked, and what the corpus answers: the last turns, if an assistant's. A text is asked as it is."""
    end = len(turns)
    while end > 1 and turns[end - 1]["role"] in ANSWERS:
        end -= 1
    return list(turns[:end]), turns[-1]["text"] if end < len(turns) else ""


def _told(
    sample: RawSample, content: Mapping[str, Any], asked: Sequence[Mapping[str, str]], wanted: str, answer: str
) -> dict[str, str]:
    return {"sample_id": sample.key, "source": content["source"], "prompt": asked[-1]["text"], "expected": wanted,
            "answer": answer}  # fmt: skip
