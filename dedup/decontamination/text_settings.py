"""What the text channel may be told, and the columns of its hits."""

import pyarrow as pa
from pydantic import Field

from sources.cards import Strict


class TextSettings(Strict):
    """Thresholds of the text channel; what was measured with the defaults is in docs/decontamination_text.md."""

    short_tokens: int = Field(default=8, ge=3)
    """A question of fewer tokens must be there whole, and is evidence only with its picture, group or answer."""
    nominate: float = Field(default=0.15, gt=0, le=1)
    """Share of the weight of a text's rare runs of three words that a window of a document must hold to be aligned."""
    run_tokens: int = Field(default=13, ge=5)
    """Tokens in a row that both texts must have for a passage to be shared."""
    run_share: float = Field(default=0.35, ge=0, le=1)
    """Share of a question's tokens that the run must cover."""
    answer_reach: int = Field(default=60, ge=0)
    """Tokens before and after the question in which its answer is sought (at least the question's own length)."""
    max_items: int = Field(default=8, ge=1)
    """A text that more items have is generic: it is evidence only with the item's picture or group."""
    paraphrase: bool = True
    paraphrase_cosine: float = Field(default=0.25, gt=0, le=1)
    """Weighted word cosine from which a reworded question is confirmed by the answer that the sample states."""
    paraphrase_beside: float = Field(default=0.35, gt=0, le=1)
    """The same where the sample states no answer, or a long one, and the item's is somewhere beside the wording."""
    paraphrase_weak: float = Field(default=0.35, gt=0, le=1)
    """The same with an answer of numerals alone, or where the sample's answer is a statement of the question."""
    paraphrase_alone: float = Field(default=0.6, gt=0, le=1)
    """The same without any answer."""
    paraphrase_otherwise: float = Field(default=0.85, gt=0, le=1)
    """The same where item and sample each state an answer, and another."""


TEXT_HITS = pa.schema(
    [
        pa.field("row", pa.int32(), nullable=False),
        pa.field("item", pa.int32(), nullable=False),
        pa.field("grade", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("alone", pa.bool_(), nullable=False),
        pa.field("answer", pa.bool_(), nullable=False),
        pa.field("question", pa.bool_(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("span_start", pa.int32(), nullable=False),
        pa.field("span_stop", pa.int32(), nullable=False),
        pa.field("item_field", pa.string(), nullable=False),
        pa.field("item_start", pa.int32(), nullable=False),
        pa.field("item_stop", pa.int32(), nullable=False),
        pa.field("evidence", pa.string(), nullable=False),
    ]
)
"""One row per sample and item, the strongest that was found, sorted by `row`, then `item`.

`row` is the sample's row among those given. `alone`: it is a finding by itself; where it is not, only with the item's
picture or group, or, where `answer`, with that. `answer`: an answer of the item that says something is near it (yes,
no, numbers, sides and words that every text has say nothing). `question`: the question itself is there. The spans are
code points of the sample's `field` ("turns.3", "question", "answer", "meta") and of the item's `item_field`
("question", "context", "rationale", "text", "answer"). `evidence` is JSON of scores and of spans of differing tokens,
empty for all but the 64 strongest of a sample.

A text that more than `max_items` items have gives one row, with the first of them as `item`: `TextIndex.alike` says
which item stands for which.
"""
