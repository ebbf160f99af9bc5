"""What outsiders may see of an audit: ids, salted hashes, scores and spans; no text and no pixels of either side."""

import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import orjson
import pyarrow as pa

from dedup.decontamination.findings import Channel
from pipelines.audit.report.evidence import LISTED, Told, by_strength, facts, in_turn, text_evidence
from pipelines.audit.report.sides import Sides

HASH_DIGITS = 32
PUBLIC = ("format", "curate", "verdict", "reasons", "policy", "shards", "items", "leaked_items", "findings", "listed",
          "eval_sets", "sources", "unread", "not_covered", "calibration", "probes", "residual",
          "residual_assumes")  # fmt: skip
"""Parts of the document that hold counts, names of sets and sources, and hashes."""
BY_SOURCE = ("sources", "unread")
SENTENCES = ("reasons", "not_covered")
RUN = "shards"
"""The form of data whose sources are named by a recipe, not after files."""


def salt_of(document: bytes) -> str:
    """The salt of an audit's public page, from its `contamination.json`: another for each audit, no secret."""
    return sha256(b"salt of a public page\0" + document).hexdigest()[:HASH_DIGITS]


def salted(salt: str, text: str) -> str:
    """32 hex digits of HMAC-SHA256 under the salt."""
    return hmac.new(salt.encode(), text.encode("utf-8", "surrogatepass"), sha256).hexdigest()[:HASH_DIGITS]


def public_sources(document: Mapping[str, Any]) -> dict[str, str]:
    """What outsiders read for each source: its name in a run; else, where it is called after a file, `data 1` ..."""
    others = [name for place in document["data"] if place["form"] != RUN for name in place["sources"]]
    called = {name: f"data {number}" for number, name in enumerate(others, start=1)}
    return {**{name: name for name in document["sources"]}, **called}


def public_document(document: Mapping[str, Any], salt: str) -> dict[str, Any]:
    """The document without names of files, without who accepted what and why, and without places."""
    accepted, names = document["accepted"], public_sources(document)
    return {
        **{name: document[name] for name in PUBLIC if name in document},
        **{name: {names.get(key, key): value for key, value in document[name].items()} for name in BY_SOURCE},
        **{name: _renamed(document[name], document["data"], names) for name in SENTENCES},
        "policy": {**document["policy"], "against": sorted(document["eval_sets"])},
        "accepted": None if accepted is None else {**accepted, "reason": None, "who": None, "unknown": []},
        "missing": [{**one, "fetch": ""} for one in document["missing"]],
        "data": [_place(place, salt, number, names) for number, place in enumerate(document["data"], start=1)],
    }


def _renamed(reasons: Sequence[str], places: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[str]:
    """Reasons that begin with a source or a place, and a colon."""
    called = {f"source {name}": f"source {told}" for name, told in names.items()}
    for number, place in enumerate(places, start=1):
        called[place["name"]] = place["name"] if place["form"] == RUN else f"data {number}"
    parts = [reason.partition(": ") for reason in reasons]
    return [f"{called.get(start, start)}{colon}{rest}" for start, colon, rest in parts]


def public_told(
    findings: pa.Table, sides: Sides, accepted: Collection[str], salt: str, names: Mapping[str, str]
) -> list[Told]:
    """The findings that are on the page; hashes only of sides that are not hidden.

    `names` are those of `public_sources`.
    """
    found = []
    for row in in_turn(findings, LISTED):
        told = {
            name: row[name] for name in ("finding_id", "grade", "channel", "eval_set", "eval_id", "sample_id", "score")
        }
        source = names.get(row["source"], row["source"])
        one = Told(**told, source=source, accepted=row["finding_id"] in accepted, facts=())
        found.append(replace(one, facts=(*_facts(row, salt), *_spans(row, sides, salt)), full=False))
    return by_strength(found)


def _facts(row: Mapping[str, Any], salt: str) -> tuple[str, ...]:
    """As on the internal page, but what identifies a group is hashed."""
    if row["channel"] != Channel.GROUP:
        return facts(row)
    evidence = orjson.loads(row["evidence"] or b"{}")
    named = {**evidence, "id": f"hash {salted(salt, str(evidence.get('id')))}"}
    return facts({**row, "evidence": orjson.dumps(named)})


def _spans(row: Mapping[str, Any], sides: Sides, salt: str) -> tuple[str, ...]:
    text = text_evidence(row)
    if not text:
        return ()
    said = []
    of_sample, of_item = sides.sample(row["sample_id"]), sides.item(row["eval_set"], row["eval_id"])
    for side, what, field, start, stop in (
        (of_sample, "data", text["field"], text["span_start"], text["span_stop"]),
        (of_item, "item", text["item_field"], text["item_start"], text["item_stop"]),
    ):
        hashed = side.texts.get(field) if side is not None and not side.hidden else None
        shown = f" hash {salted(salt, hashed[start:stop])}" if hashed else ""
        said.append(f"{what} {field} [{start}:{stop}]{shown}")
    return tuple(said)


def _place(place: Mapping[str, Any], salt: str, number: int, names: Mapping[str, str]) -> dict[str, Any]:
    listed = [
        {**one, "listing": [{**file, "path": f"hash {salted(salt, file['path'])}"} for file in one["listing"]]}
        if "listing" in one
        else one
        for one in place.get("inputs", ())
    ]
    told = {**place, "inputs": listed, "sources": [names.get(name, name) for name in place["sources"]]}
    return told if place["form"] == RUN else {**told, "name": f"data {number}"}
