"""The files that people and machines read beside the shards, made from what the run knows of itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import blake3

from pipelines.private import private_sources
from pipelines.report.parts import committed_parts
from pipelines.report.survey import KEPT, OUTCOMES, Survey, check_survey, committed_survey
from pipelines.work import Commit, Part, Work, key_of
from shards.card import CARD_NAME, CardFacts, SourceFacts, card_text
from shards.croissant import CROISSANT_NAME, croissant_bytes
from shards.manifest import Manifest
from shards.obligations import Terms
from sources.cards import catalogue

NODE = "card"
VERSION = 1
_KEPT = OUTCOMES.index(KEPT)


def companions(run: Mapping[str, Any], manifest: Manifest, survey: Survey) -> dict[str, bytes]:
    """`README.md` and `croissant.json` of the shards of a run: name -> content.

    `run` is the document of `run.json`.
    """
    facts = card_facts(run, manifest, survey)
    return {CARD_NAME: card_text(facts).encode(), CROISSANT_NAME: croissant_bytes(facts)}


def companion_files(work: Work, run: Mapping[str, Any], manifest: Manifest, tables: Sequence[Commit]) -> dict[str, str]:
    """Commit the files for a build that is about to publish these tables.

    Returns final name under the run -> where the content lies, as `publish` takes it.
    """
    survey = committed_survey(work, run["fingerprint"], committed_parts(tables))
    check_survey(run, survey)
    files = companions(run, manifest, survey)
    digests = {name: blake3.blake3(data).hexdigest()[:32] for name, data in files.items()}
    key = key_of(NODE, VERSION, digests)
    commit = work.find(NODE, key)
    if commit is None:
        parts = {}
        for name, data in files.items():
            path = work.path(NODE, key, name)
            work.folder.write(path, data, last=False)
            parts[name] = Part(path, digests[name], 0, len(data))
        commit = work.commit(NODE, key, parts, {})
    return {f"shards/{name}": part.path for name, part in commit.parts.items()}


def card_facts(run: Mapping[str, Any], manifest: Manifest, survey: Survey) -> CardFacts:
    """What the data card says of a run."""
    kept = {
        name: {value: row[_KEPT] for value, row in rows.items() if row[_KEPT]} for name, rows in survey.groups.items()
    }
    return CardFacts(
        manifest=manifest,
        sources=tuple(
            _source(name, survey.groups["source"][name], name in private_sources(run)) for name in kept["source"]
        ),
        terms=tuple(Terms(*row) for row in survey.terms),
        tasks=kept["task"],
        modalities=kept["modality"],
        languages=kept["language"],
        members=tuple(survey.members),
        steps=tuple(run["steps"]),
        settings=run["identity"]["recipe"]["steps"],
    )


def _source(name: str, row: Sequence[int], private: bool) -> SourceFacts:  # noqa: FBT001 - a fact about the source
    card = None if private else catalogue().get(name)
    return SourceFacts(name, row[_KEPT], row[3], "" if card is None else card.home)
