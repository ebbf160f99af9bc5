"""`curate diff`: what changed between two runs."""

from typing import Annotated, Any

import typer

from workflows.answer import print_json, say

SHOWN = 3
"""Pairs of each kind that people are shown."""


def diff(
    a: Annotated[str, typer.Argument(help="A finished run, or an audit.")],
    b: Annotated[str, typer.Argument(help="Another.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Compare two runs: settings, samples that only one has, and samples whose fate changed, by step.

    Two audits (or an audit and a run that carries one): verdicts, inputs, and findings that only one has.

    Examples: curate diff runs/monday runs/tuesday; curate diff audit-monday audit-tuesday
    """
    from pipelines.audit.diff import audit_lines, compare_audits, is_audit
    from pipelines.diff import compare
    from pipelines.places import folder_of

    folders = folder_of(a), folder_of(b)
    if any(is_audit(folder) for folder in folders):
        differences = compare_audits(*folders)
        if as_json:
            print_json(differences)
        else:
            say("\n".join(audit_lines(differences)))
        return
    found = compare(*folders)
    if as_json:
        print_json(found)
        return
    say("\n".join(lines(found)))


def lines(found: dict[str, Any]) -> list[str]:
    """The answer for people."""
    from pipelines.diff import PAIRS

    told = [f"setting {change}" for change in found["settings"]]
    for name, run in (("only_in_a", "A"), ("only_in_b", "B")):
        told += [f"only in {run}: {number:,} samples of {source}" for source, number in found[name].items()]
    for row in found["changed"]:
        told.append(f"{row['samples']:,} samples of {row['source']}: {row['a']} in A, {row['b']} in B")
        told.append(f"  for example {', '.join(row['examples'])}")
    for row in found["matched"]:
        ours, others = (
            _of_run(row[new], row[source]) for new, source in (("new", "source"), ("kept_new", "kept_source"))
        )
        told.append(f"{row['samples']:,} {ours}: {row['reason']} in B, duplicates of {others}")
        told += [f"  {_pair(pair)}" for pair in row["pairs"][:SHOWN]]
        if row["samples"] > SHOWN:
            told.append(f"  and {row['samples'] - SHOWN:,} more: --json has up to {PAIRS:,}, the ledger of B all")
    return told or ["no difference"]


def _of_run(new: bool, source: str) -> str:  # noqa: FBT001 - of the sample
    return f"samples of {source} that A {'does not have' if new else 'also has'}"


def _pair(pair: dict[str, Any]) -> str:
    alike = "" if pair["score"] is None else f", {pair['score']:.1%} in common"
    return f"{pair['sample_id']} is one of {pair['kept']}{alike}"
