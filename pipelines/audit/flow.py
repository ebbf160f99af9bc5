"""The search for eval items in the fragments of a flow: the same in a build and in an audit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pyarrow as pa

from dedup.decontamination.assemble import in_order, merged, summed
from dedup.decontamination.findings import FINDINGS, Channel, finding_id
from dedup.decontamination.grades import Grade
from dedup.decontamination.provenance import Derivation, derivations
from dedup.decontamination.text_settings import TextSettings
from pipelines.audit import find, pictures, protect, reading, texts
from pipelines.audit.find import FindingsTask
from pipelines.audit.pictures import PictureParts, picture_hits, picture_parts
from pipelines.audit.protect import Protected
from pipelines.audit.texts import TextParts, text_hits, text_parts
from pipelines.flow import Flow
from pipelines.session import EvalSide
from pipelines.work import Part

VERSION = 1
"""Raised when the same data and eval sets may give other findings, though each part of the search gives the same."""


def versions() -> list[int]:
    """Of the search and of everything that its findings come from."""
    return [VERSION, *(module.VERSION for module in (reading, protect, texts, pictures, find))]


@dataclass(frozen=True)
class Indexes:
    """In what training data is looked up: what probes of the audit are looked up in, too."""

    texts: TextParts
    pictures: PictureParts


@dataclass(frozen=True)
class Found:
    """What was found of the protected items in all fragments."""

    findings: pa.Table
    """FINDINGS."""
    counts: tuple[dict[str, Any], ...]
    """TALLY with `eval_set`, `eval_id` and `source`: also of findings that are not listed."""
    strongest: tuple[Part, ...]
    """Of each fragment: the strongest finding of each sample that has one."""
    derived: tuple[Derivation, ...]
    failed: Mapping[str, int]
    """What the search itself failed on -> how many samples or pictures."""
    indexes: Indexes


def search(flow: Flow, protected: Protected) -> Found:
    """Look every sample and picture of the flow's fragments up; they have been measured, and `images` exchanged.

    The engine has the session of the eval sets as `evals` of the flow's.
    """
    sources = [flow.session.corpora[view.corpus].name for view in flow.views]
    derived = tuple(derivations({one.name: one.made_from for one in protected.sets}, set(sources)))
    indexes = Indexes(text_parts(flow, protected.items, TextSettings()), picture_parts(flow, protected))
    texts = text_hits(flow, indexes.texts)
    pictures, unopened = picture_hits(flow, indexes.pictures, protected)
    corpora = _same_numbers(derived)
    about = protected.about_pictures
    tasks = [
        FindingsTask(
            view,
            number,
            protected.items,
            protected.pictures,
            texts[number].parts["hits"],
            indexes.texts.alike,
            pictures,
            corpora,
            about,
            protected.articles,
        )
        for number, view in enumerate(flow.views)
    ]
    commits = flow.each("findings", tasks)
    names = flow.session.work.read(protected.items, ["eval_set", "eval_id"]).to_pylist()
    by_source: dict[str, list[pa.Table]] = {source: [] for source in sorted(set(sources))}
    for source, commit in zip(sources, commits, strict=True):
        by_source[source].append(flow.session.work.read(commit.parts["tally"]))
    counts = [
        {**row, **names[row["item"]], "source": source}
        for source, tables in by_source.items()
        for row in summed(tables).to_pylist()
    ]
    total = summed([table for tables in by_source.values() for table in tables])
    listed = [flow.session.work.read(commit.parts["listed"]) for commit in commits]
    findings = merged(listed, total) if listed else FINDINGS.empty_table()
    failed = {
        "texts": sum(commit.facts["failed"] for commit in texts),
        "pictures": unopened,
        "pictures of eval sets": indexes.pictures.failed,
    }
    return Found(
        in_order(pa.concat_tables([findings, _of_provenance(derived)])),
        tuple(counts),
        tuple(commit.parts["strongest"] for commit in commits),
        derived,
        {name: count for name, count in failed.items() if count},
        indexes,
    )


def with_evals(flow: Flow, protected: Protected) -> None:
    """Give the workers of a flow the eval sets, so that they can open their pictures."""
    fragments = tuple((view.corpus, view.fragment) for view in protected.views)
    flow.session = replace(flow.session, evals=EvalSide(protected.session.without_files(), fragments))
    flow.engine.start(flow.session.without_files())


def _same_numbers(derived: Sequence[Derivation]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Eval set -> the sources whose plain numbers (patient 2) mean the same as its own."""
    by_set: dict[str, list[str]] = {}
    for one in derived:
        by_set.setdefault(one.eval_set, []).append(one.source)
    return tuple((name, tuple(sources)) for name, sources in sorted(by_set.items()))


def _of_provenance(derived: Sequence[Derivation]) -> pa.Table:
    """One finding a source and eval set."""
    rows = [
        {
            "finding_id": finding_id(Channel.PROVENANCE, one.eval_set, "", f"source {one.source}"),
            "grade": Grade.PROVENANCE.value,
            "channel": Channel.PROVENANCE.value,
            "eval_set": one.eval_set,
            "eval_id": "",
            "sample_id": "",
            "source": one.source,
            "evidence": orjson.dumps({"path": list(one.path)}).decode(),
        }
        for one in derived
    ]
    return pa.Table.from_pylist(rows, schema=FINDINGS)
