"""`croissant.json` beside the shards: the same facts for machines, as MLCommons Croissant 1.0 (JSON-LD).

Part of the run's identity, as the data card is. The specification: https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

import hashlib
import re
from typing import Any

import orjson
from pydantic import BaseModel

from shards.card import CardFacts
from shards.columns import field_types, splits_of
from shards.manifest import MANIFEST_NAME, Manifest, ShardEntry, manifest_bytes
from shards.samples import SampleJson
from sources.schema import UNKNOWN_LICENSE

CROISSANT_NAME = "croissant.json"
LISTED_SHARDS = 1000
"""Up to so many shards stand in the file each with its SHA-256; of more, `manifest.json` does, and its own is here."""
SAMPLES_ID = "sample-json"
SHARDS_ID = "shards"
RAW_ID = "raw"
RECORDS_ID = "samples"
CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/", "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
    "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet",
    "format": "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField",
    "path": "cr:path", "rai": "http://mlcommons.org/croissant/RAI/", "recordSet": "cr:recordSet",
    "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace",
    "samplingRate": "cr:samplingRate", "sc": "https://schema.org/", "separator": "cr:separator",
    "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip
"""The context that the specification asks for, word for word."""
_LANGUAGE = re.compile(r"[a-z]{2,3}")


def croissant_bytes(facts: CardFacts) -> bytes:
    """The whole file; equal facts give equal bytes."""
    languages = sorted(name for name, samples in facts.languages.items() if samples and _LANGUAGE.fullmatch(name))
    document = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": _plain_name(facts.title),
        "description": (
            f"{facts.samples} samples of {len(facts.sources)} sources in WebDataset tars, made by "
            f"`curate build`. Terms, counts and limits are in README.md beside this file."
        ),
        "license": [license_value(name) for name in facts.licenses] or ["NOASSERTION"],
        "version": "1.0.0",
        "identifier": facts.manifest.build,
        "keywords": ["medical", "vision-language", "webdataset", facts.manifest.stage],
        **({"inLanguage": languages} if languages else {}),
        **_responsible_ai(facts),
        "distribution": _distribution(facts.manifest),
        "recordSet": [_raw_records(), _records()] if splits_of(facts.manifest) else [],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def license_value(name: str) -> str:
    """The licence's page at SPDX; a `LicenseRef-` as it is, and `NOASSERTION` where none is stated."""
    if name == UNKNOWN_LICENSE:
        return "NOASSERTION"
    return name if name.startswith("LicenseRef-") else f"https://spdx.org/licenses/{name}.html"


def _plain_name(title: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-").lower()


def _responsible_ai(facts: CardFacts) -> dict[str, Any]:
    """Only what the build knows; what people were in the data and why, only the sources can tell."""
    collected = "; ".join(f"{source.name} ({source.home})" if source.home else source.name for source in facts.sources)
    steps = [step["name"] for step in facts.steps]
    said: dict[str, Any] = {
        "rai:dataCollection": f"Derived from existing collections: {collected}." if collected else "",
        "rai:dataCollectionType": ["Secondary Data analysis"],
        "rai:dataPreprocessingProtocol": [f"curate build, steps in order: {', '.join(steps)}. Settings in README.md."],
        "rai:dataLimitations": ["See the section Known limits of README.md."],
    }
    if "phi" not in steps:
        said["rai:personalSensitiveInformation"] = [
            "Texts and pixels were not searched for identifiers of people. Samples may speak of the health of persons."
        ]
    return {name: value for name, value in said.items() if value}


def _distribution(manifest: Manifest) -> list[dict[str, Any]]:
    entries = [entry for found in splits_of(manifest).values() for entry in found]
    data = manifest_bytes(manifest)
    files = [
        {
            "@type": "cr:FileObject",
            "@id": MANIFEST_NAME,
            "name": MANIFEST_NAME,
            "description": "Every shard with its SHA-256, bytes and samples. A tar it does not list is no data.",
            "contentUrl": MANIFEST_NAME,
            "contentSize": f"{len(data)} B",
            "encodingFormat": "application/json",
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    ]
    if not entries:
        return files
    if len(entries) > LISTED_SHARDS:
        tars = {
            "@type": "cr:FileSet",
            "@id": SHARDS_ID,
            "name": SHARDS_ID,
            "description": f"{len(entries)} tars; names, sizes and SHA-256 are in {MANIFEST_NAME}.",
            "encodingFormat": "application/x-tar",
            "includes": "*.tar",
        }
        return [*files, tars, _members([SHARDS_ID])]
    return [*files, *(_shard(entry) for entry in entries), _members([entry.name for entry in entries])]


def _shard(entry: ShardEntry) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": entry.name,
        "name": entry.name,
        "contentUrl": entry.name,
        "contentSize": f"{entry.bytes} B",
        "encodingFormat": "application/x-tar",
        "sha256": entry.sha256,
    }


def _members(containers: list[str]) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": SAMPLES_ID,
        "name": SAMPLES_ID,
        "description": "One JSON a sample; its pictures lie beside it under the same key.",
        "containedIn": [{"@id": name} for name in containers],
        "encodingFormat": "application/json",
        "includes": "*.json",
    }


def _raw_records() -> dict[str, Any]:
    """What every reader of Croissant can deliver: mlcroissant 1.1 applies no `jsonPath` to files inside archives."""
    name = {"fileSet": {"@id": SAMPLES_ID}, "extract": {"fileProperty": "filename"}}
    key = name | {"transform": {"regex": r"^([0-9a-f]+)\.json$"}}
    content = {"fileSet": {"@id": SAMPLES_ID}, "extract": {"fileProperty": "content"}}
    return {
        "@type": "cr:RecordSet",
        "@id": RAW_ID,
        "name": RAW_ID,
        "description": "Every sample as the bytes of its JSON.",
        "key": {"@id": f"{RAW_ID}/key"},
        "field": [
            {"@type": "cr:Field", "@id": f"{RAW_ID}/{part}", "name": f"{RAW_ID}/{part}", "dataType": "sc:Text",
             "source": source}
            for part, source in (("key", key), ("json", content))
        ],
    }  # fmt: skip


def _records() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": RECORDS_ID,
        "name": RECORDS_ID,
        "description": "The JSON of every sample, field by field.",
        "key": {"@id": f"{RECORDS_ID}/sample_id"},
        "field": [_field(name, kind, many) for name, (kind, many) in field_types(SampleJson).items()],
    }


def _field(name: str, kind: Any, many: bool) -> dict[str, Any]:  # noqa: FBT001 - a fact about the field
    place = f"{RECORDS_ID}/{name}"
    field: dict[str, Any] = {"@type": "cr:Field", "@id": place, "name": place}
    if many:
        field["repeated"] = True
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return field | {"subField": [_part(name, part, types[0]) for part, types in field_types(kind).items()]}
    return field | {"dataType": _data_type(kind), "source": _from(f"$.{name}")}


def _part(name: str, part: str, kind: Any) -> dict[str, Any]:
    place = f"{RECORDS_ID}/{name}/{part}"
    source = _from(f"$.{name}") | {"transform": {"jsonPath": f"$.{part}"}}
    return {"@type": "cr:Field", "@id": place, "name": place, "repeated": True, "dataType": _data_type(kind),
            "source": source}  # fmt: skip


def _from(path: str) -> dict[str, Any]:
    return {"fileSet": {"@id": SAMPLES_ID}, "extract": {"jsonPath": path}}


def _data_type(kind: type) -> str:
    return {str: "sc:Text", int: "sc:Integer"}[kind]
