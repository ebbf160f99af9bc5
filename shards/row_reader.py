"""Packed rows out of samples: rendered, masked, side by side, each document counting its positions from 0."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from shards.encoders import TEXT_END, load_encoder
from shards.harmony import UNRENDERABLE, RenderError, render
from shards.image_tokens import tokens_of
from shards.loader_order import LoaderError
from shards.loader_pictures import decoded
from shards.loader_samples import BadSample, RawSample, SampleFault
from shards.plan_file import Place, PlanAbout, PlanRow, piece_tokens
from shards.samples import SampleJson

IGNORED = -100
"""The label of a token without a loss, as `torch.nn.functional.cross_entropy` and transformers spell it."""
Decode = Literal["pictures", "bytes"]
Replace = Literal["skip", "fail"]

_log = logging.getLogger("curate.loader")


@dataclass(frozen=True)
class PackedRow:
    """One row of n tokens.

    `ids` int64[n]. `labels` int64[n]: the id where a loss counts on this token as a target, else -100; they are not
    shifted (position i is compared with what the model says at i - 1, as transformers' losses do), and the first
    token of a document never has one. `position_ids` int64[n] begin at 0 in every document. `documents` int32[n]
    number the documents from 0. `picture_spans` are (start, stop) of the tokens of each picture, `pictures` these
    pictures: uint8 H x W x 3, or what the caller's function made of that, or the encoded bytes as uint8[bytes].
    `keys` are the documents' samples.
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    position_ids: NDArray[np.int64]
    documents: NDArray[np.int32]
    picture_spans: tuple[tuple[int, int], ...]
    pictures: tuple[Any, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True)
class RowSettings:
    """What is made of a sample, and what happens where one is bad.

    `picture` is applied to every decoded picture. `replace`: `skip` leaves a bad sample out of its row, and stops
    where more than `max_bad` follow one another; `fail` stops at the first.
    """

    decode: Decode = "pictures"
    picture: Callable[[NDArray[np.uint8]], Any] | None = None
    replace: Replace = "skip"
    max_bad: int = 16


@dataclass(frozen=True)
class _Document:
    ids: NDArray[np.int32]
    loss: NDArray[np.bool_]
    spans: Sequence[tuple[int, int]]
    pictures: Sequence[Any]
    key: str


@dataclass
class RowMaker:
    """Makes rows of one plan. It counts bad samples in the order it meets them."""

    about: PlanAbout
    tokenizer: str
    settings: RowSettings = field(default_factory=RowSettings)
    bad_in_a_row: int = 0

    def rows(
        self, planned: Sequence[PlanRow], samples: Iterable[RawSample | BadSample]
    ) -> tuple[list[PackedRow], list[BadSample]]:
        """The rows, as many as planned whatever is wrong, and what was left out. `samples` are those of all rows.

        Raises:
            LoaderError: a bad sample that is not to be left out, or too many of them in a row.
        """
        rows, bad = [], []
        coming = iter(samples)
        for row in planned:
            documents = []
            for sample in islice(coming, len(row.samples)):
                made = self._document(sample)
                if isinstance(made, BadSample):
                    bad.append(made)
                else:
                    documents.append(made)
            rows.append(_packed(documents) if documents else self._filler())
        return rows, bad

    def _document(self, sample: RawSample | BadSample) -> "_Document | BadSample":
        if isinstance(sample, RawSample):
            try:
                document = self._rendered(sample)
            except SampleFault as fault:
                sample = sample.bad(str(fault))
            else:
                self.bad_in_a_row = 0
                return document
        self.bad_in_a_row += 1
        if self.settings.replace == "fail":
            raise LoaderError(f"{sample}; leave such samples out with replace='skip'")
        _log.warning("%s; left out", sample)
        if self.bad_in_a_row > self.settings.max_bad:
            raise LoaderError(
                f"{sample}; {self.bad_in_a_row} bad samples in a row, at most {self.settings.max_bad} are left out "
                "(max_bad): `curate shards verify DIR` lists what is wrong"
            )
        return sample

    def _rendered(self, sample: RawSample) -> _Document:
        content = _content_of(sample)
        sizes = np.array([(image.width, image.height) for image in content.images], np.int64).reshape(-1, 2)
        tokens = tokens_of(self.about.images, sizes[:, 0], sizes[:, 1]).tolist() if len(sizes) else []
        turns = [{"role": turn.role, "text": turn.text} for turn in content.turns]
        try:
            rendered = render(turns, tokens, self.tokenizer)
        except RenderError:  # its message may quote the sample
            raise SampleFault(UNRENDERABLE) from None
        cut = self.about.cut and not content.images
        ids, loss = _planned_part(rendered.ids, rendered.loss, sample.place, self.about.context if cut else None)
        pictures = [
            self._picture(suffix, data, (image.width, image.height))
            for (suffix, data), image in zip(sample.pictures, content.images, strict=True)
        ]
        return _Document(ids, loss, rendered.pictures, pictures, sample.key)

    def _picture(self, suffix: str, data: memoryview, listed: tuple[int, int]) -> Any:
        if self.settings.decode == "bytes":
            return np.frombuffer(data, np.uint8)
        pixels = decoded(suffix, data)
        height, width, _ = pixels.shape
        if sorted((width, height)) != sorted(listed):
            raise SampleFault(f"{suffix}: {width} x {height} pixels, its JSON says {listed[0]} x {listed[1]}")
        return pixels if self.settings.picture is None else self.settings.picture(pixels)

    def _filler(self) -> PackedRow:
        """A row of which nothing is left: one token without a loss, so that every rank still has as many rows."""
        end = load_encoder(self.tokenizer).special[TEXT_END]
        return PackedRow(
            np.array([end], np.int64), np.array([IGNORED], np.int64), np.zeros(1, np.int64), np.zeros(1, np.int32),
            (), (), (),
        )  # fmt: skip


def _content_of(sample: RawSample) -> SampleJson:
    try:
        content = SampleJson.model_validate_json(bytes(sample.json))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in ("json", *first["loc"]))
        what = "not JSON" if first["type"] == "json_invalid" else "not what a sample has"
        raise SampleFault(f"{where}: {what}") from None
    if content.sample_id != sample.key:
        raise SampleFault("json.sample_id is another than the key")
    if [image.member for image in content.images] != [suffix for suffix, _ in sample.pictures]:
        raise SampleFault("its pictures are not those that its JSON lists")
    return content


def _planned_part(
    ids: NDArray[np.int32], loss: NDArray[np.bool_], place: Place, cut_to: int | None
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The tokens that the plan counts on: all, or a piece of a sample that was cut to the context."""
    stop = place.start + place.tokens
    piece = len(ids) if cut_to is None else piece_tokens(len(ids), cut_to)
    if place.start % max(1, piece) or stop != min(place.start + piece, len(ids)):
        raise SampleFault(
            f"{len(ids)} tokens, the plan says {place.tokens}: damaged, or the plan was made with another tokenizer "
            "or for other shards"
        )
    return ids[place.start : stop], loss[place.start : stop]


def _packed(documents: Sequence[_Document]) -> PackedRow:
    lengths = np.array([len(document.ids) for document in documents])
    starts = np.cumsum(lengths) - lengths
    ids = np.concatenate([document.ids for document in documents]).astype(np.int64)
    loss = np.concatenate([document.loss for document in documents])
    loss[starts] = False
    spans = [
        (int(start) + first, int(start) + last)
        for start, document in zip(starts, documents, strict=True)
        for first, last in document.spans
    ]
    return PackedRow(
        ids=ids,
        labels=np.where(loss, ids, IGNORED),
        position_ids=np.arange(len(ids), dtype=np.int64) - np.repeat(starts, lengths),
        documents=np.repeat(np.arange(len(documents), dtype=np.int32), lengths),
        picture_spans=tuple(spans),
        pictures=tuple(picture for document in documents for picture in document.pictures),
        keys=tuple(document.key for document in documents),
    )
