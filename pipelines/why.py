"""Why a sample is, or is not, in the shards: its ledger, in words."""

from pathlib import Path
from typing import Any

import polars as pl

from pipelines.beside import kept_beside
from pipelines.errors import UsageError
from pipelines.run_directory import read_run
from pipelines.tables import scan
from pipelines.takedown.record import read_record
from pipelines.words import evidence, sentence
from sources.identity import Identity, read_site_key
from sources.storage import Folder


def explain(run: Folder, wanted: str, id_key: Path | None = None) -> list[dict[str, Any]]:
    """Everything the run says of a sample id, or of all samples with a source key.

    With the site key, a raw source key of a keyed source is found too.

    Raises:
        UsageError: no such run, or nothing by that name.
    """
    read_run(run)
    names = [wanted]
    if id_key is not None:
        names.append(Identity("", read_site_key(id_key)).name("key", wanted))
    samples = scan(run, "samples")
    key = pl.col("source_key")
    rows = samples.filter(pl.col("sample_id").is_in(names) | key.is_in(names)).collect(engine="streaming").to_dicts()
    if not rows:
        raise UsageError(
            f"{run.place}: no sample has the id or source key {wanted!r}"
            if id_key is None
            else f"{run.place}: no such sample",
            "a sample id is 32 hex digits, a source key `file#record`; for keyed sources pass --id-key",
        )
    return [_explained(run, row) for row in rows]


def _explained(run: Folder, sample: dict[str, Any]) -> dict[str, Any]:
    ledger = scan(run, "ledger")
    found = ledger.filter(pl.col("sample_id") == sample["sample_id"]).collect(engine="streaming").to_dicts()
    verdicts = [
        {
            "step": row["step"],
            "verdict": row["verdict"],
            "reason": row["reason"],
            "score": row["score"],
            "threshold": row["threshold"],
            "evidence": evidence(row),
            "words": sentence(row),
        }
        for row in found
    ]
    last = verdicts[-1]
    names = ("sample_id", "source", "source_key", "split", "task", "license", "access", "groups", "parent_id")
    return {
        **{name: sample[name] for name in names},
        "images": _images(run, sample),
        "verdict": last["verdict"],
        "reason": last["reason"],
        "removed": sample["sample_id"] in read_record(run).samples,
        "verdicts": verdicts,
        "kept": kept_beside(run, sample, verdicts),
    }


def _images(run: Folder, sample: dict[str, Any]) -> list[dict[str, Any]]:
    """The sample's pictures as the images table has them; one that was not decoded has only its name."""
    wanted = [image["image_id"] for image in sample["images"] or () if image["image_id"]]
    images = scan(run, "images")
    columns = ["image_id", "width", "height", "bit_depth", "format", "modality"]
    known = images.filter(pl.col("image_id").is_in(wanted)).select(columns).collect(engine="streaming")
    by_id = {row["image_id"]: row for row in known.to_dicts()}
    return [{**image, **by_id.get(image["image_id"], {})} for image in sample["images"] or ()]
