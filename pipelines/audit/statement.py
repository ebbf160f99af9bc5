"""An in-toto statement about an audit: which bytes it speaks of, and what it says of them."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import orjson

from sources.storage import Folder

STATEMENT = "contamination.intoto.json"
ENVELOPE = "contamination.dsse.json"
"""The statement, signed."""
TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:curate:contamination-audit:1"
MANIFEST = "manifest.json"
CHUNK_BYTES = 2**20


def statement_bytes(audit: Folder, paths: Iterable[str], document: Mapping[str, Any]) -> bytes:
    """The statement over the files of an audit, and over the manifest of the shards where they are ours.

    The manifest has the shards' hashes, `contamination.json` those of all other data and of the eval sets, which are
    told here as well. No times, no places: equal audits are equal bytes.
    """
    subjects = [{"name": path, "digest": {"sha256": sha256_of(audit, path)}} for path in sorted(paths)]
    if document["shards"] is not None:
        subjects.append({"name": MANIFEST, "digest": {"sha256": document["shards"]["manifest_sha256"]}})
    statement = {
        "_type": TYPE,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "curate": document["curate"],
            "verdict": document["verdict"],
            "policy": {"fail_on": document["policy"]["fail_on"], "min_recall": document["policy"]["min_recall"]},
            "items": document["items"],
            "leaked_items": document["leaked_items"],
            "findings": document["findings"],
            "mean_recall": document.get("probes", {}).get("mean_recall"),
            "eval_sets": {
                name: {"digest": one["digest"], "items": one["items"]} for name, one in document["eval_sets"].items()
            },
            "not_covered": ["pretraining of base models", *document["not_covered"]],
        },
    }
    return orjson.dumps(statement, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def sha256_of(folder: Folder, path: str) -> str:
    """SHA-256 of a file, in hex.

    Raises:
        FileNotFoundError: there is none.
    """
    digest = sha256()
    with folder.open(path) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
