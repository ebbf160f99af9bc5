"""Writing shards: sizes of the kept samples, the tars they are cut into, and each tar as one unit of work."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa

from filters.measure import image_id_of
from filters.tokens import TokenCounts
from pipelines.energon import shard_parts
from pipelines.packing import index_part
from pipelines.phi.pictures import TREATED, treated, treatments_of
from pipelines.session import Session, locate
from pipelines.view import View, alive_rows, read_samples, required
from pipelines.work import Commit, Part, key_of
from shards.index_rows import IndexRows
from shards.members import MemberRows
from shards.samples import PictureFacts, ShardSample, json_bounds, sample_json, shard_sample
from shards.slices import ShardSlice
from shards.tar import member_bytes
from shards.writer import write_shard
from sources.pictures import render
from sources.records import ChangedInputError, Corpus
from sources.schema import SAMPLES

SIZES = "sizes"
SHARD = "write"
VERSION = 5
UNCHANGED_FORMATS = {"jpeg": "jpg", "png": "png"}
"""Source formats that go into shards byte for byte; all others are rendered as PNG."""
PNG_OVERHEAD_BYTES = 4096
"""Room for the headers and the incompressible case of a rendered picture."""


@dataclass(frozen=True)
class SizesTask:
    """Computes how much room each kept sample of a fragment takes in a tar at most."""

    view: View
    number: int

    @property
    def label(self) -> str:
        """Step and fragment."""
        return f"{SIZES} {self.number}"

    def run(self, session: Session) -> Commit:
        """Commit `sizes`: one row per kept sample, in order."""
        work, view = session.work, self.view
        bits = session.recipe.shards.dicom_bits
        key = key_of(SIZES, VERSION, view.digests(SAMPLES.names, "images", "tokens", TREATED), bits)
        found = work.find(SIZES, key)
        if found is not None:
            return found
        samples = read_samples(work, view, alive_rows(work, view), SAMPLES.names)
        pictures = {
            image_id: member_bytes(_stored_bytes(image, bits)) for image_id, image in _images(session, view).items()
        }
        sizes = [
            member_bytes(text) + sum(pictures[image["image_id"]] for image in images or ())
            for text, images in zip(json_bounds(samples), samples["images"].to_pylist(), strict=True)
        ]
        return work.put(SIZES, key, {"sizes": pa.table({"bytes": pa.array(sizes, pa.int64())})})


@dataclass(frozen=True)
class ShardTask:
    """Writes one tar."""

    corpus: int
    views: tuple[View, ...]
    """Of the fragments the slice speaks of, in its order."""
    shard: ShardSlice
    attempt: int = 0

    @property
    def label(self) -> str:
        """What is written."""
        return f"{SHARD} of {self.shard.samples} samples"

    def run(self, session: Session) -> Commit:
        """Commit the tar; its summary stands in the commit's facts."""
        work = session.work
        ranges = [(part.start, part.stop) for part in self.shard.parts]
        digests = [view.digests(SAMPLES.names, "images", "tokens", TREATED) for view in self.views]
        tokenizer = TokenCounts(session.recipe.tokenizer).parameters()
        key = key_of(SHARD, VERSION, digests, ranges, _rendering(session), tokenizer)
        found = work.find(SHARD, key)
        if found is not None:
            return found
        path = work.path(SHARD, key, "tar")
        members, rows = MemberRows(), IndexRows(session.recipe.tokenizer)

        def written(sample: ShardSample, offset: int, size: int) -> None:
            members.add(sample)
            rows.add(sample.json, offset, size)

        with work.folder.writing(path, last=False) as file:
            summary = write_shard(file, self._samples(session), written)
        part = Part(path, summary.sha256, summary.samples, summary.bytes)
        parts = {"tar": part, **shard_parts(work, SHARD, key, members), **index_part(work, SHARD, key, rows)}
        return work.commit(SHARD, key, parts, asdict(summary))

    def again(self) -> "ShardTask":
        """The task after it killed a worker: perhaps by a record that ingest quarantined, and that is read again."""
        return replace(self, attempt=self.attempt + 1)

    def _samples(self, session: Session) -> Iterator[ShardSample]:
        for view, part in zip(self.views, self.shard.parts, strict=True):
            images = _images(session, view)
            located = locate(session, view.corpus, view.fragment, self.attempt)
            kept = list(_kept(session, view))[part.start : part.stop]
            order = [
                (image["uri"], images[image["image_id"]]["bytes"]) for row, _ in kept for image in row["images"] or ()
            ]
            with located.opening(order) as open_image:
                for row, tokens in kept:
                    content = _content(row, tokens, images)
                    data = [_bytes(session, located.corpus, open_image, image, images) for image in row["images"] or ()]
                    yield shard_sample(content, data)


def _kept(session: Session, view: View) -> Iterator[tuple[dict[str, Any], int]]:
    """The kept samples of a fragment in order, each with its token count."""
    rows = alive_rows(session.work, view)
    samples = read_samples(session.work, view, rows, SAMPLES.names)
    tokens = required(session.work.read(view.parts["tokens"]), rows, "token count")["tokens"].to_pylist()
    return zip(samples.to_pylist(), tokens, strict=True)


def _images(session: Session, view: View) -> dict[str, dict[str, Any]]:
    """What the images table says of the fragment's pictures, by id."""
    columns = ["image_id", "width", "height", "modality", "format", "bytes", "channels", "bit_depth"]
    images = {row["image_id"]: row for row in session.work.read(view.parts["images"], columns).to_pylist()}
    for image_id, treatment in treatments_of(session, view).items():
        anew = {"format": "png stored anew"} if treatment["anew"] else {}
        images[image_id] |= {"treatment": treatment, **anew}
    return images


def _content(row: Mapping[str, Any], tokens: int, images: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    facts = [images[image["image_id"]] for image in row["images"] or ()]
    pictures = [
        PictureFacts(
            fact["image_id"], fact["width"], fact["height"], fact["modality"],
            UNCHANGED_FORMATS.get(fact["format"], "png"),
        )
        for fact in facts
    ]  # fmt: skip
    return sample_json(row, tokens, pictures)


def _stored_bytes(image: Mapping[str, Any], bits: int) -> int:
    """The size of a picture's member; of a rendered one, the most it can be."""
    if image["format"] in UNCHANGED_FORMATS:
        return int(image["bytes"])
    depth = 2 if bits == 16 and image["bit_depth"] > 8 else 1
    height = int(image["height"])
    raw = int(image["width"]) * height * int(image["channels"]) * depth
    return raw + raw // 1000 + height + PNG_OVERHEAD_BYTES


def _rendering(session: Session) -> int | list[int | str]:
    """How pictures that are no JPEG or PNG are rendered: bits, and the windows of CT where they are not the files'."""
    bits, windows = session.recipe.shards.dicom_bits, session.recipe.steps.measure.ct_windows
    return bits if windows == "header" else [bits, windows]


def _bytes(
    session: Session,
    corpus: Corpus,
    open_image: Callable[[str], bytes],
    image: Mapping[str, Any],
    images: Mapping[str, dict[str, Any]],
) -> bytes:
    """The picture's bytes as the shard holds them.

    Raises:
        ChangedInputError: the file is not the one that was measured.
    """
    data = open_image(image["uri"])
    if image_id_of(data, image["frame"]) != image["image_id"]:
        raise ChangedInputError(
            f"source {corpus.name}: a picture changed while the build was running; run the same command again"
        )
    treatment = images[image["image_id"]].get("treatment")
    if treatment is not None:
        return treated(session, data, image["frame"], treatment)
    stored, _ = render(data, image["frame"], session.recipe.steps.measure.limits, session.recipe.shards.dicom_bits)
    return stored
