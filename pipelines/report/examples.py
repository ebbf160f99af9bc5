"""The contact sheet: a few samples of every reason, always the same ones of the same data.

Of sources that may tell of people neither text nor picture is read.
"""

import base64
import io
import unicodedata
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import polars as pl
from PIL import Image

from pipelines.report.parts import TableParts, read_columns
from pipelines.report.survey import READERS, Example, Survey
from pipelines.words import sentence
from sources.schema import IMAGE_PLACEHOLDER
from sources.storage import Folder

SHOWN = 6
"""Examples of one reason."""
SHOWN_KEPT = 12
THUMBNAIL_PX = 64
JPEG_QUALITY = 80
TURNS = 3
TURN_CHARACTERS = 160


@dataclass(frozen=True)
class Shown:
    """One sample of the contact sheet."""

    sample_id: str
    source: str
    task: str
    words: str
    """Why it was dropped or kept, as a sentence."""
    turns: tuple[tuple[str, str], ...]
    """Role and beginning of the text."""
    pictures: int
    thumbnail: str | None
    """A `data:` URI."""
    hidden: bool
    """Text and picture are not shown: the source may tell of people."""


def chosen(survey: Survey, reason: str) -> list[Example]:
    """The examples of a reason ("" of the kept): the smallest ids, the sources in turn."""
    found = [example for example in survey.examples if example.reason == reason]
    ranks: dict[str, int] = {}
    ordered = []
    for example in sorted(found, key=lambda one: (one.source, one.sample_id)):
        rank = ranks[example.source] = ranks.get(example.source, -1) + 1
        ordered.append((rank, example.sample_id, example))
    return [example for _, _, example in sorted(ordered)[: SHOWN if reason else SHOWN_KEPT]]


def contact_sheet(
    run: Folder, parts: Sequence[TableParts], survey: Survey, private: Collection[str]
) -> dict[str, list[Shown]]:
    """Reason ("" of the kept) -> its examples."""
    reasons = sorted({example.reason for example in survey.examples})
    wanted = {reason: chosen(survey, reason) for reason in reasons}
    everything = [example for examples in wanted.values() for example in examples]
    open_ones = [example for example in everything if example.source not in private]
    with ThreadPoolExecutor(READERS) as pool:

        def rows(table: str, columns: Sequence[str], key: str, ids: dict[int, set[str]]) -> dict[str, dict[str, Any]]:
            def read(number: int) -> list[dict[str, Any]]:
                frame = read_columns(run, getattr(parts[number], table), columns)
                return frame.filter(pl.col(key).is_in(ids[number])).to_dicts()

            return {row[key]: row for found in pool.map(read, sorted(ids)) for row in found}

        ledger = rows("ledger", LEDGER_COLUMNS, "sample_id", _by_part(everything))
        texts = rows("samples", ("sample_id", "turns"), "sample_id", _by_part(open_ones))
        thumbnails = rows("images", ("image_id", "thumbnail"), "image_id", _pictures_by_part(open_ones))
    return {
        reason: [_shown(example, ledger, texts, thumbnails, example.source in private) for example in examples]
        for reason, examples in wanted.items()
    }


LEDGER_COLUMNS = ("sample_id", "step", "verdict", "reason", "score", "threshold")


def _by_part(examples: Sequence[Example]) -> dict[int, set[str]]:
    ids: dict[int, set[str]] = {}
    for example in examples:
        ids.setdefault(example.part, set()).add(example.sample_id)
    return ids


def _pictures_by_part(examples: Sequence[Example]) -> dict[int, set[str]]:
    ids: dict[int, set[str]] = {}
    for example in examples:
        if example.image_id is not None:
            ids.setdefault(example.image_part, set()).add(example.image_id)
    return ids


def _shown(
    example: Example,
    ledger: dict[str, dict[str, Any]],
    texts: dict[str, dict[str, Any]],
    thumbnails: dict[str, dict[str, Any]],
    hidden: bool,  # noqa: FBT001 - a fact about the sample
) -> Shown:
    turns = texts.get(example.sample_id, {}).get("turns") or []
    picture = thumbnails.get(example.image_id or "", {}).get("thumbnail")
    return Shown(
        sample_id=example.sample_id,
        source=example.source,
        task=example.task,
        words=sentence(ledger[example.sample_id]),
        turns=tuple((turn["role"], excerpt(turn["text"])) for turn in turns[:TURNS]),
        pictures=example.pictures,
        thumbnail=None if picture is None else data_uri(picture),
        hidden=hidden,
    )


def excerpt(text: str, characters: int = TURN_CHARACTERS) -> str:
    """The beginning of a text in one line, without the placeholders of pictures and without control characters."""
    head = text[: 8 * characters].replace(IMAGE_PLACEHOLDER, " ")
    line = " ".join("".join(char if unicodedata.category(char) not in _CONTROLS else " " for char in head).split())
    return line if len(line) <= characters else f"{line[: characters - 1].rstrip()}…"


_CONTROLS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""What no page should be given: among them the characters that turn the direction of the text around them."""


def data_uri(thumbnail: bytes) -> str:
    """A thumbnail of the images table as a JPEG that a page can hold."""
    file = io.BytesIO()
    Image.frombytes("L", (THUMBNAIL_PX, THUMBNAIL_PX), thumbnail).save(file, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
