"""`README.md` beside the shards: a Hugging Face data card with which `load_dataset(DIR)` loads every sample.

It is part of the run's identity: no times and no places. Of sources with keyed identifiers it has names, terms and
counts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from shards.columns import data_files, declared_columns, splits_of
from shards.manifest import Manifest
from shards.obligations import MEANING, Terms, combined, contradictions, license_obligations
from sources.schema import UNKNOWN_LICENSE

CARD_NAME = "README.md"
TASK_CATEGORIES = {
    "caption": "image-to-text", "report": "image-to-text", "vqa": "visual-question-answering",
    "text_qa": "question-answering", "dialogue": "text-generation", "reasoning": "text-generation",
    "instruct": "text-generation", "text": "text-generation",
}  # fmt: skip
HUB_LICENSES = {
    "Apache-2.0": "apache-2.0", "MIT": "mit", "CC0-1.0": "cc0-1.0", "PDDL-1.0": "pddl", "ODbL-1.0": "odbl",
    "ODC-By-1.0": "odc-by", "Unlicense": "unlicense", "ISC": "isc", "BSD-2-Clause": "bsd-2-clause",
    "BSD-3-Clause": "bsd-3-clause", "CDLA-Sharing-1.0": "cdla-sharing-1.0", "MPL-2.0": "mpl-2.0",
    "CDLA-Permissive-1.0": "cdla-permissive-1.0", "CDLA-Permissive-2.0": "cdla-permissive-2.0",
    "CC-BY-4.0": "cc-by-4.0", "CC-BY-SA-4.0": "cc-by-sa-4.0", "CC-BY-NC-4.0": "cc-by-nc-4.0",
    "CC-BY-ND-4.0": "cc-by-nd-4.0", "CC-BY-NC-SA-4.0": "cc-by-nc-sa-4.0", "CC-BY-NC-ND-4.0": "cc-by-nc-nd-4.0",
    UNKNOWN_LICENSE: "unknown",
}  # fmt: skip
"""SPDX -> what the hub calls it; any other is `other`."""
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
         (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"))  # fmt: skip
DUPLICATES = {
    "exact": "exact duplicates", "near_text": "near-duplicate texts", "near_image": "near-duplicate pictures"
}  # fmt: skip
ROWS = 40
"""Rows of a table at most; the rest is one row."""
_LANGUAGE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True)
class SourceFacts:
    """A source of the shards; `home` is empty where its names may identify people, and where no card tells it."""

    name: str
    samples: int
    tokens: int
    home: str = ""


@dataclass(frozen=True)
class CardFacts:
    """What the card and `croissant.json` are made from, all of it the same for the same build."""

    manifest: Manifest
    sources: tuple[SourceFacts, ...]
    terms: tuple[Terms, ...]
    tasks: Mapping[str, int]
    modalities: Mapping[str, int]
    languages: Mapping[str, int]
    members: tuple[str, ...]
    """Every suffix that pictures have in the shards."""
    steps: tuple[Mapping[str, Any], ...]
    """As `run.json` counts them."""
    settings: Mapping[str, Any]
    """Of the steps, as the recipe has them."""
    builds: tuple[str, ...] = ()
    """Of a union of several builds: theirs. What was done in each stands in its own card."""

    @property
    def samples(self) -> int:
        """Samples in all shards."""
        return sum(entry.samples for entries in splits_of(self.manifest).values() for entry in entries)

    @property
    def bytes(self) -> int:
        """Size of all shards."""
        return sum(entry.bytes for entries in splits_of(self.manifest).values() for entry in entries)

    @property
    def title(self) -> str:
        """What the data set is called."""
        return f"Biomedical vision-language data, stage {self.manifest.stage}, build {self.manifest.build[:12]}"

    @property
    def licenses(self) -> list[str]:
        """The distinct licences of its samples."""
        return sorted({terms.license for terms in self.terms if terms.samples})


def card_text(facts: CardFacts) -> str:
    """The whole file."""
    front = yaml.safe_dump(_front_matter(facts), sort_keys=False, width=110, allow_unicode=True)
    sections = (_what(facts), _content(facts), _how(facts), _licences(facts), _limits(facts), _loading(facts))
    return f"---\n{front}---\n\n# {facts.title}\n\n" + "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _front_matter(facts: CardFacts) -> dict[str, Any]:
    tasks = sorted({TASK_CATEGORIES[task] for task, samples in facts.tasks.items() if samples})
    languages = sorted(name for name, samples in facts.languages.items() if samples and _LANGUAGE.fullmatch(name))
    return {
        "pretty_name": facts.title,
        **_license(facts.licenses),
        **({"language": languages} if languages else {}),
        **({"task_categories": tasks} if tasks else {}),
        "size_categories": [next((name for limit, name in SIZES if facts.samples < limit), "n>1B")],
        "tags": ["medical", "webdataset", "vision-language", "curate"],
        **_loader(facts),
    }


def _license(licenses: Sequence[str]) -> dict[str, str]:
    if len(licenses) == 1 and licenses[0] in HUB_LICENSES:
        return {"license": HUB_LICENSES[licenses[0]]}
    name = licenses[0].lower() if len(licenses) == 1 else "several-licenses"
    return {"license": "other", "license_name": name, "license_link": CARD_NAME} if licenses else {}


def _loader(facts: CardFacts) -> dict[str, Any]:
    """What `load_dataset` needs; nothing where there is no shard."""
    splits = splits_of(facts.manifest)
    if not splits:
        return {}
    files = [{"split": name, "path": data_files(entries)} for name, entries in splits.items()]
    sizes = [
        {
            "name": name,
            "num_bytes": sum(entry.bytes for entry in entries),
            "num_examples": sum(entry.samples for entry in entries),
        }
        for name, entries in splits.items()
    ]
    info = {"features": declared_columns(facts.members), "splits": sizes}
    return {
        "configs": [{"config_name": "default", "data_files": files}],
        "dataset_info": {**info, "download_size": facts.bytes, "dataset_size": facts.bytes},
    }


def _what(facts: CardFacts) -> list[str]:
    manifest = facts.manifest
    lines = [
        (
            f"{facts.samples:,} samples of {len(facts.sources):,} sources, "
            f"{sum(source.tokens for source in facts.sources):,} tokens, {facts.bytes:,} bytes in WebDataset tars, "
            f"made by `curate build` for the stage `{manifest.stage}`. Build `{manifest.build}`."
        ),
        "",
        (
            "A sample is `{key}.json`, which holds its turns with one `<image>` for each picture, its source, licence, "
            "access and groups, and its pictures: `{key}.jpg` or `{key}.png`, of several `{key}.0.jpg` and so on. "
            "`manifest.json` lists the shards with their SHA-256; a tar that it does not list is not part of the data."
        ),
    ]
    validation = splits_of(manifest).get("validation")
    if validation:
        held = sum(entry.samples for entry in validation)
        lines += [
            "",
            (
                f"{facts.samples - held:,} of the samples are for training; {held:,} are the split `validation`: "
                "do not train on them."
            ),
        ]
    return lines


def _content(facts: CardFacts) -> list[str]:
    rows = [(source.name, source.samples, source.tokens) for source in facts.sources]
    languages = {name if _LANGUAGE.fullmatch(name) else "not stated": 0 for name in facts.languages}
    for name, samples in facts.languages.items():
        languages[name if _LANGUAGE.fullmatch(name) else "not stated"] += samples
    return [
        "## What is in it",
        "",
        *_table(("source", "samples", "tokens"), rows),
        "",
        *_table(("task", "samples"), facts.tasks.items()),
        "",
        *_table(("modality", "samples"), facts.modalities.items()),
        "",
        *_table(("language", "samples"), languages.items()),
    ]


def _how(facts: CardFacts) -> list[str]:
    rows = [
        (step["name"], step["in"] + step["made"], step["kept"], sum(step["dropped"].values()),
         sum(step["quarantined"].values()))
        for step in facts.steps
    ]  # fmt: skip
    manifest = facts.manifest
    if facts.builds:
        listed = [f"- `{build}`" for build in facts.builds]
        return [
            "## How it was made",
            "",
            "`curate shards merge` put these builds together; how each was made stands in its own card:",
            "",
            *listed,
        ]
    settings = {
        "context_tokens": manifest.context_tokens,
        "tokenizer": manifest.tokenizer,
        "steps": dict(facts.settings),
        "mixture": manifest.mixture.model_dump(mode="json"),
    }
    return [
        "## How it was made",
        "",
        "Every record was kept, dropped for a reason, or quarantined, step after step:",
        "",
        *_table(("step", "in", "kept", "dropped", "quarantined"), rows),
        "",
        "Settings:",
        "",
        "```yaml",
        yaml.safe_dump(settings, sort_keys=True, width=110).rstrip(),
        "```",
    ]


def _licences(facts: CardFacts) -> list[str]:
    found = combined(facts.terms)
    samples = {name: sum(terms.samples for terms in facts.terms if terms.license == name) for name in facts.licenses}
    asked = [
        (name, samples[name], ", ".join(one for one in MEANING if one in license_obligations(name)) or "none")
        for name in facts.licenses
    ]
    sources = {source.name: source for source in facts.sources}
    own = [
        (terms.source, terms.license, terms.access, terms.samples, _home(sources.get(terms.source)))
        for terms in facts.terms
    ]
    lines = [
        "## Licences and obligations",
        "",
        (
            "The whole stands under all of the terms below at once, so of two that differ the stricter holds. Each "
            "sample has its own `license` and `access`: whoever takes a part is bound by the terms of that part. This "
            "is a summary, not legal advice."
        ),
        "",
        *_table(
            ("obligation of the whole", "meaning", "samples", "because of"),
            [
                (name, MEANING[name], sum(row.samples for row in terms), _because(terms))
                for name, terms in found.items()
            ],
        ),
    ]
    for sentence in contradictions(facts.terms):
        lines += ["", f"**Note:** {sentence}"]
    return [
        *lines,
        "",
        *_table(("licence", "samples", "asks for"), asked),
        "",
        *_table(("source", "licence", "access", "samples", "home"), own),
    ]


def _limits(facts: CardFacts) -> list[str]:
    ran = {step["name"] for step in facts.steps}
    unstated = facts.modalities.get("unknown", 0)
    lines = ["## Known limits", ""]
    if facts.builds:
        return [
            *lines,
            (
                "- The builds were made one by one: duplicates and leaked benchmarks were sought in each, not across "
                "them, and no audit speaks of the whole (`curate audit` makes one)."
            ),
            "- Whether a text is true was not checked; biases of the sources are in the data.",
        ]
    if "decontaminate" not in ran:
        lines.append("- It was not compared with any benchmark: test questions may be in it.")
    if not DUPLICATES.keys() <= ran:
        missing = [words for step, words in DUPLICATES.items() if step not in ran]
        lines.append(f"- Not searched for: {', '.join(missing)}.")
    if "phi" not in ran:
        lines.append(
            "- Nothing looked for names of people in texts or burned into pictures. JPEG and PNG files are the "
            "source's bytes, with the metadata they came with."
        )
    else:
        lines.append(
            "- Identifiers of people were looked for in the sources that tell of people (in all of them with "
            "`phi.sources: all`), by rules and models that miss some. JPEG and PNG files of the other sources are the "
            "source's bytes."
        )
    if unstated:
        lines.append(f"- The modality of {unstated:,} samples with pictures is not known.")
    if UNKNOWN_LICENSE in facts.licenses:
        lines.append("- Some samples state no licence.")
    lines.append("- Whether a text is true was not checked; biases of the sources are in the data.")
    return lines


def _loading(facts: CardFacts) -> list[str]:
    first = next((entry.name for entry in facts.manifest.shards), "")
    lines = ["## Loading it", ""]
    if not first:
        return [*lines, "There is nothing to load: the build kept no sample."]
    return [
        *lines,
        "```python",
        "from datasets import load_dataset",
        "",
        'data = load_dataset("PATH/TO/THIS/FOLDER", split="train")',
        'print(data[0]["json"]["turns"])',
        "```",
        "",
        "A column is null where a sample has no such member. With `webdataset`:",
        "",
        "```python",
        "import json, webdataset",
        "",
        'names = [shard["name"] for shard in json.load(open("manifest.json"))["shards"]]',
        'for sample in webdataset.WebDataset(names, shardshuffle=False).decode("pil"):',
        '    pictures = [sample[image["member"]] for image in sample["json"]["images"]]',
        "```",
        "",
        "`curate shards verify .` checks every byte against the manifest.",
    ]


def _because(terms: Sequence[Terms]) -> str:
    names = sorted({row.source for row in terms})
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _home(source: SourceFacts | None) -> str:
    return "" if source is None or not source.home else f"<{source.home}>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A Markdown table, numbers to the right; what is beyond `ROWS` is counted in a last row."""
    rows = list(rows)
    if not rows:
        return [f"No {heads[0]}."]
    numeric = [all(isinstance(row[place], int) for row in rows) for place in range(len(heads))]
    lines = [_row(heads), "|" + "|".join("---:" if number else "---" for number in numeric) + "|"]
    lines += [_row([f"{cell:,}" if isinstance(cell, int) else cell for cell in row]) for row in rows[:ROWS]]
    if len(rows) > ROWS:
        rest = rows[ROWS:]
        others = [f"{sum(row[place] for row in rest):,}" if number else "" for place, number in enumerate(numeric)]
        lines.append(_row([f"{len(rest):,} others", *others[1:]]))
    return lines


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
