"""Exact duplicates: the same pictures with the same text, and the same text alone."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import blake3
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from dedup.kernels.characters import UNASSIGNED_FROM
from dedup.keys import KEY_BYTES, KEYS
from filters.verdicts import decided
from sources.schema import ACCESS, IMAGE_PLACEHOLDER, Reason, Verdict

PROMPTED_TASKS = frozenset({"caption", "report"})
"""Tasks whose user turn is a prompt that the recipe chose by sample id: it says nothing about equality."""

_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_MOST_MARKS = 30
"""In a row, as in Unicode's Stream-Safe Text Format (UAX #15, section 13): NFKC takes quadratic time to order them."""
_JOINER = "\u034f"


class Exact:
    """Drops a sample whose pictures *and* text equal those of another; without pictures, whose text does.

    Pictures are equal where their decoded pixels are, text where its normal form is (`normalise`). One
    picture with two questions is two samples, one normal report under two films is two samples. Of a group
    the sample with the most open access survives, then the earliest in the recipe's order of sources, then the
    one with the smallest id: the order of records in a corpus does not count.
    """

    name = "exact"
    version = 2
    columns = ("sample_id", "task", "turns", "images", "question", "access")

    def parameters(self) -> dict[str, object]:
        """Nothing to choose."""
        return {}

    def keys(self, samples: pa.Table, rows: pa.Array, facts: Mapping[str, pa.Table]) -> pa.Table:
        """KEYS of the given samples; `rows` are their numbers in the fragment."""
        pixels = _pixel_hashes(facts["images"])
        digests = [
            _digest([pixels[image["image_id"]] for image in sample["images"] or ()], comparable_text(sample))
            for sample in samples.select(["task", "turns", "images", "question"]).to_pylist()
        ]
        ranks = pc.index_in(samples["access"], pa.array(ACCESS)).combine_chunks()
        ids = [bytes.fromhex(sample_id) for sample_id in samples["sample_id"].to_pylist()]
        columns = [
            pa.array(digests, pa.binary(KEY_BYTES)),
            ranks,
            rows.cast(pa.int32()),
            pa.array(ids, pa.binary(16)),
        ]
        return pa.table(columns, schema=KEYS)

    def decide(self, samples: pa.Table, rows: pa.Array, answers: pa.Table) -> pa.Table:
        """VERDICTS of the same samples from the exchange's FOLLOWERS of this fragment."""
        leaders = dict(zip(answers["row"].to_pylist(), answers["leader"].to_pylist(), strict=True))
        with_images = pc.greater(pc.fill_null(pc.list_value_length(samples["images"]), 0), 0).to_pylist()
        verdicts, reasons, evidence = [], [], []
        for row, has_image in zip(rows.to_pylist(), with_images, strict=True):
            leader = leaders.get(row)
            verdicts.append(Verdict.KEEP if leader is None else Verdict.DROP)
            duplicate = Reason.EXACT_IMAGE_TEXT if has_image else Reason.EXACT_TEXT
            reasons.append(None if leader is None else duplicate)
            evidence.append(None if leader is None else orjson.dumps({"kept": leader.hex()}).decode())
        return decided(np.array(verdicts, object), np.array(reasons, object), evidence=evidence)


def comparable_text(sample: Mapping[str, Any]) -> str:
    """What of a sample's text counts when it is compared with others: everything but the recipe's prompts."""
    turns = sample["turns"] or ()
    if sample["task"] in PROMPTED_TASKS:
        parts = [sample["question"] or "", *(turn["text"] for turn in turns if turn["role"] != "user")]
    else:
        parts = [f"{turn['role']}: {turn['text']}" for turn in turns]
    return normalise("\n".join(parts).replace(IMAGE_PLACEHOLDER, " "))


def normalise(text: str) -> str:
    """Unicode NFKC, without invisible characters, case-folded, white space as single blanks.

    Numbers, signs and punctuation stay: "3 cm" is not "8 cm". Of more than 30 marks in a row, which no writing has,
    each 30 are put in order by themselves.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _stream_safe(text)).translate(_INVISIBLE)
    return " ".join(text.split()).casefold()


def _stream_safe(text: str) -> str:
    """The text with a joiner, which is no mark, after each 30 marks in a row that more follow."""
    mark, long_run = _marks()
    if mark.search(text[::_MOST_MARKS]) is None:  # of 30 in a row one stands there
        return text
    return long_run.sub(rf"\g<0>{_JOINER}", text)


@cache
def _marks() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A mark: what becomes one, or begins with one, once it is taken apart. And 30 of them before another one.

    Made once a process (about 0.1 s).
    """
    every = map(chr, range(UNASSIGNED_FROM))
    marks = "".join(one for one in every if unicodedata.combining(unicodedata.normalize("NFKD", one)[0]))
    return re.compile(f"[{marks}]"), re.compile(f"[{marks}]{{{_MOST_MARKS}}}(?=[{marks}])")


def _pixel_hashes(images: pa.Table) -> dict[str, str]:
    """image_id -> hash of the decoded pixels, or the id itself where pixels were not hashed."""
    ids, hashes = images["image_id"].to_pylist(), images["pixel_hash"].to_pylist()
    return {image_id: pixels or image_id for image_id, pixels in zip(ids, hashes, strict=True)}


def _digest(pixels: Sequence[str], text: str) -> bytes:
    parts = [*pixels, text]
    message = b"".join(len(part := p.encode("utf-8", "replace")).to_bytes(8, "little") + part for p in parts)
    return blake3.blake3(message).digest()[:KEY_BYTES]
