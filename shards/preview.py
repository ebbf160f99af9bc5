"""Samples as the trainer sees them: their tokens as text, where the loss counts, their pictures, small."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from filters.tokens import HARMONY, harmony_tokenizer
from shards.encoders import IMAGE, O200K_HARMONY
from shards.harmony import Rendered, RenderError, render
from shards.image_tokens import tokens_of
from shards.index_file import Index
from shards.loader_samples import BadSample, RawSample, parsed
from shards.manifest import Manifest
from shards.plan_file import ImagePolicy, Place
from shards.plan_samples import coded_words
from shards.samples import SampleJson
from sources.storage import Folder

SIDE = 224
"""Longer side of a picture on the page, in pixels."""
MAX_SAMPLE_BYTES = 64 * 2**20
MAX_TOKENS = 1500
"""Of one sample; a long document need not be read to its end here."""
_NAMES = {number: name for name, number in O200K_HARMONY.items()}


@dataclass(frozen=True)
class Segment:
    """Tokens side by side that are alike: text, or a special token, with or without loss; or a picture."""

    kind: str
    """`text`, `special` or `picture`."""
    text: str
    tokens: int
    loss: bool


@dataclass(frozen=True)
class SampleFacts:
    """What the index says of a sample: no content, so that it may be shown of any source."""

    source: str
    task: str
    license: str
    access: str
    modality: str
    tokens: int
    loss_tokens: int
    pictures: int
    place: Place


@dataclass(frozen=True)
class SeenSample:
    """A sample's content: key, segments, how many tokens are not shown, pictures as data URLs; or what is wrong."""

    key: str
    segments: tuple[Segment, ...] = ()
    more_tokens: int = 0
    pictures: tuple[str, ...] = ()
    fault: str = ""


def facts_of(index: Index, policy: ImagePolicy, numbers: Sequence[int]) -> list[SampleFacts]:
    """The facts of the samples with these numbers in the index; tokens include those of pictures."""
    rows = [row for number in numbers for row in index.rows(number, number + 1).to_pylist()]
    facts = []
    for row in rows:
        pictures = int(_picture_tokens(row["images"], policy).sum())
        place = Place(row["shard"], row["offset"], row["size"], row["tokens"] + pictures)
        facts.append(
            SampleFacts(
                source=row["source"],
                task=row["task"],
                license=row["license"],
                access=row["access"],
                modality=row["modality"],
                tokens=place.tokens,
                loss_tokens=row["loss_tokens"],
                pictures=len(row["images"]),
                place=place,
            )
        )
    return facts


def seen(folder: Folder, manifest: Manifest, facts: SampleFacts, policy: ImagePolicy) -> SeenSample:
    """Read one sample out of its shard and render it. Whatever is wrong with it is told, never raised."""
    shard = manifest.every_shard[facts.place.shard].name
    if facts.place.size > MAX_SAMPLE_BYTES:
        return SeenSample("", fault=f"{facts.place.size} bytes: too large to be shown")
    if manifest.tokenizer != HARMONY:
        return SeenSample("", fault=f"its tokenizer is a file that is known by its digest only, not {HARMONY}")
    raw = _raw(folder, shard, facts.place)
    if isinstance(raw, BadSample):
        return SeenSample("", fault=raw.reason)
    try:
        content = SampleJson.model_validate_json(bytes(raw.json))
        sizes = [{"width": image.width, "height": image.height} for image in content.images]
        turns = [turn.model_dump() for turn in content.turns]
        rendered = render(turns, _picture_tokens(sizes, policy).tolist(), manifest.tokenizer)
        pictures = tuple(_small(bytes(picture)) for _, picture in raw.pictures)
    except (ValueError, OSError, RenderError, Image.DecompressionBombError) as error:
        return SeenSample(raw.key, fault=f"cannot be rendered ({type(error).__name__})")
    return SeenSample(raw.key, segments(rendered), max(0, len(rendered.ids) - MAX_TOKENS), pictures)


def _raw(folder: Folder, shard: str, place: Place) -> RawSample | BadSample:
    try:
        with folder.open(shard) as file:
            file.seek(place.offset)
            data = file.read(place.size)
    except OSError as error:
        return BadSample(shard, None, place.offset, f"{shard} cannot be read ({type(error).__name__})")
    if len(data) != place.size or not data:
        return BadSample(shard, None, place.offset, f"{shard} ends in the sample: truncated")
    return parsed(shard, place, memoryview(data))


def segments(rendered: Rendered, limit: int = MAX_TOKENS) -> tuple[Segment, ...]:
    """The first tokens as text, cut where loss begins or ends and around special tokens and pictures.

    A picture is told whole, and its tokens count as one.
    """
    decoder = harmony_tokenizer()
    found: list[Segment] = []
    starts = {start: stop for start, stop in rendered.pictures if stop > start}
    position = shown = 0
    while position < len(rendered.ids) and shown < limit:
        stop = starts.get(position)
        if stop is not None:
            found.append(Segment("picture", IMAGE, stop - position, loss=False))
            position, shown = stop, shown + 1
            continue
        number, loss = int(rendered.ids[position]), bool(rendered.loss[position])
        if number in _NAMES:
            found.append(Segment("special", _NAMES[number], 1, loss))
            position, shown = position + 1, shown + 1
            continue
        end = _end_of_text(rendered, position, min(len(rendered.ids), position + limit - shown), starts)
        text = decoder.decode(rendered.ids[position:end].tolist())
        found.append(Segment("text", text or "", end - position, loss))
        shown += end - position
        position = end
    return tuple(found)


def _end_of_text(rendered: Rendered, start: int, limit: int, pictures: dict[int, int]) -> int:
    end = start + 1
    while (
        end < limit
        and bool(rendered.loss[end]) == bool(rendered.loss[start])
        and int(rendered.ids[end]) not in _NAMES
        and end not in pictures
    ):
        end += 1
    return end


def spread(index: Index, shards: int, count: int) -> list[int]:
    """Numbers of samples to look at: of each source of the first so many shards about equally many, evenly spaced."""
    rows = index.table(["shard", "source"])
    shard_n = rows["shard"].to_numpy()
    usable = int(np.searchsorted(shard_n, shards))
    coded = coded_words(rows["source"].slice(0, usable))
    places = {word: np.flatnonzero(coded.codes == number) for number, word in enumerate(coded.words)}
    places = {word: own for word, own in places.items() if len(own)}
    each = max(1, count // max(1, len(places)))
    chosen = []
    for own in places.values():
        count_own = min(each, len(own))
        chosen += [int(own[int(step * len(own) / count_own)]) for step in range(count_own)]
    return chosen[:count]


def _picture_tokens(
    sizes: Sequence[dict[str, int]], policy: ImagePolicy
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    columns = [np.array([size[name] for size in sizes], np.int64) for name in ("width", "height")]
    return tokens_of(policy, *columns)


def _small(data: bytes) -> str:
    """A picture as a data URL, at most `SIDE` pixels long, in the 8 bits that a screen shows."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (SIDE, SIDE))
        small = image.convert("I") if image.mode.startswith("I") else image.convert("RGB")
        if small.mode == "I":
            pixels_HW = np.asarray(small, np.float64)
            low, high = float(pixels_HW.min()), float(pixels_HW.max())
            small = Image.fromarray(((pixels_HW - low) * (255 / max(high - low, 1))).astype(np.uint8))
        small.thumbnail((SIDE, SIDE))
        file = io.BytesIO()
        small.save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
