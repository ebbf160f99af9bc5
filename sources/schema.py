"""The canonical tables, verdicts and reasons: exact names, shared by every folder and by other programs.

docs/run_directory.md says what each reason means.
"""

from enum import StrEnum

import pyarrow as pa

FORMAT_VERSION = 1

ACCESS = ("open", "noncommercial", "gated", "credentialed")
TASKS = ("caption", "report", "vqa", "text_qa", "dialogue", "reasoning", "instruct", "text")
MODALITIES = (
    "xray", "ct", "mri", "ultrasound", "histopathology", "microscopy", "oct", "pet", "dermoscopy",
    "endoscopy", "fundus", "photo", "other_medical", "not_medical", "unknown",
)  # fmt: skip
IMAGE_PLACEHOLDER = "<image>"
UNKNOWN_LICENSE = "unknown"


class Verdict(StrEnum):
    """What a step decided about a sample. `edit` counts as kept."""

    KEEP = "keep"
    EDIT = "edit"
    DROP = "drop"
    QUARANTINE = "quarantine"


class Reason(StrEnum):
    """Why: stable tokens of the ledger. A step of others adds its own under its own prefix."""

    IMAGE_MISSING = "image.missing"
    IMAGE_UNDECODABLE = "image.undecodable"
    IMAGE_TOO_SMALL = "image.too_small"
    IMAGE_BOMB = "image.bomb"
    IMAGE_BLANK = "image.blank"
    RECORD_MALFORMED = "record.malformed"
    RECORD_EMPTY = "record.empty"
    RECORD_ENCODING = "record.encoding"
    RECORD_SPLIT = "record.split"
    MODALITY_UNWANTED = "modality.unwanted"
    MODALITY_NOT_MEDICAL = "modality.not_medical"
    MODALITY_COMPOUND = "modality.compound"
    QUALITY_SMALL = "quality.small"
    QUALITY_ASPECT = "quality.aspect"
    QUALITY_LOW_INFORMATION = "quality.low_information"
    QUALITY_PLACEHOLDER = "quality.placeholder"
    QUALITY_SCREENSHOT = "quality.screenshot"
    QUALITY_WATERMARK = "quality.watermark"
    QUALITY_ANSWER_EMPTY = "quality.answer_empty"
    QUALITY_ANSWER_REPEATS = "quality.answer_repeats"
    QUALITY_ANSWER_NO_OPTION = "quality.answer_no_option"
    QUALITY_LABEL_ONLY = "quality.label_only"
    QUALITY_BOILERPLATE = "quality.boilerplate"
    QUALITY_MOJIBAKE = "quality.mojibake"
    QUALITY_MARKUP = "quality.markup"
    QUALITY_REPEATED = "quality.repeated"
    QUALITY_LANGUAGE = "quality.language"
    QUALITY_AGREEMENT = "quality.agreement"
    PHI_HEADER = "phi.header"
    PHI_BURNED_IN = "phi.burned_in"
    PHI_TEXT = "phi.text"
    PHI_REVIEWED = "phi.reviewed"
    LICENSE_FORBIDDEN = "license.forbidden"
    ACCESS_FORBIDDEN = "access.forbidden"
    TOKENS_TOO_SHORT = "tokens.too_short"
    TOKENS_TOO_LONG = "tokens.too_long"
    EXACT_IMAGE_TEXT = "exact.image_text"
    EXACT_TEXT = "exact.text"
    NEAR_TEXT = "near.text"
    NEAR_IMAGE_TEXT = "near.image_text"
    LEAK_EXACT = "leak.exact"
    LEAK_REENCODED = "leak.reencoded"
    LEAK_PARTIAL = "leak.partial"
    LEAK_NEAR_TEXT = "leak.near_text"
    LEAK_PARAPHRASE = "leak.paraphrase"
    LEAK_SAME_GROUP = "leak.same_group"
    LEAK_PROVENANCE = "leak.provenance"


TURN = pa.struct([pa.field("role", pa.string()), pa.field("text", pa.string())])
IMAGE_REF = pa.struct([pa.field("image_id", pa.string()), pa.field("uri", pa.string()), pa.field("frame", pa.int32())])
GROUP = pa.struct([pa.field("kind", pa.string()), pa.field("id", pa.string())])

SAMPLES = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_key", pa.string(), nullable=False),
        pa.field("split", pa.string()),
        pa.field("task", pa.string(), nullable=False),
        pa.field("turns", pa.list_(TURN)),
        pa.field("images", pa.list_(IMAGE_REF)),
        pa.field("groups", pa.list_(GROUP)),
        pa.field("license", pa.string(), nullable=False),
        pa.field("access", pa.string(), nullable=False),
        pa.field("language", pa.string()),
        pa.field("question", pa.string()),
        pa.field("options", pa.list_(pa.string())),
        pa.field("answer", pa.string()),
        pa.field("parent_id", pa.string()),
        pa.field("meta", pa.string()),
    ]
)
"""One row per ingested sample, whatever its verdict. `image_id` is null until measure has read the picture."""

IMAGES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("pixel_hash", pa.string()),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("bit_depth", pa.int16(), nullable=False),
        pa.field("channels", pa.int8(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("frames", pa.int32(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("thumbnail", pa.binary()),
        pa.field("mean", pa.float32()),
        pa.field("std", pa.float32()),
        pa.field("minimum", pa.float32()),
        pa.field("maximum", pa.float32()),
        pa.field("entropy", pa.float32()),
        pa.field("modality", pa.string(), nullable=False),
        pa.field("modality_from", pa.string(), nullable=False),
        pa.field("facts", pa.string()),
        pa.field("flags", pa.list_(pa.string())),
        pa.field("pdq", pa.binary(32)),
        pa.field("pdq_canonical", pa.binary(32)),
        pa.field("pdq_turned", pa.binary(7 * 32)),
        pa.field("pdq_quality", pa.int16()),
        pa.field("pdq_waves", pa.binary(2 * 64)),
        pa.field("phash", pa.binary(8)),
        pa.field("embedding", pa.binary()),
        pa.field("modality_scores", pa.string()),
        pa.field("modality_score", pa.float32()),
        pa.field("modality_kind", pa.string()),
        pa.field("modality_evidence", pa.string()),
        pa.field("panels", pa.int16()),
        pa.field("levels", pa.int16()),
        pa.field("marks", pa.int32()),
        pa.field("ruled", pa.float32()),
        pa.field("watermarked", pa.float32()),
    ]
)
"""One row per distinct picture that decodes.

`bytes` is the size of the source file; `thumbnail` 64 x 64 grey bytes, row by row, null for
sources on whose pictures writing is sought; `mean`, `std`, `minimum`
and `maximum` grey levels scaled to 0..255; `entropy` bits of the 256-bin grey histogram; `facts` JSON of the
allow-listed DICOM header facts; `modality_from` is `dicom`, `card`, `model`, `text` or `none`. `pdq` is the PDQ-256
hash in the byte order of its usual hexadecimal form, `pdq_canonical` that of the picture without borders and with
ranks for levels, `pdq_turned` the latter for the seven mirrored and turned pictures, `pdq_quality` 0..100,
`pdq_waves` the strengths of the 8 x 8 lowest frequencies of both as signed bytes; `phash` is `imagehash.phash`, first
bit first. All are null unless near-duplicates are sought by them. `embedding` holds 16-bit floats of the model that
the recipe's `modality` step names, `modality_scores` JSON of its own probabilities where it has them;
`modality_score` is the probability of `modality`, `modality_kind` a finer class, `modality_evidence` JSON of what spoke
for what, `panels` the parts between gutters. All are null without that step. `levels`, `marks` and `ruled` tell what a
program drew (`filters/drawn.py`), `watermarked` the share of it under half-transparent marks
(`filters/watermark.py`; a network's answer, which another kind of processor may give one cell more or less), for the
step `quality`.
"""

VERDICTS = pa.schema(
    [
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("score", pa.float64()),
        pa.field("threshold", pa.float64()),
        pa.field("evidence", pa.string()),
    ]
)
"""What a step answers: one row per sample it was given, in the same order. `evidence` is JSON or null."""

LEDGER = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("step", pa.string(), nullable=False),
        *VERDICTS,
        pa.field("step_fingerprint", pa.string(), nullable=False),
    ]
)
"""One row per sample and step that saw it."""
